"""Pictures drawn for the tests of `genlab.plots`."""

import base64
import re

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from genlab import plots

BOX = 3.0


def gaussian(x):
    return -0.5 * (x**2).sum(axis=1)


def pixels(draw, **kwargs) -> np.ndarray:
    """The picture that draw(ax) makes, (height, width, 3)."""
    fig, axes = plots.panels(1, **kwargs)
    draw(axes[0])
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def embedded(html: str, kind: str) -> bytes:
    return base64.b64decode(re.search(rf"data:image/{kind};base64,([^\"]+)", html)[1])
