"""Pictures of transport plans: couplings between points, between densities on a line, and tables
of who gets what."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from genlab.plots.pictures import SIGNED
from genlab.plots.theme import COLORS, INK, LIKELIHOOD


def coupling(ax: Axes, plan: np.ndarray, x: np.ndarray, y: np.ndarray) -> Axes:
    """A plan (n, m) between two densities on the grids x (n,) and y (m,), with its marginals
    along the edges."""
    extent = (x[0], x[-1], y[0], y[-1])
    top = float(np.quantile(plan[plan > 0], 0.99)) if (plan > 0).any() else 1.0
    ax.imshow(
        plan.T,
        origin="lower",
        extent=extent,
        aspect="auto",
        cmap=LIKELIHOOD,
        vmax=top,
        interpolation="nearest",
    )
    for weights, at, horizontal in ((plan.sum(1), x, True), (plan.sum(0), y, False)):
        height = 0.18 * weights / weights.max()
        if horizontal:
            ax.fill_between(
                at, y[0], y[0] + height * np.ptp(y), color=COLORS["data"], alpha=0.3, lw=0
            )
        else:
            ax.fill_betweenx(
                at, x[0], x[0] + height * np.ptp(x), color=COLORS["data"], alpha=0.3, lw=0
            )
    ax.set(xlabel="from x", ylabel="to y")
    return ax


def table(
    ax: Axes, plan: np.ndarray, taste: np.ndarray, rows: Sequence[str], columns: Sequence[str]
) -> Axes:
    """A plan (n, m) as squares whose areas are portions; red is liked, blue disliked
    (taste (n, m))."""
    side = np.sqrt(plan / plan.max()) * 0.94
    bound = np.abs(taste).max()
    for i, j in np.ndindex(*plan.shape):
        half = side[i, j] / 2
        fill = SIGNED(0.5 + taste[i, j] / (2 * bound))
        ax.fill_between([j - half, j + half], i - half, i + half, color=fill, lw=0.5, edgecolor=INK)
    ax.set(xlim=(-0.6, len(columns) - 0.4), ylim=(len(rows) - 0.4, -0.6))
    ax.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
    ax.set_aspect("equal")
    return ax


def picture(ax: Axes, pixels: np.ndarray) -> Axes:
    """An RGB picture (height, width, 3) with values in [0, 1]."""
    ax.imshow(np.clip(pixels, 0, 1), interpolation="antialiased")
    ax.set_axis_off()
    return ax
