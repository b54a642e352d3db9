"""The enumerated machine, against sums written out by hand and finite differences."""

import itertools

import numpy as np
import pytest

from genlab.boltzmann import exact


@pytest.fixture
def small():
    rng = np.random.default_rng(1)
    W = np.triu(rng.normal(size=(5, 5)), 1)
    return exact.Machine(W + W.T, rng.normal(size=5))


def test_log_z_and_probabilities_are_the_plain_sum(small):
    def minus_energy(x):
        pairs = sum(small.W[i, j] * x[i] * x[j] for i in range(5) for j in range(i + 1, 5))
        return pairs + sum(small.b[i] * x[i] for i in range(5))

    weights = np.array([np.exp(minus_energy(x)) for x in itertools.product((0, 1), repeat=5)])
    assert exact.log_z(small) == pytest.approx(np.log(weights.sum()), rel=1e-12)
    np.testing.assert_allclose(exact.probabilities(small), weights / weights.sum(), rtol=1e-12)


def test_gradient_is_that_of_finite_differences(small):
    v = np.random.default_rng(2).integers(0, 2, (7, 3))
    gradient, tiny = exact.log_likelihood_gradient(small, v), 1e-5

    def moved(i, j, by):
        W, b = small.W.copy(), small.b.copy()
        if i == j:
            b[i] += by
        else:
            W[i, j] += by
            W[j, i] += by
        return exact.log_likelihood(exact.Machine(W, b), v).mean()

    for i in range(5):
        for j in range(i, 5):
            slope = (moved(i, j, tiny) - moved(i, j, -tiny)) / (2 * tiny)
            assert (gradient.b[i] if i == j else gradient.W[i, j]) == pytest.approx(slope, abs=1e-9)
    assert not np.diag(gradient.W).any()


def test_layers_are_blocks_and_bad_ones_are_refused():
    W = np.arange(6.0).reshape(2, 3)
    built = exact.from_layers([W], [np.zeros(2), np.zeros(3)])
    np.testing.assert_array_equal(built.W[:2, 2:], W)
    np.testing.assert_array_equal(built.W, built.W.T)
    with pytest.raises(ValueError, match=r"weights\[0\] of shape \(2, 3\) must be \(3, 2\)"):
        exact.from_layers([W], [np.zeros(3), np.zeros(2)])
    with pytest.raises(ValueError, match="at most 20"):
        exact.states(21)
