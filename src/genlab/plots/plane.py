"""Pictures of the plane: samples, densities and energies on [-box, box]²."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes

from genlab.plots.theme import LIKELIHOOD, color, square

# Depth of a log-density or an energy that is shown; what lies below has the colour of zero
# probability.
NATS = 9.0


def _points(x: np.ndarray) -> np.ndarray:
    """x as an array (n, 2); ValueError otherwise."""
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"points of shape {x.shape} must have shape (n, 2)")
    return x


def scatter(
    ax: Axes,
    x: np.ndarray,
    *,
    kind: str = "data",
    box: float | None = None,
    label: str | None = None,
) -> Axes:
    """Points x (n, 2) as small rasterised dots, smaller and fainter in larger clouds.
    `box` cuts the view."""
    x = _points(x)
    n = max(len(x), 1)
    size, alpha = np.clip(9_000 / n, 2.0, 14.0), np.clip(900 / n, 0.22, 0.8)
    style = {"s": size, "alpha": alpha, "color": color(kind), "linewidths": 0, "rasterized": True}
    ax.scatter(x[:, 0], x[:, 1], label=label, **style)
    half = (
        box
        if box is not None
        else 1.05 * float(np.abs(x[np.isfinite(x).all(axis=1)]).max(initial=1e-3))
    )
    return square(ax, half)


def _grid(box: float, bins: int) -> np.ndarray:
    """Midpoints of bins x bins cells of [-box, box]², (bins², 2), x₁ fastest."""
    middles = (np.arange(bins) + 0.5) * (2 * box / bins) - box
    x1, x2 = np.meshgrid(middles, middles)
    return np.stack([x1.ravel(), x2.ravel()], axis=1)


def _image(ax: Axes, values: np.ndarray, box: float, *, low: float, high: float) -> Axes:
    """values (bins, bins) as a map, `low` the colour of the page and `high` the darkest."""
    ax.imshow(
        values,
        extent=(-box, box, -box, box),
        origin="lower",
        cmap=LIKELIHOOD,
        vmin=low,
        vmax=high if high > low else low + 1.0,
        interpolation="bilinear",
        rasterized=True,
    )
    return square(ax, box)


def density(ax: Axes, f: Callable, box: float, *, log: bool = False, bins: int = 200) -> Axes:
    """Heat map of f on [-box, box]²; f takes (m, 2) and returns (m,), a density, or with
    `log` a log-density.

    A log-density is shown down to nine nats below its maximum.
    """
    values = np.asarray(f(_grid(box, bins)), dtype=float)
    if log:
        return log_density_grid(ax, values, box)
    values = np.nan_to_num(values, nan=0.0).reshape(bins, bins)
    return _image(ax, values, box, low=0.0, high=float(np.quantile(values, 0.999)))


def log_density_grid(ax: Axes, values: np.ndarray, box: float) -> Axes:
    """Heat map of a log-density on a square grid over [-box, box]², (bins, bins) or
    (bins²,) with x₁ fastest.

    Shown from nine nats below the maximum.  Raises ValueError if the values make no square.
    """
    values = np.asarray(values, dtype=float)
    bins = round(values.size**0.5)
    if bins * bins != values.size:
        raise ValueError(f"{values.size} values make no square grid: give bins x bins of them")
    values = np.nan_to_num(values, nan=-np.inf, neginf=-np.inf).reshape(bins, bins)
    top = float(values.max()) if np.isfinite(values.max()) else 0.0
    return _image(ax, np.maximum(values, top - NATS), box, low=top - NATS, high=top)


def energy(ax: Axes, f: Callable, box: float, *, bins: int = 160) -> Axes:
    """Landscape of the energy f on [-box, box]²: lower is darker, with contour lines; f takes
    (m, 2), returns (m,).

    Shown up to nine nats above the minimum, or in the full range of a flatter energy.
    """
    points = _grid(box, bins)
    values = np.asarray(f(points), dtype=float).reshape(bins, bins)
    values = values - np.nanmin(values)
    top = min(NATS, float(np.nanmax(values)))
    top = top if top > 0 else 1.0
    _image(ax, -np.minimum(np.nan_to_num(values, nan=np.inf), top), box, low=-top, high=0.0)
    middles = points[:bins, 0]
    if np.ptp(values) > 0:
        levels = np.linspace(0, top, 8)[1:-1]
        ax.contour(
            middles,
            middles,
            np.minimum(values, 2 * top),
            levels,
            colors="white",
            linewidths=0.5,
            alpha=0.55,
        )
    return square(ax, box)


def arrows(ax: Axes, x: np.ndarray, v: np.ndarray, *, kind: str, box: float) -> Axes:
    """A vector field v (n, 2) at x (n, 2); arrow lengths go with the square root of |v|, so that
    weak and strong ones show."""
    x, v = _points(x), _points(v)
    length = np.linalg.norm(v, axis=1, keepdims=True)
    ax.quiver(
        *x.T,
        *(v / np.sqrt(length + 1e-12)).T,
        color=color(kind),
        angles="xy",
        width=0.005,
        pivot="mid",
    )
    return square(ax, box)
