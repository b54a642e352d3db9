"""The walk against the kernels it stands for, the switches one by one, and a training of arms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.toys import energy, energy_repairs, langevin
from genlab.toys.energy_repairs import Repairs

WALK = {"steps": 60, "step_size": 0.5, "box": 8.0}


def log_gaussian(x):
    return -jnp.sum(x**2, axis=-1) / 2


def variance(on, key):
    start = jax.random.normal(key, (20_000, 2))
    return float(jnp.var(energy_repairs.walk(log_gaussian, start, on, key=key, **WALK)[0]))


def test_the_walk_has_the_variance_of_langevin_and_with_the_test_that_of_the_target(key):
    # of 40,000 numbers: sd of their variance v is v sqrt(2/40,000) = 0.007 v
    plain, tested = variance(Repairs(), key), variance(Repairs(tested=True), key)
    for found, exact, wrong in ((plain, 1 / (1 - 0.5 / 2), 1.0), (tested, 1.0, 4 / 3)):
        assert abs(found - exact) < 4 * 0.0071 * exact
        assert abs(found - wrong) > 10 * 0.0071


def test_without_a_test_the_walk_is_that_of_unadjusted_langevin(key):
    """The same noise gives the same points, step for step."""
    x = jax.random.normal(key, (5, 2))
    _, key_walk = jax.random.split(key)
    found, _ = energy_repairs.walk(
        log_gaussian, x, Repairs(), steps=3, step_size=0.1, box=8.0, key=key
    )
    for i in range(3):
        noise = jax.random.normal(jax.random.split(jax.random.fold_in(key_walk, i))[0], x.shape)
        x = x - 0.1 * x + jnp.sqrt(0.2) * noise
    assert np.allclose(found, x, atol=1e-5) and not np.allclose(found, x + 1e-3, atol=1e-5)


def test_the_share_accepted_is_that_of_mala(key):
    x = jax.random.normal(key, (20_000, 2))
    _, share = energy_repairs.walk(log_gaussian, x, Repairs(tested=True), key=key, **WALK)
    kernel = langevin.mala(log_gaussian, WALK["step_size"])
    _, _, info = langevin.run_chain(kernel, x, steps=WALK["steps"], key=jax.random.key(5))
    # the share of 20,000 chains, were each step of a chain like the others: an upper bound
    assert abs(float(share - info["accepted"].mean())) < 4 * np.sqrt(2 * 0.25 / 20_000)


def test_jumps_cross_between_modes_and_nothing_else_does(key):
    far = lambda x: jax.nn.logsumexp(  # noqa: E731
        jnp.stack([-jnp.sum((x - c) ** 2, axis=-1) / 0.08 for c in (-4.0, 4.0)]), axis=0
    )
    x = jnp.full((400, 2), -4.0)
    keys = jax.random.split(key, 100)
    crossed = {}
    for jumps in (False, True):
        on = Repairs(tested=True, jumps=jumps)
        once = lambda y, k, on=on: (  # noqa: E731
            energy_repairs.walk(far, y, on, steps=1, step_size=0.02, box=8.0, key=k)[0],
            None,
        )
        crossed[jumps] = float((jax.lax.scan(once, x, keys)[0][:, 0] > 0).mean())
    # a jump lands within a mode, area 2π 0.04, with probability 0.001 a mode: 100 jumps, 10 %
    assert crossed[False] == 0.0 and 0.01 < crossed[True] < 0.5


def trained(arms, **more):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(1, 256, 2)).astype(np.float32)
    rules = energy.Rules(
        hidden=(8,), batch_size=64, n_chains=64, n_waves=0, ema_decay=0.0, decay_lr=False,
        l2=0.1, langevin_steps=5, step_size=0.05, lr=1e-2,
    )  # fmt: skip
    return energy_repairs.train_repairs(data, data, arms, rules=rules, steps=30, seed=0, **more)


def test_arms_begin_alike_and_differ_by_their_switches():
    model = trained([Repairs(), Repairs(signed=True), Repairs()])
    assert model.chains.shape == (3, 64, 2) and model.history["train_loss"].shape == (30, 3)
    leaf = np.asarray(jax.tree.leaves(model.model)[-1])
    assert not np.allclose(leaf[0], leaf[1])
    x = energy_repairs.sample_repairs(
        model.model, [Repairs()] * 3, n=7, steps=2, seed=0,
        rules=energy.Rules(hidden=(8,), n_waves=0),
    )  # fmt: skip
    assert x.shape == (3, 7, 2) and np.isfinite(x).all()


def test_the_signed_loss_lowers_the_energy_at_data_and_the_absolute_one_need_not():
    model = trained([Repairs(), Repairs(signed=True, walls=True)])
    gap = np.abs(model.history["train_loss"][-5:].mean(axis=0))
    assert model.history["train_loss"][:, 1].min() < -gap[0] or gap[1] > 0


def test_base_and_no_arm():
    arms = [Repairs(), Repairs(walls=True)]
    assert energy_repairs.base_sds(arms, 4.0).tolist() == [np.inf, 4.0]
    with pytest.raises(ValueError, match="repairs has no arm"):
        trained([])
