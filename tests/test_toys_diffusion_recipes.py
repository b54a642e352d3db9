"""Recipes as numbers: each equals the network it stands for, and the arms differ only by what is
left out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.toys import diffusion, diffusion_recipes
from genlab.toys.networks import mlp

SIGMAS = np.geomspace(0.05, 10, 40)


def recipe(**out):
    return diffusion_recipes.Recipe(**diffusion_recipes.FULL | out)


@pytest.fixture
def noisy(key):
    x, _ = jax.random.normal(key, (2, 32, 2))
    return 3 * x, jnp.geomspace(0.02, 15.0, 32)


def test_with_every_repair_it_is_the_network_of_diffusion(key, noisy):
    params = diffusion_recipes.init(recipe(), key=key)
    known = diffusion.predict_noise(params, *noisy, data_sd=diffusion_recipes.DATA_SD, features=16)
    assert np.allclose(diffusion_recipes.predict_noise(params, *noisy, recipe()), known, atol=1e-5)
    for out in ("point_waves", "level_waves", "skip", "third_layer"):  # the twins
        other = diffusion_recipes.predict_noise(params, *noisy, recipe(**{out: 0.0}))
        assert not np.allclose(other, known, atol=1e-2), out


def test_with_none_it_is_a_plain_network_of_point_and_level(key, noisy):
    x, sigma = noisy
    none = diffusion_recipes.Recipe(**diffusion_recipes.NONE)
    _, ((W1, b1), two, _, last) = params = diffusion_recipes.init(none, key=key)
    scale = jnp.sqrt(sigma**2 + diffusion_recipes.DATA_SD**2)[:, None]
    rows = jnp.array([0, 1, 2 + 2 * diffusion_recipes.N_WAVES])
    inputs = jnp.concatenate([x / scale, jnp.log(sigma)[:, None] / 4], axis=-1)
    plain = mlp([(W1[rows], b1), two, last], inputs)
    assert np.allclose(diffusion_recipes.predict_noise(params, x, sigma, none), plain, atol=1e-5)
    assert abs(W1).max() == pytest.approx(3**-0.5, rel=0.02)  # as with three inputs
    assert (
        abs(diffusion_recipes.init(recipe(), key=key)[1][0][0]).max() < 0.12
    )  # as with 83, the twin


def test_a_smaller_batch_is_unbiased_and_a_smaller_pool_is_kept(key):
    data = jnp.arange(2000.0)[:, None] * jnp.ones(2)
    thin = recipe(every=4, pool=100)
    x, _, _, weight = diffusion_recipes.draw(data, jnp.asarray(SIGMAS), thin, key=key)
    assert x.max() < 100 and set(weight.tolist()) == {0.0, 4.0}
    assert weight.mean() == 1.0 and (weight > 0).sum() == 128
    whole = diffusion_recipes.draw(data, jnp.asarray(SIGMAS), recipe(pool=2000), key=key)
    assert whole[0].max() >= 1900 and (whole[3] == 1).all()
    keys = jax.random.split(key, 400)
    levels = jnp.arange(40.0) + 1
    _, drawn, _, weights = jax.vmap(lambda k: diffusion_recipes.draw(data, levels, thin, key=k))(
        keys
    )
    means = (drawn * weights).mean(axis=1)
    se = float(means.std()) / 20
    assert abs(float(means.mean()) - 20.5) < 5 * se + 1e-3
    first = (drawn[:, ::4]).mean(axis=1)  # always the first of four rows: the twin
    assert abs(float(first.mean()) - 20.5) > 5 * float(first.std()) / 20


@pytest.mark.slow
def test_recipes_share_their_random_numbers_and_differ_by_what_is_left_out():
    data = np.random.default_rng(0).normal(size=(2, 300, 2))
    recipes = [
        diffusion_recipes.FULL,
        diffusion_recipes.FULL,
        diffusion_recipes.FULL | {"ema_decay": 0.0},
        diffusion_recipes.NONE,
    ]
    trained = diffusion_recipes.train_recipes(data, [SIGMAS] * 4, recipes, steps=3, seed=0)
    first, same, other, none = np.moveaxis(trained.history["train_loss"], 1, 0)
    assert (first == same).all() and (first == other).all()  # the average is outside the descent
    assert not np.allclose(first, none)
    layers = trained.model[1][1][0]  # (recipes, sets, 128, 128)
    assert layers.shape[:2] == (4, 2)
    assert (layers[0] == layers[1]).all() and not np.allclose(layers[0], layers[2], atol=1e-6)
    up = jnp.asarray(diffusion.karras_sigmas(8, 0.05, 10)[::-1].copy(), jnp.float32)
    x = jnp.asarray(data[:, :5], jnp.float32)
    found = diffusion_recipes.flow_log_probs(
        trained.model, diffusion_recipes.stacked(recipes), x, up
    )
    full = jax.tree.map(lambda p: p[0], trained.model)
    known = diffusion.log_prob_stack(full, x, up, features=16, data_sd=2.0)
    assert found.shape == (4, 2, 5) and np.allclose(found[0], known, atol=1e-3)


def test_recipes_that_cannot_be_followed_are_refused():
    with pytest.raises(ValueError, match="every=3 must divide"):
        diffusion_recipes.stacked([diffusion_recipes.FULL | {"every": 3}])
    with pytest.raises(ValueError, match="at least one"):
        diffusion_recipes.stacked([])
    with pytest.raises(ValueError, match="lr=-1"):
        diffusion_recipes.stacked([diffusion_recipes.FULL | {"lr": -1}])
