"""Denoising score matching against closed forms for Gaussian data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.data.toy import Density
from genlab.toys import score

S, SIGMA, N = 1.4, 0.6, 200_000


def gaussian_density() -> Density:
    draw = lambda n, rng: S * rng.standard_normal((n, 2))  # noqa: E731
    log_density = lambda x: -(x**2).sum(axis=1) / (2 * S**2) - np.log(2 * np.pi * S**2)  # noqa: E731
    return Density("gaussian", 8.0, draw, log_density)


def fitted_slope(loss, key) -> float:
    """The slope a that minimises `loss` for the linear score s(x) = a x: a quadratic in a, solved from three values."""
    x, noise = S * jax.random.normal(key, (N, 2)), jax.random.normal(jax.random.fold_in(key, 1), (N, 2))
    y = x + SIGMA * noise
    low, mid, high = (float(loss(a * y, noise)) for a in (-1.0, 0.0, 1.0))
    return (low - high) / (2 * (low + high - 2 * mid))


def test_the_minimiser_is_the_score_of_the_blurred_gaussian(key):
    exact = -1 / (S**2 + SIGMA**2)
    se = 3 / (SIGMA * np.sqrt(2 * N))
    assert abs(fitted_slope(lambda s, e: score.dsm_loss(s, e, SIGMA), key) - exact) < 4 * se
    assert abs(fitted_slope(lambda s, e: score.dsm_loss(s, -e, SIGMA), key) - exact) > 50 * se  # flipped sign
    assert abs(fitted_slope(lambda s, e: score.dsm_loss(s, e, 1.0), key) - exact) > 10 * se  # forgotten 1/σ


def test_loss_is_summed_over_dimensions_and_averaged_over_the_batch():
    assert float(score.dsm_loss(jnp.zeros((5, 2)), jnp.ones((5, 2)), 0.5)) == pytest.approx(2 / 0.25)


def test_blurred_score_and_loss_floor_are_exact_for_a_gaussian(rng):
    x = rng.standard_normal((200, 2))
    estimate = score.blurred_score(gaussian_density(), x, SIGMA, draws=100_000, rng=rng)
    assert np.abs(estimate + x / (S**2 + SIGMA**2)).max() < 0.05
    floor, se = score.loss_floor(gaussian_density(), SIGMA, n=4_000, draws=40_000, rng=rng)
    exact = 2 * S**2 / (SIGMA**2 * (S**2 + SIGMA**2))  # 2/σ² - 2/(s² + σ²)
    assert abs(floor - exact) < 5 * se
    assert abs(floor - 2 / SIGMA**2) > 5 * se  # the twin that forgets what the score explains


def test_training_approaches_the_floor_and_is_reproducible(rng):
    density = gaussian_density()
    data, held_out = density.sample(20_000, rng=rng)[None], density.sample(1_000, rng=rng)[None]
    model = score.train_single_sigma(data, held_out, sigma=SIGMA, hidden=(32, 32), steps=800, seed=0)
    again = score.train_single_sigma(data, held_out, sigma=SIGMA, hidden=(32, 32), steps=800, seed=0)
    assert np.array_equal(model.history["train_loss"], again.history["train_loss"])
    floor = 2 * S**2 / (SIGMA**2 * (S**2 + SIGMA**2))
    assert model.history["validation_loss"][-30:].mean() < 1.05 * floor < model.history["train_loss"][0, 0]
    x, path = score.sample_langevin(model.params, n=4_000, steps=200, step_size=0.05, seed=0, keep_every=100)
    assert path.shape == (1, 2, 4_000, 2)
    assert abs(x.var() / (S**2 + SIGMA**2) - 1) < 0.15


@pytest.mark.parametrize("sigma", [0.0, -0.1])
def test_sigma_must_be_positive(sigma):
    with pytest.raises(ValueError, match="must be positive"):
        score.train_single_sigma(np.zeros((1, 4, 2)), np.zeros((1, 4, 2)), sigma=sigma, hidden=(4,), steps=1, seed=0)
