"""The bound's terms: one set of weights in both coordinates, and for Gaussian data the exact
likelihood."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.toys import bound, diffusion

S = 1.5  # data N(0, S² I)


def test_weights_are_the_same_in_both_coordinates():
    alphas = diffusion.linear_alphas(200)
    found = bound.sigma_weights(diffusion.sigmas_of(alphas))
    assert np.allclose(bound.vp_weights(alphas), found, rtol=1e-6)
    assert not np.allclose(bound.vp_weights(alphas)[:-1], found[1:], rtol=1e-2)  # a step off
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        bound.vp_weights(np.array([0.5, 1.0]))


def nll_of_a_gaussian(levels: int, wrong: float = 1.0) -> float:
    """The bound by the exact ε̂ = σ x_σ/(S² + σ²), times `wrong`."""
    rng = np.random.default_rng(0)
    sigmas = np.geomspace(0.02, 40, levels)
    x = S * rng.standard_normal((4000, 2))
    noise = rng.standard_normal((levels, *x.shape))
    guess = sigmas[:, None, None] * (x + sigmas[:, None, None] * noise)
    guess = wrong * guess / (S**2 + sigmas[:, None, None] ** 2)
    losses = np.sum((noise - guess) ** 2, axis=-1)
    terms = bound.nll_terms(losses, x, sigmas, data_sd=S)
    assert terms.shape == (levels + 1,) and abs(terms[-1] * 40**2 / S**2 - 1) < 0.1
    return terms.sum()


def test_the_bound_of_a_gaussian_closes_at_first_order_in_the_step():
    """Sum over left ends of an integral: what is too much halves with the step."""
    entropy = np.log(2 * np.pi * np.e * S**2)
    excess = [nll_of_a_gaussian(n) - entropy for n in (50, 100, 200)]
    # over 4,000 points the mean of -log p scatters by 1/sqrt(4000), and the terms by less
    tolerance = 3 / np.sqrt(4000)
    assert excess[0] > excess[1] > excess[2] > -tolerance
    assert abs(excess[0] - 2 * excess[1]) < 2 * tolerance + 0.1 * excess[0]
    assert nll_of_a_gaussian(200, wrong=0.7) - entropy > excess[2] + 5 * tolerance


def test_losses_by_level_are_those_of_the_loss(key):
    from genlab.toys.networks import init_mlp

    params = (jnp.ones((1, 2, 2)), jax.tree.map(lambda p: p[None], init_mlp((7, 4, 2), key=key)))
    x = jnp.ones((1, 2000, 2))
    levels = jnp.array([0.1, 1.0])
    found = bound.losses_by_level(params, x, levels, features=0, data_sd=2.0, key=key)
    assert found.shape == (1, 2, 2000)
    one = jax.tree.map(lambda p: p[0], params)
    noise = jax.random.normal(jax.random.fold_in(key, 7), (2000, 2))
    for row, sigma in zip(found[0], levels, strict=True):
        again = diffusion.noise_prediction_loss(
            one, x[0], jnp.full(2000, sigma), noise, features=0, data_sd=2.0
        )
        se = float(jnp.hypot(row.std(), again.std())) / 2000**0.5
        assert abs(float(row.mean() - again.mean())) < 5 * se
