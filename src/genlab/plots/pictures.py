"""Pictures of images: mosaics of digits, stacks of three, labelled rows, filters."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from genlab.plots.theme import CARD, INK

INKED = LinearSegmentedColormap.from_list("ink", [CARD, "#9aa1ad", "#14171c"])
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#2a6fb5", "#a9c8e4", CARD, "#efb9a6", "#c3272f"]
)
GAP = 2  # pixels of the page between two images


def tile(images: np.ndarray, columns: int, *, fill: float = np.nan) -> np.ndarray:
    """Images (n, height, width) as one picture with `columns` a row and a gap of two pixels,
    which holds `fill`."""
    images = np.asarray(images, dtype=float)
    if images.ndim != 3 or not len(images) or columns < 1:
        raise ValueError(
            f"images of shape {images.shape} in {columns} columns: give (n, height, width), "
            "n and columns at least 1"
        )
    n, height, width = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    canvas = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP), fill)
    for i, image in enumerate(images):
        y, x = (i // columns) * (height + GAP), (i % columns) * (width + GAP)
        canvas[y : y + height, x : x + width] = image
    return canvas


def mosaic(ax: Axes, images: np.ndarray, columns: int) -> Axes:
    """Images (n, height, width) with values in [0, 1]: more ink is a higher value."""
    return _show(ax, tile(images, columns), INKED, 0.0, 1.0)


def stacks(ax: Axes, images: np.ndarray, columns: int) -> Axes:
    """Images (n, 3, height, width) with values in [0, 1], such as stacked digits: one channel is
    red, one green, one blue."""
    images = np.asarray(images, dtype=float)
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images of shape {images.shape} must be (n, 3, height, width)")
    canvas = np.stack([tile(images[:, c], columns, fill=1.0) for c in range(3)], axis=-1)
    ax.imshow(canvas.clip(0, 1), interpolation="nearest")
    ax.set_axis_off()
    return ax


def filters(ax: Axes, weights: np.ndarray, columns: int) -> Axes:
    """Weights (n, height, width): blue is negative, red positive; each filter is scaled by its own
    largest weight."""
    weights = np.asarray(weights, dtype=float)
    largest = np.abs(weights).max(axis=(1, 2), keepdims=True)
    return _show(ax, tile(weights / np.where(largest > 0, largest, 1), columns), SIGNED, -1.0, 1.0)


def rows(ax: Axes, images: Mapping[str, np.ndarray]) -> Axes:
    """One labelled row of images (n, height, width) each; all rows equally long."""
    lengths = {len(row) for row in images.values()}
    if len(lengths) != 1:
        raise ValueError(f"rows of {sorted(lengths)} images must be equally long")
    every = np.concatenate([np.asarray(row, dtype=float) for row in images.values()])
    mosaic(ax, every, lengths.pop())
    height = every.shape[1] + GAP
    ax.set_yticks([height * (i + 0.5) - GAP for i in range(len(images))], list(images))
    ax.tick_params(axis="y", length=0, labelsize=9, labelcolor=INK)
    return ax


def _show(ax: Axes, canvas: np.ndarray, colormap, low: float, high: float) -> Axes:
    ax.imshow(
        canvas,
        cmap=colormap.with_extremes(bad=CARD),
        vmin=low,
        vmax=high,
        interpolation="nearest",
        aspect="equal",
    )
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax
