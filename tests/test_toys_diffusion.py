"""Diffusion: schedules, the loss, and a training against the exact posterior."""

import averages
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.data.toy import DENSITIES
from genlab.toys import diffusion
from genlab.toys.networks import init_mlp


def test_schedules():
    alphas = diffusion.linear_alphas(1000)
    sigmas = diffusion.sigmas_of(alphas)
    assert alphas[0] == 1 - 1e-4 and alphas[-1] == 0.98 and len(sigmas) == 1000
    # σ_1 uses ᾱ_1 = α_1; off by one it would be 0
    assert np.isclose(sigmas[0], np.sqrt(1e-4 / (1 - 1e-4)))
    assert np.isclose(1 / (1 + sigmas[-1] ** 2), np.prod(alphas))
    # the twin that misses a step
    assert not np.isclose(1 / (1 + sigmas[-1] ** 2), np.prod(alphas[:-1]), rtol=1e-3)
    levels = diffusion.karras_sigmas(10, 0.01, 20.0)
    assert (
        len(levels) == 11 and levels[0] == pytest.approx(20.0) and levels[-1] == pytest.approx(0.01)
    )
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        diffusion.sigmas_of(np.array([0.9, 1.0]))


@pytest.mark.slow
def test_small_training_nears_the_exact_posterior_of_a_mixture(key):
    """The smallest reachable loss is that of the exact ε̂ = -σ score, known for Gaussians;
    a straight line is not enough."""
    rng = np.random.default_rng(0)
    d = DENSITIES["eight_gaussians"]
    data, held_out = (d.sample(n, rng=rng)[None] for n in (20_000, 500))
    levels = np.geomspace(0.05, 10, 200)
    model = diffusion.train_diffusion(
        data, held_out, levels, steps=800, seed=0,
        rules=diffusion.Rules(hidden=(48, 48), batch_size=128, ema_decay=0.98),
    )  # fmt: skip
    assert model.history["train_loss_by_band"].shape[1:] == (1, diffusion.BANDS)
    params = jax.tree.map(lambda p: p[0], model.model)
    key_noise, key_level = jax.random.split(key)
    n = 8000
    x = jnp.asarray(d.sample(n, rng=rng), jnp.float32)
    sigma = 0.5 * 6.0 ** jax.random.uniform(key_level, (n,))  # 0.5 to 3: the modes merge here
    noise = jax.random.normal(key_noise, (n, 2))
    noisy, variance = x + sigma[:, None] * noise, d.centre_sd**2 + sigma[:, None] ** 2
    centres = jnp.asarray(d.centres, jnp.float32)
    weights = jax.nn.softmax(
        -jnp.sum((noisy[:, None] - centres) ** 2, axis=-1) / (2 * variance), axis=-1
    )
    exact = sigma[:, None] * (noisy - weights @ centres) / variance
    # right for one Gaussian, the twin
    line = sigma[:, None] * noisy / (sigma[:, None] ** 2 + x.var())
    found = diffusion.noise_prediction_loss(params, x, sigma, noise, data_sd=2.0, features=16)
    floor, twin = (jnp.sum((noise - guess) ** 2, axis=-1) for guess in (exact, line))
    excess, excess_twin, se = (
        float((found - floor).mean()),
        float((twin - floor).mean()),
        float((found - floor).std()) / n**0.5,
    )
    assert excess > -5 * se  # nothing beats the posterior mean
    assert excess < 0.25 * excess_twin


def test_noise_loss_is_weighted_score_loss(key):
    """‖ε - ε̂‖² = σ² ‖score + ε/σ‖², and not ‖score + ε/σ‖² itself."""
    layers = init_mlp((2 + 2 * 4 + 1 + 16, 8, 2), key=key)
    params, network = (jnp.ones((2, 4)), layers), {"data_sd": 2.0, "features": 16}
    x, noise = jax.random.normal(key, (2, 64, 2))
    s = diffusion.score_of(params, **network)(x + 0.7 * noise, jnp.float32(0.7))
    losses = diffusion.noise_prediction_loss(params, x, jnp.full((64,), 0.7), noise, **network)
    denoising = jnp.sum((s + noise / 0.7) ** 2, axis=-1)
    assert np.allclose(losses, 0.7**2 * denoising, rtol=1e-4)
    assert not np.allclose(losses, denoising, rtol=1e-4)


def test_unknown_method_is_refused(key):
    with pytest.raises(ValueError, match="method='rk4' must be"):
        diffusion.sample_stack([], key, jnp.ones(3), n=4, method="rk4", features=0, data_sd=1.0)


@pytest.mark.slow
def test_the_average_of_the_weights_comes_out_and_held_out_points_only_judge():
    data = np.random.default_rng(0).normal(size=(1, 64, 2)).astype(np.float32)

    def train(held_out, decay):
        return diffusion.train_diffusion(
            data, held_out, np.array([0.5, 1.0]), steps=1, seed=0,
            rules=diffusion.Rules(
                hidden=(4,), batch_size=32, lr=1e-2, ema_decay=decay, decay_lr=False
            ),
        )  # fmt: skip

    averages.check_training(
        train, lambda model: model.model, ("train_loss", "validation_loss"), data
    )
