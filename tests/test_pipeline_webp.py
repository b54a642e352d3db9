"""Frames of an animation as stills: laid on each other they are what Pillow decodes, pixel by
pixel."""

import io
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image, ImageSequence

from genlab.pipeline.site import webp


@dataclass(frozen=True)
class Film:
    data: bytes
    decoded: list[np.ndarray]


@pytest.fixture(scope="module", params=[True, False], ids=["lossless", "lossy"])
def film(request) -> Film:
    """A square that wanders over noise: most frames change a rectangle only."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 256, (61, 83, 3), np.uint8)
    pictures = []
    for i in range(9):
        picture = ground.copy()
        picture[10 + 3 * i : 22 + 3 * i, 5 + 7 * i : 17 + 7 * i] = rng.integers(256, size=3)
        pictures.append(Image.fromarray(picture))
    buffer = io.BytesIO()
    options = {"duration": [80] * 8 + [500], "lossless": request.param, "quality": 60}
    pictures[0].save(buffer, "WEBP", save_all=True, append_images=pictures[1:], **options)
    whole = Image.open(buffer)
    decoded = [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(whole)]
    return Film(buffer.getvalue(), decoded)


def laid(frames: list[webp.Frame], size: tuple[int, int]) -> list[np.ndarray]:
    """What stands on the canvas after each frame, by the rules of the format."""
    canvas, shown = Image.new("RGBA", size), []
    for frame in frames:
        picture = Image.open(io.BytesIO(frame.picture)).convert("RGBA")
        place = (frame.x, frame.y)
        if frame.replaces:
            canvas.paste(picture, place)
        else:
            canvas.alpha_composite(picture, place)
        shown.append(np.asarray(canvas).copy())
        if frame.wiped:
            canvas.paste(
                (0, 0, 0, 0), (*place, place[0] + picture.width, place[1] + picture.height)
            )
    return shown


def same(frames: list[webp.Frame], film: Film) -> bool:
    height, width, _ = film.decoded[0].shape
    shown = laid(frames, (width, height))
    return len(shown) == len(film.decoded) and all(
        np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(shown, film.decoded, strict=True)
    )


def test_frames_laid_on_each_other_are_the_animation(film):
    frames = webp.frames(film.data)
    assert same(frames, film)
    assert [frame.ms for frame in frames] == [80] * 8 + [500]
    assert any((frame.x, frame.y) != (0, 0) for frame in frames)


def test_frames_in_the_wrong_place_are_not(film):
    moved = [f._replace(x=0, y=0) for f in webp.frames(film.data)]
    assert not same(moved, film)


def test_a_still_is_one_frame_and_other_bytes_are_refused():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "WEBP")
    assert [f.picture for f in webp.frames(buffer.getvalue())] == [buffer.getvalue()]
    with pytest.raises(ValueError, match="no WebP"):
        webp.frames(b"GIF89a")
