"""Missing pixels against the enumerated conditional distribution."""

import jax.numpy as jnp
import numpy as np
import pytest

from genlab.boltzmann import exact
from genlab.boltzmann.rbm import RBM, complete, init_rbm, top_rows_known


def posterior_mean(rbm, v, known):
    states = exact.states(len(rbm.b))
    p = exact.marginal(
        exact.from_layers([np.asarray(rbm.W)], [np.asarray(rbm.b), np.asarray(rbm.c)]), len(rbm.b)
    )
    p = p * (states[:, known] == v[known]).all(1)
    return p @ states / p.sum()


def test_the_average_is_the_posterior_mean_and_a_free_chain_is_not(key):
    rng = np.random.default_rng(7)
    rbm = RBM(*(jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((5, 3), 5, 3)))
    v, known, chains = (
        np.array([1.0, 0, 1, 0, 1]),
        np.array([True, True, False, False, False]),
        4000,
    )
    start = jnp.asarray(np.tile(v, (chains, 1)), jnp.float32)
    expected = posterior_mean(rbm, v, known)
    last, mean = complete(rbm, start, jnp.asarray(known), steps=40, burn_in=20, key=key)
    error = (np.asarray(mean).mean(0) - expected)[2:] / (
        np.asarray(mean).std(0)[2:] / np.sqrt(chains)
    )
    assert np.abs(error).max() < 4.5
    np.testing.assert_array_equal(np.asarray(last)[:, :2], np.asarray(start)[:, :2])
    bits = (np.asarray(last).mean(0) - expected)[2:] / np.sqrt(expected * (1 - expected) / chains)[
        2:
    ]
    assert np.abs(bits).max() < 4.5
    free, _ = complete(rbm, start, jnp.asarray(known), steps=40, key=key, clamped=False)
    assert np.abs((np.asarray(free).mean(0) - expected) / np.sqrt(0.25 / chains)).max() > 10


def test_removed_rows_and_bad_steps(key):
    assert int(top_rows_known(10).sum()) == 18 * 28 and not bool(top_rows_known(10)[279])
    with pytest.raises(ValueError, match="rows=29"):
        top_rows_known(29)
    rbm = init_rbm(4, 2, key=key)
    with pytest.raises(ValueError, match="steps=3"):
        complete(rbm, jnp.zeros((1, 4)), jnp.ones(4, bool), steps=3, burn_in=3, key=key)
