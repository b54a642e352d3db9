"""Densities of models of the plane on a grid: normalising constants, exact draws, ranks."""

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp
from scipy.stats import rankdata

from genlab import checks
from genlab.data.toy import Density, grid

LogDensity = Callable[[np.ndarray], np.ndarray]


def log_z_on_grid(log_density: LogDensity, box: float, *, bins: int = 400) -> tuple[float, float]:
    """log of the integral of exp(log_density) over [-box, box]², and the change from a grid of
    half as many bins.

    Midpoint rule; the second number says whether to believe the first.
    """

    bins = checks.count(bins, "bins", 2)

    def integral(bins):
        _, values, cell = _on_grid(log_density, box, bins)
        return float(logsumexp(values) + np.log(cell))

    fine = integral(bins)
    return fine, abs(fine - integral(bins // 2))


def draw_on_grid(
    log_density: LogDensity, box: float, *, n: int, rng: np.random.Generator, bins: int = 400
) -> np.ndarray:
    """`n` independent points of the density proportional to exp(log_density) on [-box, box]²,
    (n, 2): a cell by its mass, and a uniform point in it."""
    n, bins = checks.count(n, "n"), checks.count(bins, "bins", 2)
    points, values, cell = _on_grid(log_density, box, bins)
    masses = np.exp(values - logsumexp(values))
    at = points[rng.choice(len(points), n, p=masses / masses.sum())]
    return at + np.sqrt(cell) * (rng.random((n, 2)) - 0.5)


def rank_correlation(log_density: LogDensity, density: Density, *, bins: int = 100) -> float:
    """Spearman's rank correlation of `log_density` with the exact one over the cells of a grid on
    the density's box: 1 if the two order all places alike, about 0 if they have nothing in common.

    Places of no density tie.  ValueError if either is the same everywhere.
    """
    points, found, _ = _on_grid(log_density, density.box, checks.count(bins, "bins", 2))
    exact = density.log_prob(points)
    for name, values in (("log_density", found), ("the exact one", exact)):
        if len(np.unique(values)) < 2:
            raise ValueError(f"{name} is the same at all {len(points)} points: no ranks")
    return float(np.corrcoef(rankdata(found), rankdata(exact))[0, 1])


def _on_grid(log_density: LogDensity, box: float, bins: int):
    """The midpoints of a grid, what a caller's function returns there, a number each, or -inf, and
    the area of a cell."""
    points, cell = grid(box, bins)
    found = checks.real(log_density(points), "log_density")
    checks.shape(found, "log_density", (len(points),), ", one value for each point")
    if bad := np.count_nonzero(np.isnan(found) | (found == np.inf)):
        kind = "NaN" if np.isnan(found).any() else "+inf"
        raise ValueError(
            f"log_density is {kind} at {bad} of {len(points)} points: a density has none"
        )
    return points, found, cell
