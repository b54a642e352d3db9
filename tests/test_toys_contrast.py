"""Noise contrast: its gradient vanishes at the truth, and a training finds a known constant."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.metrics.likelihood import log_z_on_grid
from genlab.toys import contrast, energy, networks


def test_the_noise_is_normalised():
    log_z, _ = log_z_on_grid(lambda x: np.asarray(contrast.log_noise(x, 1.5)), 12.0)
    assert log_z == pytest.approx(0.0, abs=1e-5)


def test_the_loss_is_smallest_at_the_right_constant(key):
    """Data N(0, 1) with the right energy: the best c is log 2π, and a wrong noise moves it."""
    n, key_noise = 100_000, jax.random.fold_in(key, 1)
    data, noise = jax.random.normal(key, (n, 2)), 2.0 * jax.random.normal(key_noise, (n, 2))

    def slope(c, sd):
        ratio = lambda x, c: -jnp.sum(x**2, -1) / 2 - c - contrast.log_noise(x, sd)  # noqa: E731
        return float(jax.grad(lambda c: contrast.nce_loss(ratio(data, c), ratio(noise, c)))(c))

    # a mean of n numbers in [0, 1] twice: its error is at most sqrt(2 / 4n)
    error = np.sqrt(0.5 / n)
    assert abs(slope(np.log(2 * np.pi), 2.0)) < 4 * error
    assert abs(slope(np.log(2 * np.pi) + 0.5, 2.0)) > 10 * error
    assert abs(slope(np.log(2 * np.pi), 3.0)) > 10 * error


@pytest.mark.slow
def test_training_learns_log_z():
    data = np.random.default_rng(0).normal(size=(1, 20_000, 2)).astype(np.float32)
    rules = contrast.Rules(hidden=(16,), n_waves=0, noise_sd=2.0, lr=1e-2, ema_decay=0.98)
    model = contrast.train_contrast(data, data[:, :500], rules=rules, steps=400, seed=0).model
    params = networks.take(model.energy, 0)
    log_z, _ = log_z_on_grid(lambda x: energy.log_density(params, x, base_sd=4.0), 8.0)
    begun = np.log(2 * np.pi * 16)
    assert abs(model.log_z[0] - log_z) < 0.1 < abs(begun - log_z)
