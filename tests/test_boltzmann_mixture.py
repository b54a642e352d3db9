"""Mixtures of independent pixels against sums over all pictures."""

import itertools

import numpy as np
import pytest

from genlab.boltzmann import mixture
from genlab.boltzmann.exact import states

ALL = states(6)
KNOWN = np.array([1, 0, 1, 1, 0, 0], bool)


def random_mixture(k=3, d=6, seed=0):
    rng = np.random.default_rng(seed)
    w = rng.random(k)
    return mixture.Mixture(w / w.sum(), rng.uniform(0.05, 0.95, (k, d)))


def test_probabilities_sum_to_one_and_so_do_conditionals():
    m = random_mixture()
    p = np.exp(mixture.log_prob(m, ALL))
    assert p.sum() == pytest.approx(1, abs=1e-12)
    for v in ALL[[0, 21, 63]]:
        fits = (ALL[:, KNOWN] == v[KNOWN]).all(1)
        given = np.exp(mixture.log_conditional(m, ALL[fits], KNOWN))
        assert given.sum() == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(given, p[fits] / p[fits].sum(), rtol=1e-10)
        mean = mixture.complete(m, v[None], KNOWN)[0]
        np.testing.assert_allclose(mean, given @ ALL[fits], atol=1e-12)
        # the wrong twin: the components' prior shares in place of those given what is seen
        assert np.abs(m.weights @ m.means - mean)[~KNOWN].max() > 0.01


def test_smoothed_shapes_are_flipped_copies(rng):
    shapes = rng.integers(0, 2, (5, 6)).astype(np.float32)
    m = mixture.smoothed(shapes, flip=0.1)
    differ = (ALL[:, None] != shapes).sum(-1)
    exact = np.log((0.1**differ * 0.9 ** (6 - differ)).mean(1))
    np.testing.assert_allclose(mixture.log_prob(m, ALL), exact, rtol=1e-6)


def test_each_step_raises_the_penalised_likelihood(rng):
    v = (rng.random((60, 6)) < random_mixture(2).means[rng.integers(0, 2, 60)]).astype(float)
    m, values = random_mixture(4, seed=1), []
    for _ in range(20):
        log_prior = 0.5 * (
            np.log(m.means).sum() + np.log(1 - m.means).sum() + np.log(m.weights).sum()
        )
        values.append(mixture.log_prob(m, v).sum() + log_prior)
        m = mixture.em_step(m, v, 0.5)
    assert all(b >= a - 1e-9 for a, b in itertools.pairwise(values)) and values[-1] > values[0] + 1
    assert m.weights.sum() == pytest.approx(1) and m.means.min() > 0 and m.means.max() < 1
    # the wrong twin: shares that forget the components' means
    wrong = mixture.em_step(m._replace(means=np.full_like(m.means, 0.5)), v, 0.5)
    assert mixture.log_prob(wrong, v).sum() < mixture.log_prob(m, v).sum() - 1


def test_a_fit_finds_the_patterns(rng):
    patterns = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], float)
    m = mixture.fit(np.tile(patterns, (50, 1)), components=5, prior=0.01, rng=rng)
    assert mixture.log_prob(m, patterns).mean() > -np.log(2) - 0.6
    with pytest.raises(ValueError, match="components=5 must be at most 4 for 4 rows"):
        mixture.fit(patterns.repeat(2, 0), components=5, rng=rng)


def test_bad_input(rng):
    m = random_mixture()
    for call, message in (
        (lambda: mixture.log_prob(m, 3 * ALL[1:]), "divide the pixels"),
        (lambda: mixture.log_conditional(m, ALL, KNOWN[:3]), "known of shape"),
        (lambda: mixture.complete(m, ALL, 2 * KNOWN), "yes or no"),
        (lambda: mixture.smoothed(ALL, flip=0.0), "flip=0.0"),
        (lambda: mixture.fit(ALL, components=2, prior=0.0, rng=rng), "prior=0.0"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
