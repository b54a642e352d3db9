"""Pictures of adversarial games on images, and the colours of their players.

Imported by the sections on such games only, so that it cannot make the others stale.
"""

import numpy as np
from matplotlib.axes import Axes

from genlab.plots.pictures import tile
from genlab.plots.theme import COLORS

COLORS.update(discriminator="#57b98a", mlp="#6b1e3f", wgan="#5cc04c", wgan_gp="#2e5cff")


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
