"""Short looping animations that live inside the page, each with a still picture for print and for
reduced motion."""

import base64
import html
import io
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

MAX_BYTES = 350_000  # of the WebP; a page with three of them still loads at once
MAX_FRAMES = 60
# What is given up, in this order, to stay below: (every k-th frame, scale, WebP quality).
LADDER = (
    (1, 1, 82),
    (1, 1, 60),
    (1, 1, 42),
    (2, 1, 60),
    (2, 1, 42),
    (2, 0.75, 42),
    (2, 0.6, 30),
    (3, 0.5, 20),
)


def animation(
    draw: Callable,
    frames: int | Sequence[int],
    *,
    still: int,
    alt: str,
    fps: int = 12,
    size: tuple[float, float] = (4.2, 4.2),
    dpi: int = 96,
    columns: int = 1,
    hold: float = 1.5,
) -> HTML:
    """An animation of ``draw(ax, frame)`` over `frames` (a count, or the frame numbers) that shows
    the picture of frame `still` in print and where reduced motion is preferred.

    With `columns` > 1, draw gets an array of that many axes; `size` is that of the whole figure,
    inches.  Axes are cleared before each frame.  `hold`: seconds the last frame stays.  Quality,
    then frames, then size are lowered until the WebP is at most 350 kB; about 500 points in 40
    frames keep their quality.  Raises ValueError for no frames, more than 60, or an empty `alt`.
    """
    numbers = list(range(frames)) if isinstance(frames, int) else list(frames)
    if not 1 <= len(numbers) <= MAX_FRAMES:
        raise ValueError(f"{len(numbers)} frames: an animation has 1 to {MAX_FRAMES}; skip some")
    if not alt.strip():
        raise ValueError("alt is empty: say in words what the animation shows")
    images, poster = _render(draw, numbers, still, size, dpi, columns)
    durations = [round(1000 / fps)] * (len(images) - 1) + [round(1000 * hold)]
    webp, png = _webp(images, durations), _png(poster)
    width, height = poster.size
    return HTML(
        f'<picture><source media="(prefers-reduced-motion: reduce), print" '
        f'srcset="data:image/png;base64,{_text(png)}">'
        f'<img src="data:image/webp;base64,{_text(webp)}" alt="{html.escape(alt)}" '
        f'width="{width}" height="{height}" '
        f'loading="lazy" class="genlab-animation"></picture>'
    )


def _render(draw, numbers, still, size, dpi, columns) -> tuple[list[Image.Image], Image.Image]:
    """All frames and the still as RGB images of one size.  One figure is reused; its layout is
    fixed by the still."""
    fig, grid = plt.subplots(1, columns, figsize=size, dpi=dpi, squeeze=False, layout="constrained")
    axes = grid[0]
    canvas = FigureCanvasAgg(fig)

    def picture(number: int) -> Image.Image:
        for ax in axes:
            ax.clear()
        draw(axes[0] if columns == 1 else axes, number)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")

    try:
        poster = picture(still)
        fig.set_layout_engine("none")  # keep the frame's place: a jumping axis reads as motion
        return [picture(number) for number in numbers], poster
    finally:
        plt.close(fig)


def _webp(images: list[Image.Image], durations: list[int]) -> bytes:
    """The looping WebP, the first on the LADDER that fits MAX_BYTES; ValueError if none does."""
    for every, scale, quality in LADDER:
        kept = images[::-1][::every][::-1]  # the last frame always stays
        kept = (
            kept
            if scale == 1
            else [im.resize((round(im.width * scale), round(im.height * scale))) for im in kept]
        )
        times = [every * durations[0]] * (len(kept) - 1) + durations[-1:]
        options = {"duration": times, "loop": 0, "quality": quality, "method": 3}
        buffer = io.BytesIO()
        kept[0].save(buffer, "WEBP", save_all=True, append_images=kept[1:], **options)
        if buffer.tell() <= MAX_BYTES:
            return buffer.getvalue()
    raise ValueError(
        f"the animation needs more than {MAX_BYTES // 1000} kB at its smallest: "
        "use fewer frames or points"
    )


def _png(image: Image.Image) -> bytes:
    """The still as a small PNG with a palette of 128 colours."""
    buffer = io.BytesIO()
    image.quantize(128).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
