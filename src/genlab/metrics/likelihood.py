"""Likelihoods of models of the plane: the excess over the entropy, and normalising constants on a
grid."""

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp
from scipy.stats import rankdata

from genlab import checks
from genlab.data.toy import Density, grid

LogDensity = Callable[[np.ndarray], np.ndarray]


def nll_minus_entropy(
    log_prob: LogDensity, density: Density, *, n: int, rng: np.random.Generator
) -> tuple[float, float]:
    """KL(data || model) in nats and its standard error, from n fresh real points.

    The mean of log p(x) - log q(x) over x ~ p.  The paired difference has the expectation of
    NLL - entropy and a far smaller variance, because both terms see the same points.  `log_prob` is
    the model's *normalised* log q, (n, 2) -> (n,).  Infinite where the model rules out a real
    point.  ValueError for n < 2, or what `log_prob` returns if it is NaN or of another shape.
    """
    n = checks.count(n, "n", 2, hint=" points")
    x = density.sample(n, rng=rng)
    excess = density.log_prob(x) - _values(log_prob(x), "log_prob", n)
    return float(excess.mean()), float(excess.std(ddof=1) / np.sqrt(n))


def log_z_on_grid(log_density: LogDensity, box: float, *, bins: int = 400) -> tuple[float, float]:
    """log of the integral of exp(log_density) over [-box, box]², and the change from a grid of
    half as many bins.

    Midpoint rule; the second number says whether to believe the first.
    """

    box, bins = checks.number(box, "box", "positive"), checks.count(bins, "bins", 2)

    def integral(bins):
        points, cell = grid(box, bins)
        values = _values(log_density(points), "log_density", len(points))
        return float(logsumexp(values) + np.log(cell))

    fine = integral(bins)
    return fine, abs(fine - integral(bins // 2))


def draw_on_grid(
    log_density: LogDensity, box: float, *, n: int, rng: np.random.Generator, bins: int = 400
) -> np.ndarray:
    """`n` independent points of the density proportional to exp(log_density) on [-box, box]²,
    (n, 2): a cell by its mass, and a uniform point in it."""
    n, bins = checks.count(n, "n"), checks.count(bins, "bins", 2)
    points, cell = grid(checks.number(box, "box", "positive"), bins)
    values = _values(log_density(points), "log_density", len(points))
    masses = np.exp(values - logsumexp(values))
    at = points[rng.choice(len(points), n, p=masses / masses.sum())]
    return at + np.sqrt(cell) * (rng.random((n, 2)) - 0.5)


def rank_correlation(log_density: LogDensity, density: Density, *, bins: int = 100) -> float:
    """Spearman's rank correlation of `log_density` with the exact one over the cells of a grid on
    the density's box: 1 if the two order all places alike, about 0 if they have nothing in common.

    Places of no density tie.  ValueError if either is the same everywhere.
    """
    points, _ = grid(density.box, checks.count(bins, "bins", 2))
    found = _values(log_density(points), "log_density", len(points))
    exact = density.log_prob(points)
    for name, values in (("log_density", found), ("the exact one", exact)):
        if len(np.unique(values)) < 2:
            raise ValueError(f"{name} is the same at all {len(points)} points: no ranks")
    return float(np.corrcoef(rankdata(found), rankdata(exact))[0, 1])


def _values(found, name: str, n: int) -> np.ndarray:
    """What a caller's function returned for n points: a number each, or -inf."""
    found = checks.shape(checks.real(found, name), name, (n,), ", one value for each point")
    if bad := np.count_nonzero(np.isnan(found) | (found == np.inf)):
        kind = "NaN" if np.isnan(found).any() else "+inf"
        raise ValueError(f"{name} is {kind} at {bad} of {n} points: a density has none")
    return found
