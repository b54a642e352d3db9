"""A variational autoencoder: with the exact posterior of a linear Gaussian model its bound is the
likelihood."""

import averages
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from genlab.toys import variational

SD = 0.6  # x | z ~ N(W z, SD² I), z ~ N(0, I)
# An encoder with independent coordinates is exact where those of the posterior are independent: for
# W with orthogonal columns.
ORTHOGONAL = np.array([[1.5, -0.4], [0.6, 1.0]])


def linear(weight):
    """Decoder and exact encoder of a linear model whose columns are orthogonal."""
    weight = jnp.asarray(weight, jnp.float32)
    variance = 1 / (1 + jnp.sum(weight**2, axis=0) / SD**2)

    def decode(z):
        mean = z @ weight.T
        return mean, jnp.full(mean.shape, jnp.log(SD))

    def encode(x):
        mean = x @ weight / SD**2 * variance
        return mean, jnp.broadcast_to(jnp.log(variance) / 2, mean.shape)

    return encode, decode


def test_with_the_exact_posterior_the_bound_is_the_likelihood(key):
    encode, decode = linear(ORTHOGONAL)
    x = 2.0 * jax.random.normal(key, (40, 2))
    noise = jax.random.normal(key, (3, 40, 2))
    weights = variational.log_weights(encode, decode, x, noise)
    exact = stats.multivariate_normal(cov=ORTHOGONAL @ ORTHOGONAL.T + SD**2 * np.eye(2)).logpdf(x)
    # Every weight is p(x), whatever the code: no Monte-Carlo error, single precision alone.
    assert np.allclose(weights, exact, atol=1e-4)
    assert np.allclose(variational.bound(weights), exact, atol=1e-4)
    # the twin: a posterior that is too wide lowers the bound, and many codes mend it
    wide = lambda x: (encode(x)[0], encode(x)[1] + 1.0)  # noqa: E731
    many = variational.log_weights(wide, decode, x, jax.random.normal(key, (4000, 40, 2)))
    se = np.asarray(many.std(axis=0)) / np.sqrt(4000)
    kl = 2 * (-1.0 + (np.exp(2.0) - 1) / 2)  # of the wide posterior from the exact one
    assert (np.abs(np.asarray(many.mean(axis=0)) - (exact - kl)) < 5 * se).all()
    assert np.allclose(variational.bound(many), exact, atol=0.2)


def test_the_posterior_of_the_oracle_is_exact():
    """The oracle's own oracle: the closed form of the linear Gaussian posterior."""
    assert abs(ORTHOGONAL[:, 0] @ ORTHOGONAL[:, 1]) < 1e-12
    precision = np.eye(2) + ORTHOGONAL.T @ ORTHOGONAL / SD**2
    encode, _ = linear(ORTHOGONAL)
    mean, log_sd = encode(jnp.array([[1.0, -2.0]]))
    assert np.allclose(np.exp(-2 * np.asarray(log_sd[0])), np.diag(precision), rtol=1e-5)
    assert np.allclose(
        mean[0], np.linalg.solve(precision, ORTHOGONAL.T @ [1.0, -2.0]) / SD**2, rtol=1e-4
    )


def test_bounds_rise_with_the_codes_and_samples_have_the_decoders_form(key):
    rules = variational.Rules(hidden=(8,), n_waves=2)
    params = jax.vmap(lambda k: variational.init(rules, -1.0, key=k))(jax.random.split(key, 2))
    x = jax.random.normal(key, (2, 30, 2))
    elbo, iw = variational.log_prob_bounds_stack(params, x, key, samples=50, latent=2, data_sd=2.0)
    assert elbo.shape == iw.shape == (2, 30) and (iw >= elbo).all()  # Jensen's inequality
    drawn = variational.sample_stack(params, key, n=500, latent=2, data_sd=2.0)
    assert drawn.shape == (2, 500, 2)
    # Twice the unit doubles the points.
    wide = variational.sample_stack(params, key, n=500, latent=2, data_sd=4.0)
    assert np.allclose(wide, 2 * drawn, rtol=1e-5)


def test_standard_deviations_start_where_they_are_told(key):
    for log_sd in (-3.0, 0.0):
        rules = variational.Rules(hidden=(8,), n_waves=2)
        encode, decode = variational.coders(variational.init(rules, log_sd, key=key))
        x = jax.random.normal(key, (50, 2))
        for coder in (encode, decode):
            expected = variational.LOG_SD * np.tanh(log_sd / variational.LOG_SD)
            assert np.abs(np.asarray(coder(x)[1]) - expected).max() < 1.0


@pytest.mark.slow
def test_the_average_of_the_weights_comes_out_and_held_out_points_only_judge():
    data = np.random.default_rng(0).normal(size=(1, 64, 2)).astype(np.float32)

    def train(held_out, decay):
        rules = variational.Rules(
            hidden=(4,), batch_size=32, lr=1e-2, ema_decay=decay, decay_lr=False
        )
        return variational.train_vae(data, held_out, rules=rules, steps=1, seed=0)

    averages.check_training(
        train, lambda model: model.model, ("train_loss", "validation_loss"), data
    )


@pytest.mark.slow
def test_a_small_training_nears_the_entropy_of_a_gaussian():
    """A correlated Gaussian: the bound must beat independent coordinates, and not the truth."""
    rng = np.random.default_rng(0)
    chol = np.array([[1.0, 0.0], [1.2, 0.5]])
    data = (rng.standard_normal((1, 20_000, 2)) @ chol.T).astype(np.float32)
    rules = variational.Rules(hidden=(16,), batch_size=256, n_waves=2, ema_decay=0.98)
    model = variational.train_vae(
        data, data[:, :500], rules=rules, steps=600, seed=0, start_log_sd=[-1.0]
    ).model
    x = rng.standard_normal((1, 2000, 2)) @ chol.T
    exact = stats.multivariate_normal(cov=chol @ chol.T).logpdf(x[0])
    twin = stats.norm.logpdf(x[0], scale=x[0].std(axis=0)).sum(axis=1)
    _, iw = variational.log_prob_bounds_stack(
        model, jnp.asarray(x, jnp.float32), jax.random.key(1), samples=200, latent=2, data_sd=2.0
    )
    below = exact - np.asarray(iw)[0]
    assert -5 * below.std() / 2000**0.5 < below.mean() < 0.3 * (exact - twin).mean()
