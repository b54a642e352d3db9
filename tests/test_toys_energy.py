"""The contrastive gradient against the analytic one, the losses' signs, and a small training
that must learn."""

import averages
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.data.toy import DENSITIES
from genlab.metrics.likelihood import log_z_on_grid
from genlab.toys import energy, networks


def test_contrastive_gradient_is_the_likelihood_gradient(key):
    """E = a x²/2 is N(0, 1/a): d/da of the mean negative log-likelihood is (mean x² - 1/a)/2."""
    a, n = 2.0, 200_000
    data = 1.3 * jax.random.normal(key, (n,))
    model = jax.random.normal(jax.random.fold_in(key, 1), (n,)) / jnp.sqrt(a)

    def loss(fn):
        return jax.grad(lambda a: fn(a * data**2 / 2, a * model**2 / 2))(a)

    analytic = float((jnp.mean(data**2) - 1 / a) / 2)
    # of the model's mean square, the only Monte-Carlo part that differs
    se = 0.5 * np.sqrt(2 / n) / a
    assert abs(float(loss(energy.contrastive_loss)) - analytic) < 4 * se
    flipped = lambda data, model: energy.contrastive_loss(model, data)  # noqa: E731
    assert abs(float(loss(flipped)) - analytic) > 100 * se


def test_absolute_loss_is_blind_to_the_sign():
    low, high = jnp.array([-1.0, -3.0]), jnp.array([1.0, 3.0])
    assert energy.absolute_loss(low, high) == energy.absolute_loss(high, low) == 4.0
    assert energy.contrastive_loss(low, high) == -energy.contrastive_loss(high, low) == -4.0


def small_training(**options):
    rng = np.random.default_rng(3)
    d = DENSITIES["eight_gaussians"]
    data, held_out = (d.sample(n, rng=rng)[None] for n in (20_000, 500))
    options = {
        "hidden": (48, 48),
        "batch_size": 128,
        "n_chains": 128,
        "n_waves": 16,
        "lr": 3e-3,
        "ema_decay": 0.98,
    } | options
    return energy.train_energy(data, held_out, rules=energy.Rules(**options), steps=700, seed=1)


@pytest.fixture(scope="module")
def good():
    return small_training()


def excess(model, base_sd=4.0):
    params = networks.take(model.model, 0)
    f = lambda x: energy.log_density(params, x, base_sd=base_sd)  # noqa: E731
    log_z, error = log_z_on_grid(f, 5.0, bins=200)
    assert error < 0.02
    data = DENSITIES["eight_gaussians"]
    x = data.sample(2_000, rng=np.random.default_rng(0))
    return np.mean(data.log_prob(x) - (f(x) - log_z))


@pytest.mark.slow
def test_training_learns_and_its_wrong_twin_does_not(good):
    # A uniform density on the box is 2 ln 10 - H = 1.77 nats away: well below it is
    # learning, near it is not.
    assert good.chains.shape == (1, 128, 2) and good.history["train_loss"].shape[1] == 1
    assert excess(good) < 0.5
    assert excess(small_training(loss="absolute")) > 1.0


@pytest.mark.slow
def test_samples_are_reproducible_and_start_at_noise(good):
    params = good.model
    one, path = energy.sample_energy(params, n=50, steps=20, seed=0, keep_every=10)
    again, _ = energy.sample_energy(params, n=50, steps=20, seed=0, keep_every=10)
    other, _ = energy.sample_energy(params, n=50, steps=20, seed=1, keep_every=10)
    assert (
        path.shape == (1, 2, 50, 2)
        and np.array_equal(one, again)
        and not np.array_equal(one, other)
    )


def small_stack(models=2):
    keys = jax.random.split(jax.random.key(0), models)
    return jax.vmap(lambda k: networks.init_fourier_mlp((2, 8, 1), 4, bandwidth=1.0, key=k))(keys)


def test_a_stack_of_log_densities_is_each_of_them(rng):
    params, x = small_stack(), rng.normal(size=(2, 30, 2)).astype(np.float32)
    found = energy.log_density_stack(params, x, base_sd=np.array([4.0, np.inf]))
    each = [
        energy.log_density(networks.take(params, i), x[i], base_sd=sd)
        for i, sd in enumerate((4.0, float("inf")))
    ]
    assert np.allclose(found, each, atol=1e-5)
    assert not np.allclose(found, each[::-1], atol=1e-2)


def test_chains_say_what_they_accepted_and_start_where_they_are_told():
    how = {"n": 200, "steps": 1, "seed": 0}
    here, there = (
        energy.run_chains(small_stack(), **how, start_at=at, step_size=1e-4, jumps=0)
        for at in ((0.0, 0.0), (3.0, 0.0))
    )
    shift = (there.points - here.points).mean(axis=(0, 1))
    assert np.allclose(shift, [3, 0], atol=0.02)
    assert (here.accepted["mala"] > 0.95).all() and set(here.accepted) == {"mala"}
    assert set(energy.run_chains(small_stack(), **how).accepted) == {"mala", "jump"}


@pytest.mark.slow
def test_noise_on_the_data_changes_what_is_seen():
    one, other = small_training(hidden=(4,)), small_training(hidden=(4,), data_noise=1.0)
    assert not np.array_equal(one.history["energy_data"], other.history["energy_data"])


def test_unknown_sampler_is_refused():
    with pytest.raises(ValueError, match="sampler='gibbs' must be one of langevin, mala"):
        energy.negative_sampler(lambda x: x[:, 0], sampler="gibbs", step_size=0.1, jumps=0, box=5.0)


@pytest.mark.slow
def test_the_average_of_the_weights_comes_out_and_held_out_points_only_judge():
    data = np.random.default_rng(0).normal(size=(1, 64, 2)).astype(np.float32)

    def train(held_out, decay):
        rules = energy.Rules(
            hidden=(4,), batch_size=32, lr=1e-2, ema_decay=decay, decay_lr=False, n_chains=16,
            sampler="langevin", jumps=0,
        )  # fmt: skip
        return energy.train_energy(data, held_out, rules=rules, steps=1, seed=0)

    averages.check_training(
        train, lambda model: model.model, ("train_loss", "validation_loss"), data
    )
