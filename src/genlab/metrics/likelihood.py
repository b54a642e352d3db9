"""Likelihoods of models of the plane: the excess over the entropy, and normalising constants on a
grid."""

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

from genlab.data.toy import Density, grid

LogDensity = Callable[[np.ndarray], np.ndarray]


def nll_minus_entropy(
    log_prob: LogDensity, density: Density, *, n: int, rng: np.random.Generator
) -> tuple[float, float]:
    """KL(data || model) in nats and its standard error, from n fresh real points.

    The mean of log p(x) - log q(x) over x ~ p.  The paired difference has the expectation of
    NLL - entropy and a far smaller variance, because both terms see the same points.  `log_prob` is
    the model's *normalised* log q, (n, 2) -> (n,).  Infinite where the model rules out a real
    point.  ValueError for n < 2 or values that are NaN.
    """
    if n < 2:
        raise ValueError(f"n={n} must be at least 2 points")
    x = density.sample(n, rng=rng)
    excess = density.log_prob(x) - np.asarray(log_prob(x), dtype=np.float64)
    if np.isnan(excess).any():
        raise ValueError(f"log_prob is NaN at {np.isnan(excess).sum()} of {n} real points")
    return float(excess.mean()), float(excess.std(ddof=1) / np.sqrt(n))


def log_z_on_grid(log_density: LogDensity, box: float, *, bins: int = 400) -> tuple[float, float]:
    """log of the integral of exp(log_density) over [-box, box]², and the change from a grid of
    half as many bins.

    Midpoint rule; the second number says whether to believe the first.
    """

    def integral(bins):
        points, cell = grid(box, bins)
        return float(logsumexp(log_density(points)) + np.log(cell))

    fine = integral(bins)
    return fine, abs(fine - integral(bins // 2))
