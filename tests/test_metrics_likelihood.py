"""Likelihood excess against the closed-form KL of Gaussians; the grid integral against a
known constant."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from genlab.data.toy import Density
from genlab.metrics.likelihood import draw_on_grid, log_z_on_grid, rank_correlation


def gaussian(sd):
    law = multivariate_normal(np.zeros(2), sd**2 * np.eye(2))
    return Density("gaussian", 9.0, lambda n, rng: sd * rng.standard_normal((n, 2)), law.logpdf)


def test_grid_integral_and_its_error():
    log_z, error = log_z_on_grid(lambda x: -(x**2).sum(axis=1) / 2, 8.0)
    assert log_z == pytest.approx(np.log(2 * np.pi), abs=1e-9) and error < 1e-9
    _, coarse = log_z_on_grid(lambda x: -(x**2).sum(axis=1) / (2 * 0.05**2), 8.0, bins=100)
    assert coarse > 0.01  # too coarse a grid says so


def test_draws_on_the_grid_have_the_density(rng):
    n, log_density = 20_000, lambda x: -((x - 1) ** 2).sum(axis=1) / (2 * 0.5**2)
    x = draw_on_grid(log_density, 4.0, n=n, rng=rng)
    se = 0.5 / np.sqrt(n)
    assert x.shape == (n, 2) and (abs(x.mean(axis=0) - 1) < 4 * se).all()
    assert abs(x.std() / 0.5 - 1) < 4 / np.sqrt(4 * n)
    tilted = draw_on_grid(lambda x: log_density(x) + 0.5 * x[:, 0], 4.0, n=n, rng=rng)
    assert abs(tilted[:, 0].mean() - 1) > 10 * se


def test_rank_correlation_sees_order_alone():
    # Cells that mirror each other tie but for rounding, up to eight of 10,000.
    p, near = gaussian(1.0), 8 / 100
    assert abs(rank_correlation(lambda x: 7 * p.log_prob(x) ** 3, p) - 1) < near**2
    assert abs(rank_correlation(lambda x: -p.log_prob(x), p) + 1) < near**2
    assert abs(rank_correlation(lambda x: x[:, 0], p)) < near
    with pytest.raises(ValueError, match="log_density is the same"):
        rank_correlation(lambda x: np.zeros(len(x)), p)


def test_bad_input():
    with pytest.raises(ValueError, match="bins=1 must be at least 2"):
        log_z_on_grid(lambda x: x[:, 0], 1.0, bins=1)
    with pytest.raises(ValueError, match="NaN at 9 of 9"):
        rank_correlation(lambda x: x[:, 0] * np.nan, gaussian(1.0), bins=3)
