"""The deep belief network against enumeration, and against the RBM it is when its layers
are complementary."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from genlab.boltzmann import dbn, likelihood
from genlab.boltzmann.exact import states
from genlab.boltzmann.rbm import RBM, free_energy, init_rbm
from genlab.boltzmann.training import Rules, train_rbm
from genlab.training import Diverged

PATTERNS = np.array(
    [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 1, 1]], np.float32
)


def random_rbm(n_visible, n_hidden, seed):
    rng = np.random.default_rng(seed)
    return RBM(
        *(
            jnp.asarray(rng.normal(size=s), jnp.float32)
            for s in ((n_visible, n_hidden), n_visible, n_hidden)
        )
    )


def exact_log_p(net, v):
    """log p(v) of a network with one directed layer, by summing over its states:
    v (n, n_visible)."""
    layer, top = net.layers[0], net.top
    h = states(len(top.b))
    log_prior = -np.asarray(free_energy(top, jnp.asarray(h, jnp.float32))) - likelihood.log_z_exact(
        top
    )
    logits = h @ np.asarray(layer.W_down, float).T + np.asarray(layer.b, float)
    log_p = (v[:, None] * logits - np.logaddexp(0, logits)).sum(-1)
    return logsumexp(log_prior + log_p, axis=1)


@pytest.fixture
def net():
    return dbn.from_rbms([random_rbm(5, 4, 0), random_rbm(4, 3, 1)])


def test_the_bound_is_below_the_exact_likelihood(net, key):
    v = states(5)
    bound = dbn.bound(
        net, jnp.asarray(v, jnp.float32), likelihood.log_z_exact(net.top), samples=2000, key=key
    )
    exact = exact_log_p(net, v)
    assert np.exp(exact).sum() == pytest.approx(1, abs=1e-5)
    assert (np.asarray(bound) < exact + 0.02).all() and (np.asarray(bound) < exact - 0.05).any()


def test_with_a_complementary_prior_the_bound_is_the_likelihood_of_the_rbm(key):
    rbm = random_rbm(5, 4, 0)
    mirrored = RBM(rbm.W.T, rbm.c, rbm.b)
    net, v = dbn.from_rbms([rbm, mirrored]), jnp.asarray(states(5), jnp.float32)
    bound = dbn.bound(net, v, likelihood.log_z_exact(mirrored), samples=1, key=key)
    np.testing.assert_allclose(
        bound, likelihood.log_likelihood(rbm, v, likelihood.log_z_exact(rbm)), atol=2e-5
    )
    wrong = dbn.bound(
        net._replace(top=mirrored._replace(b=0 * mirrored.b)), v, 0.0, samples=1, key=key
    )
    assert np.std(np.asarray(wrong) - np.asarray(bound)) > 0.1


def test_more_units_than_a_complementary_prior_needs_change_nothing(key):
    rbm = random_rbm(5, 4, 0)
    wide, v = (dbn.complementary(rbm, 9, key=key, scale=0.0), jnp.asarray(states(5), jnp.float32))
    bound = dbn.bound(
        dbn.from_rbms([rbm, wide]), v, likelihood.log_z_exact(wide), samples=1, key=key
    )
    np.testing.assert_allclose(
        bound, likelihood.log_likelihood(rbm, v, likelihood.log_z_exact(rbm)), atol=2e-5
    )
    with pytest.raises(ValueError, match="n_hidden=4: the complementary prior needs at least 5"):
        dbn.complementary(rbm, 4, key=key)


def test_ancestral_samples_have_the_exact_law(net, key):
    n = 20_000
    mean, _ = dbn.sample(net, jnp.zeros((n, 4)), steps=40, key=key)
    v, p = states(5), np.exp(exact_log_p(net, states(5)))
    error = (np.asarray(mean).mean(0) - p @ v) / (0.5 / np.sqrt(n))
    assert np.abs(error).max() < 4.5
    untrained = dbn.from_rbms([random_rbm(5, 4, 0), init_rbm(4, 3, key=key)])
    other, _ = dbn.sample(untrained, jnp.zeros((n, 4)), steps=40, key=key)
    assert np.abs((np.asarray(other).mean(0) - p @ v) / (0.5 / np.sqrt(n))).max() > 10


def test_clamped_labels_stay(net, key):
    labelled = net._replace(top=random_rbm(6, 3, 2))
    x = jnp.tile(jnp.array([[0.0, 1, 0, 1, 0, 1]]), (50, 1))
    mean, last = dbn.sample(labelled, x, steps=10, key=key, clamped=2)
    assert mean.shape == (50, 5)
    np.testing.assert_array_equal(last[:, 4:], x[:, 4:])
    assert np.asarray(last)[:, :4].std() > 0


@pytest.mark.slow
def test_up_down_training_raises_the_likelihood(key):
    data = np.tile(PATTERNS, (50, 1))
    lower = train_rbm(data, n_hidden=4, epochs=40, seed=0, rules=Rules(lr=0.1)).model
    net = dbn.from_rbms([lower, init_rbm(4, 4, key=key)])
    rules = dbn.Rules(lr=0.2, batch_size=50)
    trained = dbn.train_up_down(net, data, epochs=1500, seed=0, rules=rules).model
    before, after = (exact_log_p(n, PATTERNS).mean() for n in (net, trained))
    assert after > -np.log(4) - 0.7 > before
    assert not np.allclose(trained.layers[0].W_up, trained.layers[0].W_down)


@pytest.mark.slow
def test_labels_join_the_top(key):
    net = dbn.from_rbms([init_rbm(6, 5, key=key), init_rbm(5 + 4, 12, key=key)])
    data, labels = np.tile(PATTERNS, (50, 1)), np.tile(np.eye(4, dtype=np.float32), (50, 1))
    rules = dbn.Rules(lr=0.2, batch_size=50)
    trained = dbn.train_up_down(net, data, epochs=2000, seed=0, rules=rules, labels=labels).model
    x = jnp.concatenate(
        [jnp.full((400, 5), 0.5), jnp.asarray(np.repeat(np.eye(4), 100, 0), jnp.float32)], 1
    )
    mean, _ = dbn.sample(trained, x, steps=50, key=key, clamped=4)
    nearest = ((np.asarray(mean)[:, None] - PATTERNS) ** 2).sum(-1).argmin(1)
    assert (nearest == np.repeat(np.arange(4), 100)).mean() > 0.8  # chance is a quarter


def test_bad_input(net, key):
    with pytest.raises(ValueError, match="divide the pixels"):
        dbn.train_up_down(net, np.full((10, 5), 7.0), epochs=1, seed=0, rules=dbn.Rules())
    with pytest.raises(ValueError, match="epochs=0"):
        rules = dbn.Rules(batch_size=5)
        dbn.train_up_down(net, np.zeros((10, 5)), epochs=0, seed=0, rules=rules)
    with pytest.raises(Diverged, match=r"training of the DBN \(up-down\) stopped at step"):
        rules = dbn.Rules(batch_size=5, lr=3e38)
        dbn.train_up_down(net, np.zeros((10, 5)), epochs=3, seed=0, rules=rules)
