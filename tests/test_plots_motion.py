"""An animation moves, has a still and words, and gives up quality before size."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawn import BOX, embedded
from PIL import Image

from genlab import plots
from genlab.plots import motion

pytestmark = pytest.mark.usefixtures("clean_figures")


@pytest.fixture
def points(rng):
    return rng.normal(size=(300, 2))


def test_animation_moves_and_has_a_still_and_words(points):
    def draw(axes, i):
        for ax, kind in zip(axes, ("dsm", "gan"), strict=True):
            plots.scatter(ax, points * (0.2 + 0.1 * i), kind=kind, box=BOX)

    before = plt.get_fignums()
    html = plots.animation(draw, 8, still=7, alt='points "spread"', columns=2, size=(4, 2.2)).data
    assert plt.get_fignums() == before
    assert "prefers-reduced-motion: reduce" in html and 'loading="lazy"' in html
    assert 'alt="points &quot;spread&quot;"' in html
    movie, still = (
        Image.open(io.BytesIO(embedded(html, "webp"))),
        Image.open(io.BytesIO(embedded(html, "png"))),
    )
    assert movie.n_frames == 8 and movie.size == still.size and movie.info["loop"] == 0
    first = np.asarray(movie.convert("RGB")).astype(int)
    movie.seek(7)
    last = np.asarray(movie.convert("RGB")).astype(int)
    assert np.abs(first - last).mean() > 1
    assert np.abs(last - np.asarray(still.convert("RGB"))).mean() < np.abs(first - last).mean()


def test_animation_gives_up_quality_before_size(rng, monkeypatch):
    """A limit that the best quality misses is kept, at a lower quality; one that nothing
    meets is an error."""
    noise = [Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)) for _ in range(6)]
    best = len(motion._webp(noise, [80] * 6))
    monkeypatch.setattr(motion, "MAX_BYTES", best // 2)
    assert len(motion._webp(noise, [80] * 6)) <= best // 2
    monkeypatch.setattr(motion, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="fewer frames or points"):
        motion._webp(noise, [80] * 6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda ax: plots.animation(lambda a, i: None, 0, still=0, alt="x"), "0 frames"),
        (lambda ax: plots.animation(lambda a, i: None, 99, still=0, alt="x"), "1 to 60"),
        (lambda ax: plots.animation(lambda a, i: None, 2, still=0, alt=" "), "alt is empty"),
    ],
)
def test_bad_input_is_refused_in_words(call, words):
    _, (ax,) = plots.panels(1)
    with pytest.raises(ValueError, match=words):
        call(ax)
