"""The densities against their own samples: mass, histograms, entropies, and densities with
a planted fault."""

from functools import cache

import numpy as np
import pytest
from scipy.stats import chi2

from genlab.data.toy import DENSITIES, SETS, grid

ALL = list(DENSITIES)


@pytest.mark.parametrize("name", ALL)
def test_density_has_mass_one_on_its_box(name):
    d = DENSITIES[name]
    points, cell = grid(d.box, 200)
    assert np.exp(d.log_prob(points)).sum() * cell == pytest.approx(1.0, abs=2e-3)


@cache
def cell_masses(name, bins):
    """Cell probabilities from the density (fine midpoint rule)."""
    d = DENSITIES[name]
    fine, cell = grid(d.box, bins * 20)
    return (np.exp(d.log_prob(fine)) * cell).reshape(bins, 20, bins, 20).sum(axis=(1, 3))


def chi_square_p(name, x, bins=12):
    """p-value of the histogram of x against the cell probabilities."""
    d, mass = DENSITIES[name], cell_masses(name, bins)
    counts, _, _ = np.histogram2d(x[:, 1], x[:, 0], bins=bins, range=[[-d.box, d.box]] * 2)
    expected = mass * len(x)
    keep = expected > 8
    statistic = ((counts[keep] - expected[keep]) ** 2 / expected[keep]).sum()
    return chi2.sf(statistic, keep.sum() - 1)


@pytest.mark.parametrize("name", ALL)
def test_samples_follow_the_density_and_a_shifted_copy_does_not(name, rng):
    x = DENSITIES[name].sample(40_000, rng=rng)
    assert x.dtype == np.float32 and x.shape == (40_000, 2)
    assert chi_square_p(name, x) > 1e-4
    assert chi_square_p(name, x + 0.1) < 1e-6


@pytest.mark.parametrize("name", ALL)
def test_entropy_agrees_with_samples(name, rng):
    d = DENSITIES[name]
    surprise = -d.log_prob(d.sample(20_000, rng=rng))
    assert abs(surprise.mean() - d.entropy) < 4 * surprise.std() / np.sqrt(20_000) + 1e-3


def test_known_entropies():
    assert DENSITIES["checkerboard"].entropy == pytest.approx(np.log(32))
    separated = np.log(25) + 1 + np.log(2 * np.pi * 0.05**2)  # the 25 modes do not overlap
    assert DENSITIES["grid_25"].entropy == pytest.approx(separated, abs=1e-4)
    assert DENSITIES["eight_gaussians"].entropy == pytest.approx(2.834, abs=0.005)
    assert DENSITIES["pinwheel"].entropy == pytest.approx(2.322, abs=0.01)


def test_mixture_density_is_its_formula(rng):
    d = DENSITIES["eight_gaussians"]
    x = rng.standard_normal((5, 2)) * 2
    each = np.exp(-((x[:, None] - d.centres) ** 2).sum(-1) / (2 * d.centre_sd**2)) / (
        2 * np.pi * d.centre_sd**2
    )
    assert np.allclose(d.log_prob(x), np.log(each.mean(axis=1)))


def test_same_rng_same_sample_and_streams_differ():
    for name in SETS:
        one, two, other = (
            DENSITIES[name].sample(10, rng=np.random.default_rng(s)) for s in (1, 1, 2)
        )
        assert np.array_equal(one, two) and not np.array_equal(one, other)


def test_bad_input(rng):
    with pytest.raises(ValueError, match="n=0 must be at least 1"):
        DENSITIES["pinwheel"].sample(0, rng=rng)
    with pytest.raises(ValueError, match=r"shape \(3,\) must be \(n, d\)"):
        DENSITIES["pinwheel"].log_prob(np.zeros(3))
    assert DENSITIES["checkerboard"].log_prob(np.array([[9.0, 0.0]]))[0] == -np.inf
