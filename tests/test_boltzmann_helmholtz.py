"""The Helmholtz machine, whose likelihood and bound are exact."""

import jax.numpy as jnp
import numpy as np
import pytest

from genlab.boltzmann import exact, helmholtz

BARS = np.array(
    [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 1, 1]], np.float32
)


@pytest.fixture
def small(rng):
    return helmholtz.Helmholtz(
        *(jnp.asarray(rng.normal(size=s), jnp.float32) for s in (3, (4, 3), 4, (4, 3), 3))
    )


def test_the_likelihood_is_a_distribution_and_the_bound_below_it(small):
    v = jnp.asarray(exact.states(4), jnp.float32)
    log_p, bound = (np.asarray(f(small, v)) for f in (helmholtz.log_likelihood, helmholtz.bound))
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-5)
    assert (bound < log_p).all()


def test_the_bound_is_tight_if_recognition_is_exact(small):
    """With no coupling W the causes are independent of the picture, and q = p(h)
    is the posterior."""
    free = small._replace(W=0 * small.W, R=0 * small.R, r=small.a)
    v = jnp.asarray(exact.states(4), jnp.float32)
    np.testing.assert_allclose(
        helmholtz.bound(free, v), helmholtz.log_likelihood(free, v), atol=1e-5
    )


def test_wake_sleep_raises_the_likelihood():
    data = np.tile(BARS, (50, 1))
    rules = helmholtz.Rules(lr=0.2)
    done = helmholtz.train_helmholtz(data, n_hidden=4, steps=8000, seed=0, rules=rules)
    history = done.history
    assert history["log_likelihood"][-1] > -np.log(4) - 0.6 > history["log_likelihood"][0]
    assert (history["bound"] <= history["log_likelihood"] + 1e-5).all()
    assert done.model.W.shape == (6, 4)


def test_bad_input(small):
    about = {"steps": 100, "seed": 0, "rules": helmholtz.Rules()}
    with pytest.raises(ValueError, match="n_hidden=0"):
        helmholtz.train_helmholtz(BARS, n_hidden=0, **about)
    with pytest.raises(ValueError, match="divide the pixels"):
        helmholtz.train_helmholtz(2 * BARS, n_hidden=2, **about)
