"""A noise predictor whose repairs are numbers, so that trainings with and without each of them run
side by side in one compiled program.

`FULL` is the repaired model of `diffusion.Rules`, `NONE` the settings of a model without repairs;
a recipe in between leaves one repair out: ``FULL | {"skip": 0.0}``.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab import checks
from genlab.streams import stream
from genlab.toys import diffusion, samplers
from genlab.toys.networks import fourier_features, init_fourier_mlp
from genlab.training import Trained
from genlab.training.jax import Weights, ema, start_weights, train

DATA_SD, N_WAVES, FEATURES, WIDTH = 2.0, 32, 16, 128
BATCH = 512
ADAM = optax.scale_by_adam()


class Recipe(NamedTuple):
    """How one noise predictor is trained; each field a number, or one for each of many models.

    0 or 1, without and with: `point_waves` Fourier features of the point, `level_waves` of the
    level, `skip` the part that is right for Gaussian data, `third_layer`, `decay_lr` a cosine to
    zero.  `lr` and `ema_decay` as in `diffusion.Rules`; one of `every` rows of a batch of BATCH
    counts; points come from the first `pool` of the data.
    """

    point_waves: Any
    level_waves: Any
    skip: Any
    third_layer: Any
    decay_lr: Any
    lr: Any
    ema_decay: Any
    every: Any
    pool: Any


FULL = {
    "point_waves": 1.0,
    "level_waves": 1.0,
    "skip": 1.0,
    "third_layer": 1.0,
    "decay_lr": 1.0,
    "lr": 2e-3,
    "ema_decay": 0.999,
    "every": 1,
    "pool": 500_000,
}
NONE = {
    "point_waves": 0.0,
    "level_waves": 0.0,
    "skip": 0.0,
    "third_layer": 0.0,
    "decay_lr": 0.0,
    "lr": 1e-4,
    "ema_decay": 0.0,
    "every": 4,
    "pool": 1500,
}


def init(recipe: Recipe, *, key: jax.Array):
    """Parameters (B (2, N_WAVES), layers) before the training.

    The first layer starts as that of a network which has only the inputs that the recipe leaves.
    """
    fan_in = 3 + 2 * N_WAVES + FEATURES
    left = 3 + 2 * N_WAVES * recipe.point_waves + FEATURES * recipe.level_waves
    B, [(W, b), *rest] = init_fourier_mlp(
        (2, WIDTH, WIDTH, WIDTH, 2),
        N_WAVES,
        bandwidth=diffusion.BANDWIDTH,
        more=1 + FEATURES,
        key=key,
    )
    wider = jnp.sqrt(fan_in / left)
    return B, [(wider * W, wider * b), *rest]


def predict_noise(params, x: jax.Array, sigma: jax.Array, recipe: Recipe) -> jax.Array:
    """ε̂(x_σ, σ), (n, 2) and σ () or (n,) -> (n, 2): `diffusion.predict_noise` where the recipe
    leaves nothing out.

    Without `skip` it is the network F alone, without `third_layer` the second layer is the last.
    """
    B, ((W1, b1), (W2, b2), (W3, b3), (W4, b4)) = params
    sigma = jnp.broadcast_to(sigma, x.shape[:-1])[:, None]
    scale = jnp.sqrt(sigma**2 + DATA_SD**2)
    angles = x / scale @ jax.lax.stop_gradient(B)
    level = jnp.log(sigma) / 4
    inputs = [
        x / scale,
        recipe.point_waves * jnp.sin(angles),
        recipe.point_waves * jnp.cos(angles),
        level,
        recipe.level_waves * fourier_features(level[:, 0], FEATURES),
    ]
    h = jax.nn.swish(jnp.concatenate(inputs, axis=-1) @ W1 + b1)
    h = jax.nn.swish(h @ W2 + b2)
    h = jnp.where(recipe.third_layer > 0, jax.nn.swish(h @ W3 + b3), h)
    out = h @ W4 + b4
    return jnp.where(recipe.skip > 0, sigma * x / scale**2 + DATA_SD / scale * out, out)


def draw(data: jax.Array, sigmas: jax.Array, recipe: Recipe, *, key: jax.Array):
    """BATCH points of the pool, one level from each of BATCH equal shares of `sigmas`, the noise,
    and the weight of each row, (BATCH,), of mean one."""
    key_x, key_rest, key_row = jax.random.split(key, 3)
    rows = jax.random.randint(key_x, (BATCH,), 0, recipe.pool)
    _, sigma, noise = diffusion.draw(data[:1], BATCH, sigmas, key=key_rest)
    first = jax.random.randint(key_row, (), 0, recipe.every)
    counts = (jnp.arange(BATCH) + first) % recipe.every == 0
    return data[rows], sigma, noise, counts * recipe.every


def update(
    weights: Weights,
    data: jax.Array,
    sigmas: jax.Array,
    recipe: Recipe,
    *,
    steps: int,
    key: jax.Array,
) -> tuple[Weights, dict[str, jax.Array]]:
    """One step of Adam down the mean of ‖ε - ε̂‖² by a recipe; data (n, 2), sigmas (levels,)."""
    x, sigma, noise, weight = draw(data, sigmas, recipe, key=key)

    def loss(params):
        guess = predict_noise(params, x + sigma[:, None] * noise, sigma, recipe)
        return jnp.mean(weight * jnp.sum((noise - guess) ** 2, axis=-1))

    value, gradient = jax.value_and_grad(loss)(weights.params)
    done = weights.moments.count / steps
    rate = recipe.lr * jnp.where(recipe.decay_lr > 0, (1 + jnp.cos(jnp.pi * done)) / 2, 1.0)
    direction, moments = ADAM.update(gradient, weights.moments)
    params = jax.tree.map(lambda p, d: p - rate * d, weights.params, direction)
    average = ema(weights.average, params, recipe.ema_decay)
    return Weights(params, average, moments), {"train_loss": value}


def stacked(recipes: Sequence[Mapping[str, float]]) -> Recipe:
    """Many recipes as one whose fields are (models,).  ValueError for none, a rate or a decay out
    of range, and rows that do not divide the batch."""
    if not recipes:
        raise ValueError("recipes=[]: give at least one")
    for recipe in recipes:
        checks.number(recipe["lr"], "lr", "positive")
        checks.number(recipe["ema_decay"], "ema_decay", "in [0, 1)")
        if BATCH % checks.count(recipe["every"], "every"):
            raise ValueError(f"every={recipe['every']} must divide the batch of {BATCH}")
    return Recipe(**{f: jnp.asarray([r[f] for r in recipes]) for f in Recipe._fields})


def train_recipes(
    data: np.ndarray,
    sigmas: np.ndarray,
    recipes: Sequence[Mapping[str, float]],
    *,
    steps: int,
    seed: int,
) -> Trained:
    """Train one noise predictor per recipe and data set by `update`, all in one compiled loop.

    data (sets, n, 2), sigmas (recipes, levels) increasing.  The recipes of one set share their
    start and their random numbers, so that differences are paired.  The model: averaged
    parameters, a pytree (recipes, sets, ...).  Raises Diverged, ValueError.
    """
    recipe = stacked(recipes)
    data = jnp.asarray(checks.sets(data=data)[0], jnp.float32)
    recipe = recipe._replace(pool=jnp.minimum(recipe.pool, data.shape[1]))
    sigmas = jnp.asarray([checks.levels(s, rising=True) for s in sigmas], jnp.float32)
    checks.shape(sigmas, "sigmas", (len(recipes), sigmas.shape[1]), ": one schedule a recipe")
    one = partial(update, steps=checks.count(steps, "steps"))

    def step(state, key, data, sigmas, recipe):
        keys = jax.random.split(key, len(data))
        over_sets = jax.vmap(
            lambda w, d, s, r, k: one(w, d, s, r, key=k), in_axes=(0, 0, None, None, 0)
        )
        return jax.vmap(over_sets, in_axes=(0, None, 0, 0, None))(state, data, sigmas, recipe, keys)

    keys = jax.random.split(jax.random.key(stream(seed, "init")), len(data))
    start = jax.vmap(lambda r: jax.vmap(lambda k: start_weights(init(r, key=k), ADAM))(keys))
    key = jax.random.key(stream(seed, "train"))
    how = dict(steps=steps, key=key, about=(data, sigmas, recipe), chunks=20, what="recipes")
    state, history = train(step, start(recipe), **how)
    return Trained(jax.tree.map(np.asarray, state.average), history)


@jax.jit
def flow_log_probs(params, recipe: Recipe, x: jax.Array, sigmas: jax.Array) -> jax.Array:
    """`samplers.probability_flow_log_prob` of every model of `train_recipes`: recipe of (models,)
    numbers, x (sets, n, 2), sigmas increasing -> (models, sets, n), nats."""

    def one(params, recipe, x):
        score = lambda x, sigma: -predict_noise(params, x, sigma, recipe) / sigma  # noqa: E731
        return samplers.probability_flow_log_prob(score, x, sigmas, data_sd=DATA_SD)

    every = jax.vmap(one, in_axes=(0, None, 0))
    return jax.lax.map(lambda about: every(*about, x), (params, recipe))
