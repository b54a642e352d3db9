"""The RBM against enumeration of all its states, missing pixels included, and against the mixture
of Gaussians it is with Gaussian visible units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from genlab.boltzmann import exact as enumerated
from genlab.boltzmann.rbm import (
    RBM,
    complete,
    free_energy,
    gibbs_chain,
    gibbs_film,
    hidden_given_visible,
    init_rbm,
    one_bit_pseudo_log_likelihood,
    pseudo_log_likelihood,
    sample_bits,
    top_rows_known,
    visible_given_hidden,
)

N_VISIBLE, N_HIDDEN = 4, 3


@pytest.fixture
def rbm():
    rng = np.random.default_rng(3)
    return RBM(
        *(
            jnp.asarray(rng.normal(size=s), jnp.float32)
            for s in ((N_VISIBLE, N_HIDDEN), N_VISIBLE, N_HIDDEN)
        )
    )


@pytest.fixture
def exact(rbm):
    return enumerated.from_layers([np.asarray(rbm.W)], [np.asarray(rbm.b), np.asarray(rbm.c)])


def all_v():
    return jnp.asarray(enumerated.states(N_VISIBLE), jnp.float32)


def all_h():
    return jnp.asarray(enumerated.states(N_HIDDEN), jnp.float32)


def kernel(rbm, given=visible_given_hidden):
    """The block Gibbs kernel as a matrix over all v: K(v, v') = Σ_h p(h|v) p(v'|h)."""

    def table(p, x):
        p, x = np.asarray(p, float)[:, None, :], np.asarray(x)[None]
        return np.prod(np.where(x == 1, p, 1 - p), -1)

    v, h = all_v(), all_h()
    return table(hidden_given_visible(rbm, v), h) @ table(given(rbm, h), v)


def test_free_energy_is_the_enumerated_one(rbm, exact):
    joint = enumerated.energy(exact, enumerated.states(7)).reshape(len(all_v()), len(all_h()))
    np.testing.assert_allclose(free_energy(rbm, all_v()), -logsumexp(-joint, axis=1), atol=2e-6)


def test_gibbs_keeps_the_distribution_and_a_wrong_conditional_does_not(rbm, exact):
    p = enumerated.marginal(exact, N_VISIBLE)
    np.testing.assert_allclose(p @ kernel(rbm), p, atol=1e-6)
    wrong = kernel(rbm, lambda rbm, h: visible_given_hidden(rbm._replace(b=0 * rbm.b), h))
    assert np.abs(p @ wrong - p).max() > 0.01


def test_sampled_chains_have_the_exact_law(rbm, exact, key):
    n = 20_000
    v, mean = gibbs_chain(rbm, jnp.zeros((n, N_VISIBLE)), steps=60, key=key)
    p = enumerated.marginal(exact, N_VISIBLE)
    counts = np.bincount(
        np.asarray(v).astype(int) @ (1 << np.arange(N_VISIBLE)[::-1]), minlength=len(p)
    )
    chi2 = ((counts - n * p) ** 2 / (n * p)).sum()
    assert chi2 < 15 + 5 * np.sqrt(30)  # 15 degrees of freedom, five standard deviations
    uniform = np.full(16, n / 16)
    assert ((counts - uniform) ** 2 / uniform).sum() > 15 + 50 * np.sqrt(30)
    film = gibbs_film(rbm, jnp.zeros((n, N_VISIBLE)), np.array([1, 20, 60]), key=key)
    np.testing.assert_array_equal(film[-1], mean)
    assert film.shape == (3, n, N_VISIBLE)


def test_pseudo_likelihood_is_the_sum_of_the_conditionals(rbm, exact, key):
    p, v = (
        enumerated.marginal(exact, N_VISIBLE).reshape((2,) * N_VISIBLE),
        enumerated.states(N_VISIBLE).astype(int),
    )
    expected = [
        sum(
            np.log(p[tuple(x)] / p[(*x[:i], slice(None), *x[i + 1 :])].sum())
            for i in range(N_VISIBLE)
        )
        for x in v
    ]
    found = pseudo_log_likelihood(rbm, all_v())
    np.testing.assert_allclose(found, expected, atol=3e-5)
    many = jnp.tile(all_v(), (4000, 1))
    draws = np.asarray(one_bit_pseudo_log_likelihood(rbm, many, key=key)).reshape(4000, 16)
    error = (draws.mean(0) - expected) / (draws.std(0) / np.sqrt(4000))
    assert np.abs(error).max() < 4.5
    assert draws.std(0).min() > 0.1  # a noisy estimate, as the page says


def test_gaussian_visible_units_are_a_mixture_of_gaussians():
    s = jnp.array([0.7, 1.3])
    rbm = RBM(
        jnp.array([[0.5, -1.0], [0.8, 0.3]]), jnp.array([0.2, -0.4]), jnp.array([0.1, -0.6]), s
    )
    v = np.random.default_rng(0).normal(size=(50, 2))
    h = enumerated.states(2)
    centres = h @ np.asarray(rbm.W).T + np.asarray(rbm.b)
    log_weights = h @ np.asarray(rbm.c) + (
        (centres**2 - np.asarray(rbm.b) ** 2) / (2 * np.asarray(s) ** 2)
    ).sum(1)
    log_z = logsumexp(log_weights) + np.log(np.sqrt(2 * np.pi) * np.asarray(s)).sum()
    density = logsumexp(
        log_weights
        - logsumexp(log_weights)
        + norm.logpdf(v[:, None], centres, np.asarray(s)).sum(-1),
        axis=1,
    )
    np.testing.assert_allclose(
        -np.asarray(free_energy(rbm, jnp.asarray(v))) - log_z, density, atol=2e-5
    )


def test_gaussian_gibbs_keeps_mean_and_covariance(key):
    rbm = RBM(jnp.array([[1.5], [-1.0]]), jnp.array([0.2, -0.4]), jnp.array([0.3]), jnp.ones(2))
    v, _ = gibbs_chain(rbm, jnp.zeros((20_000, 2)), steps=50, key=key)
    logit = 0.3 + ((np.array([1.7, -1.4]) ** 2).sum() - (np.array([0.2, -0.4]) ** 2).sum()) / 2
    q = 1 / (1 + np.exp(-logit))
    sd = np.sqrt(1 + q * (1 - q) * np.array([1.5, 1.0]) ** 2)
    expected = np.array([0.2, -0.4]) + q * np.array([1.5, -1.0])
    assert np.abs((np.asarray(v).mean(0) - expected) / (sd / np.sqrt(20_000))).max() < 4.5
    assert np.abs((np.asarray(v).mean(0) - [0.2, -0.4]) / (sd / np.sqrt(20_000))).max() > 40


def posterior_mean(rbm, v, known):
    states = enumerated.states(len(rbm.b))
    p = enumerated.marginal(
        enumerated.from_layers([np.asarray(rbm.W)], [np.asarray(rbm.b), np.asarray(rbm.c)]),
        len(rbm.b),
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


def test_a_model_needs_units(key):
    with pytest.raises(ValueError, match="n_hidden=0"):
        init_rbm(4, 0, key=key)
    empty = init_rbm(4, 2, key=key, mean=np.array([0, 0.5, 1, 0.25]))
    np.testing.assert_allclose(jax.nn.sigmoid(empty.b), [0.001, 0.5, 0.999, 0.25], atol=1e-6)


def check_bits(draw, key) -> None:
    """Means of a million draws within their error at probabilities near 0, ½ and 1, no draw against
    a certainty, and neighbours independent."""
    n = 2**20
    for i, p in enumerate((2**-12, 0.01, 0.3, 0.5, 0.7, 0.99, 1 - 2**-12)):
        bits = np.asarray(draw(jnp.full(n, p), key=jax.random.fold_in(key, i)), np.float64)
        sd = np.sqrt(p * (1 - p))
        assert set(np.unique(bits)) <= {0.0, 1.0}
        # p counts to the nearest 2⁻¹⁶
        assert abs(bits.mean() - p) < 5 * sd / np.sqrt(n) + 2**-17, (p, bits.mean())
        for lag in (1, n // 2):  # both halves of a word, and words in a row
            both = np.mean((bits - p) * (np.roll(bits, lag) - p)) / sd**2
            assert abs(both) < 5 / np.sqrt(n) + 1e-3
    assert not draw(jnp.zeros(n), key=key).any() and draw(jnp.ones(n), key=key).all()


def test_bits_have_their_probabilities(key):
    check_bits(sample_bits, key)
    for bias in (2**-8, -(2**-8)):  # an eighth-bit slip, either way
        with pytest.raises(AssertionError):
            check_bits(lambda p, key, b=bias: sample_bits(p + b, key=key), key)


def one_by_one(w=4.0, b=-2.0, c=-2.0):
    return RBM(jnp.array([[w]]), jnp.array([b]), jnp.array([c]))


def check_steps(chain, key, steps) -> None:
    """One unit below and one above: p(v = 1) after every number of steps from v = 1, by the two by
    two matrix of one step, against 200,000 chains."""
    n, sigmoid = 200_000, lambda x: 1 / (1 + np.exp(-x))
    h = sigmoid(np.array([-2.0, 2.0]))  # p(h = 1 | v)
    step = h * sigmoid(2.0) + (1 - h) * sigmoid(-2.0)  # p(v' = 1 | v)
    p = 1.0
    for _ in range(steps):
        p = p * step[1] + (1 - p) * step[0]
    v = chain(one_by_one(), jnp.ones((n, 1)), steps=steps, key=key)
    assert abs(float(v.mean()) - p) < 5 * 0.5 / np.sqrt(n)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_chains_take_exactly_their_steps(steps, key):
    """One more or one fewer is seen: a step changes p by several hundredths."""

    def chain(rbm, v, steps, key):
        return gibbs_chain(rbm, v, steps=steps, key=key)[0]

    def film(rbm, v, steps, key):
        """Its last picture is E[v|h]: as a mean over chains the same."""
        return gibbs_film(rbm, v, jnp.array([1, steps]) if steps > 1 else jnp.array([1]), key=key)[
            -1
        ]

    for kind in (chain, film):
        check_steps(kind, key, steps)
        for wrong in (-1, 1):
            with pytest.raises(AssertionError):
                check_steps(
                    lambda rbm, v, steps, key, k=kind, w=wrong: (
                        k(rbm, v, steps=steps + w, key=key) if steps + w else v
                    ),
                    key,
                    steps,
                )
