"""Silhouettes: pictures of zeros and ones, whether they are shapes, and how drawn ones compare with
real ones."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from genlab import checks

WHOLE = (0.15, 0.75)  # share of the picture that a shape may cover


class Silhouettes(NamedTuple):
    """shapes (n, 28, 28), zeros and ones, float32; kept (m,): which of the pictures they come from
    left a shape; components (m,) and area (m,): pieces of each picture, and its share of ink."""

    shapes: np.ndarray
    kept: np.ndarray
    components: np.ndarray
    area: np.ndarray


def silhouettes(images: np.ndarray, *, threshold: float) -> Silhouettes:
    """Pictures (m, 28, 28) as silhouettes: ink where a pixel is at least `threshold`, in (0, 1),
    holes filled.

    Kept is what is one piece and covers between 15 % and 75 % of the picture.
    """
    images = checks.images(images)
    threshold = checks.number(threshold, "threshold", "in (0, 1)")
    filled = np.array([ndimage.binary_fill_holes(x) for x in images >= threshold])
    pieces, area = components(filled), filled.mean((1, 2))
    kept = (pieces == 1) & (WHOLE[0] <= area) & (area <= WHOLE[1])
    return Silhouettes(filled[kept].astype(np.float32), kept, pieces, area)


def components(shapes: np.ndarray) -> np.ndarray:
    """Number of pieces of each shape (n, height, width): sets of ones that hang together by their
    sides, shape (n,)."""
    return np.array([ndimage.label(x)[1] for x in bits(shapes)])


def bits(shapes: np.ndarray, name: str = "shapes") -> np.ndarray:
    """Shapes (n, height, width) as booleans.  ValueError for what is no zero or one."""
    found = checks.real(shapes, name)
    if found.ndim != 3 or not found.size or not np.isin(found, (0, 1)).all():
        raise ValueError(
            f"{name} of shape {found.shape} must be (n, height, width), zeros and ones"
        )
    return found.astype(bool)


def changes(shapes: np.ndarray) -> np.ndarray:
    """Share of neighbours that differ across each line between two rows, averaged with that across
    the same line between two columns; shape (side - 1,) of shapes (n, side, side)."""
    x = bits(shapes)
    down = (x[:, 1:] != x[:, :-1]).mean((0, 2))
    across = (x[:, :, 1:] != x[:, :, :-1]).mean((0, 1))
    checks.shape(down, "shapes", across.shape, ": square ones")
    return (down + across) / 2


def seam(shapes: np.ndarray, *, at: int | None = None) -> float:
    """How much rougher shapes (n, side, side) are where patches meet than beside it: `changes`
    across the line before row `at` (the middle, by default) less their mean across the two lines on
    either side.

    Real shapes need not be alike on all lines: compare with theirs.
    """
    change = changes(shapes)
    at = checks.count((len(change) + 1) // 2 if at is None else at, "at", 3, len(change) - 2)
    beside = [at - 3, at - 2, at, at + 1]
    return float(change[at - 1] - change[beside].mean())


def nearest_shape(shapes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the nearest of `others` (m, height, width) to each of `shapes` (n, height, width),
    and the share of pixels in which they differ, (n,) each."""
    x, y = bits(shapes), bits(others, "others")
    checks.shape(y[0], "others", x.shape[1:], ", as shapes")
    x, y = (z.reshape(len(z), -1).astype(np.float32) for z in (x, y))
    differ = x.sum(1)[:, None] + y.sum(1) - 2 * x @ y.T
    nearest = differ.argmin(1)
    return nearest, np.take_along_axis(differ, nearest[:, None], 1)[:, 0] / x.shape[1]
