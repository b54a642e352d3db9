"""Source A's energy model and its repairs, each a switch: arms of an ablation that differ in one
switch train side by side, in one compiled program."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab import checks
from genlab.streams import stream
from genlab.toys import energy, langevin
from genlab.toys.networks import of_each
from genlab.training import Trained
from genlab.training.jax import descend, minibatch


class Repairs(NamedTuple):
    """Which repairs a model has, each True or False; of a stack of models, arrays (models,).

    signed: the loss is the difference of the mean energies, not its absolute value.  walls: a
    Gaussian base confines the energy.  persistent: chains go on from where the last update left
    them.  tested: a Metropolis test follows each Langevin step.  jumps: a uniform proposal comes
    before each walk.
    """

    signed: bool | jax.Array = False
    walls: bool | jax.Array = False
    persistent: bool | jax.Array = False
    tested: bool | jax.Array = False
    jumps: bool | jax.Array = False


AS_REPORTED = Repairs()


def base_sds(repairs: Sequence[Repairs], base_sd: float) -> np.ndarray:
    """The base of each arm: `base_sd` if it has walls, else infinite, (arms,)."""
    return np.array([base_sd if arm.walls else np.inf for arm in repairs])


def walk(
    log_density: langevin.LogDensity,
    x: jax.Array,
    on: Repairs,
    *,
    steps: int,
    step_size: float,
    box: float,
    key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """`steps` Langevin steps from x (n, 2), as `langevin.mala` makes them if tested, else as
    `langevin.unadjusted_langevin`; before them one `langevin.uniform_jump` if there are jumps.

    Returns the points (n, 2) and the share of the local proposals that a test accepts, or would.
    """
    key_jump, key_walk = jax.random.split(key)

    def value_and_score(x):
        log_p, pullback = jax.vjp(log_density, x)
        return log_p, pullback(jnp.ones_like(log_p))[0]

    def log_kernel(to, mean):
        return -jnp.sum((to - mean) ** 2, axis=-1) / (4 * step_size)

    def step(i, carry):
        x, log_p, score, share = carry
        key_noise, key_accept = jax.random.split(jax.random.fold_in(key_walk, i))
        mean = x + step_size * score
        proposal = mean + jnp.sqrt(2 * step_size) * jax.random.normal(key_noise, x.shape)
        log_p_new, score_new = value_and_score(proposal)
        back = log_kernel(x, proposal + step_size * score_new)
        log_ratio = log_p_new - log_p + back - log_kernel(proposal, mean)
        accepted = jnp.log(jax.random.uniform(key_accept, log_p.shape)) < log_ratio
        moves = accepted | jnp.logical_not(on.tested)
        return (
            jnp.where(moves[:, None], proposal, x),
            jnp.where(moves, log_p_new, log_p),
            jnp.where(moves[:, None], score_new, score),
            share + accepted.mean() / steps,
        )

    jumped, _ = langevin.uniform_jump(log_density, box)(key_jump, x)
    x = jnp.where(on.jumps, jumped, x)
    start = (x, *value_and_score(x), jnp.zeros(()))
    x, _, _, share = jax.lax.fori_loop(0, steps, step, start)
    return x, share


def energy_of(params, x: jax.Array, on: Repairs, *, rules: energy.Rules) -> jax.Array:
    """E(x) of a model with the repairs `on`, (n, 2) -> (n,)."""
    base_sd = jnp.where(on.walls, rules.base_sd, jnp.inf)
    return energy.energy(params, x, base_sd=base_sd, activation=rules.activation)


def update(
    state: energy.State,
    data: jax.Array,
    held_out: jax.Array,
    *,
    rules: energy.Rules,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
) -> tuple[energy.State, dict[str, jax.Array]]:
    """Walk the negative samples, then descend the loss between them and a batch of `data` (n, 2).
    Held-out points (m, 2) only judge."""
    key_data, key_noise, key_blur, key_walk, key_held_out = jax.random.split(key, 5)
    on, params = state.repairs, state.weights.params
    x = minibatch(data, rules.batch_size, key=key_data)
    x = x + rules.data_noise * jax.random.normal(key_blur, x.shape)
    noise = energy.noise_like(state.chains, key=key_noise)
    negatives, accepted = walk(
        lambda y: -energy_of(params, y, on, rules=rules),
        jnp.where(on.persistent, state.chains, noise),
        on,
        steps=rules.langevin_steps,
        step_size=rules.step_size,
        box=rules.box,
        key=key_walk,
    )

    def objective(p):
        e_data, e_model = (energy_of(p, y, on, rules=rules) for y in (x, negatives))
        gap = energy.contrastive_loss(e_data, e_model)
        penalty = rules.l2 * (jnp.mean(e_data**2) + jnp.mean(e_model**2))
        return jnp.where(on.signed, gap, jnp.abs(gap)) + penalty, (e_data.mean(), e_model.mean())

    (_, (e_data, e_model)), gradient = jax.value_and_grad(objective, has_aux=True)(params)
    weights = descend(state.weights, gradient, optimizer, ema_decay=rules.ema_decay)
    unseen = minibatch(held_out, energy.VALIDATION_BATCH, key=key_held_out)
    unseen = energy_of(weights.params, unseen, on, rules=rules).mean()
    return energy.State(weights, negatives, on), {
        "train_loss": e_data - e_model,
        "validation_loss": unseen - e_model,
        "accepted": accepted,
    }


def train_repairs(
    data: np.ndarray,
    held_out: np.ndarray,
    repairs: Sequence[Repairs],
    *,
    rules: energy.Rules,
    steps: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Train one energy per arm and data set by `update`, all in one compiled program.

    data (sets, n, 2), held_out (sets, m, 2); `repairs` says what each arm has.  Of `rules`, loss,
    persistent, sampler and jumps are the arms' own, and base_sd is that of the walls.  All arms
    start from the same weights.  The model: a pytree (arms * sets, ...), arm after arm; chains
    (arms * sets, n_chains, 2).  History: `train_loss` and `validation_loss`, mean E(data) - mean
    E(negatives) on the batch and on held_out, and `accepted`.  Raises Diverged, ValueError.
    """
    if not len(repairs):
        raise ValueError("repairs has no arm: give at least one")
    about = dict(rules=rules, steps=steps, seed=seed, until=until, resume=resume)
    what = f"EBM, {len(repairs)} arms"
    return energy.train_chains(update, data, held_out, arms=repairs, what=what, **about)


def sample_repairs(
    params, repairs: Sequence[Repairs], *, rules: energy.Rules, n: int, steps: int, seed: int
) -> np.ndarray:
    """n points of each model of `train_repairs` by the walk of `rules` from noise, `steps` long:
    (arms * sets, n, 2)."""
    n, steps = checks.count(n, "n"), checks.count(steps, "steps")
    models = len(jax.tree.leaves(params)[0])
    on = energy.stacked(repairs, models // len(repairs))

    def run(params, on, key):
        key_start, key_walk = jax.random.split(key)
        return walk(
            lambda y: -energy_of(params, y, on, rules=rules),
            energy.noise_like(jnp.zeros((n, 2)), key=key_start),
            on,
            steps=steps,
            step_size=rules.step_size,
            box=rules.box,
            key=key_walk,
        )[0]

    return np.asarray(of_each(run, params, on, key=jax.random.key(stream(seed, "sample"))))
