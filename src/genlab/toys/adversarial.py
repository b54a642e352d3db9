"""Generative adversarial networks on the plane: what each player minimises, one update of both, and
one compiled training of many games side by side."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab import checks
from genlab.streams import stream
from genlab.toys.networks import init_fourier_mlp, init_mlp, of_each
from genlab.toys.players import (
    discriminate,
    generate,
    gradient_penalty,
    losses_of,
    spectral_norm,
    start_directions,
)
from genlab.toys.rules import VALIDATION_BATCH, Arm, Rules, normed, side_by_side
from genlab.training import Trained
from genlab.training.jax import Weights, descend, minibatch, start_weights, train_stack

SNAPSHOT_POINTS = 500  # points of the fixed latent batch that is shown over training


class Players(NamedTuple):
    """A stack of trained generators (averaged weights) and their discriminators, one per data set
    on axis 0: pytrees (sets, ...).  normed (sets, 2): 1 where generator, discriminator have batch
    normalisation; None if none has."""

    generator: list
    discriminator: list
    normed: Any = None


# --- what the players minimise ---


def discriminator_objective(params, real, fake, directions, arm: Arm, *, losses, packing, done):
    """The discriminator's loss, with (γ/2)(R1 + R2) and spectral norms where the arm says so, and
    its share of right decisions: pairs in order for a loss of pairs, else logits of the right sign.
    """
    if arm.spectral is not None:
        params = (params[0], spectral_norm(params[1], directions, arm.spectral)[0])
    logit = partial(discriminate, params, packing=packing, normed=normed(arm, 1))
    on_real, on_fake = logit(real), logit(fake)
    value = losses_of(arm.loss, losses, on_real, on_fake)[0]
    signs = (jnp.mean(on_real > 0) + jnp.mean(on_fake <= 0)) / 2
    paired = jnp.array([name == "relativistic" for name in losses])[arm.loss]
    accuracy = jnp.where(paired, jnp.mean(on_real[: len(on_fake)] > on_fake), signs)
    if arm.penalty is None or done is None:
        return value, (value, accuracy)
    smooth = gradient_penalty(params, real, packing) + gradient_penalty(params, fake, packing)
    return value + arm.penalty[0] * arm.penalty[1] ** done / 2 * smooth, (value, accuracy)


def generator_objective(params, discriminator, z, real, arm: Arm, *, losses, packing):
    """The generator's loss; its gradient flows through the discriminator's input, never into its
    weights."""
    fake = generate(params, z, normed(arm, 0))
    logit = partial(discriminate, discriminator, packing=packing, normed=normed(arm, 1))
    return losses_of(arm.loss, losses, logit(real), logit(fake))[1]


# --- training ---


class Seen(NamedTuple):
    """The largest norm of a player's gradient so far, and the number of gradients that were not
    finite."""

    largest: jax.Array
    not_finite: jax.Array


class State(NamedTuple):
    """Both players' weights, how many steps they have made, what this game's arm is, where its
    matrices stretch most, and what was seen of the gradients."""

    generator: Weights
    discriminator: Weights
    step: jax.Array
    arm: Arm
    directions: list[jax.Array]
    seen: Seen


def first_state(rules: Rules, optimizers, arm: Arm, *, key: jax.Array) -> State:
    """Both players before their training."""
    key_g, key_d = jax.random.split(key)
    g = init_mlp((rules.latent + rules.categories, *rules.hidden, 2), key=key_g)
    d = init_fourier_mlp(
        (2 * rules.packing, *rules.hidden, 1), rules.n_waves, bandwidth=rules.bandwidth, key=key_d
    )
    weights = map(start_weights, (g, d), optimizers)
    none = jnp.zeros((), jnp.int32)
    directions = [] if arm.spectral is None else start_directions(d[1])
    return State(*weights, none, arm, directions, Seen(jnp.zeros(()), none))


def look(seen: Seen, gradient: Any, count: bool) -> tuple[Seen, Any]:
    """What is known of the gradients after one more, and that one, 0 where it is not finite if
    those are counted."""
    if not count:
        return seen, gradient
    norm = optax.global_norm(gradient)
    fine = jnp.isfinite(norm)
    clean = jax.tree.map(lambda g: jnp.where(fine, g, 0.0), gradient)
    return Seen(jnp.where(fine, jnp.maximum(seen.largest, norm), seen.largest),
                seen.not_finite + ~fine), clean  # fmt: skip


def update(
    state: State,
    data: jax.Array,
    held_out: jax.Array,
    *,
    rules: Rules,
    losses: tuple[str, ...],
    optimizers: tuple[optax.GradientTransformation, ...],
    steps: int,
    key: jax.Array,
) -> tuple[State, dict[str, jax.Array]]:
    """One step of the discriminator, then one of the generator against it.  Held-out points (m, 2)
    only judge."""
    keys = jax.random.split(key, 3)
    arm, generator, discriminator = state.arm, state.generator.params, state.discriminator.params
    how = {"losses": losses, "packing": rules.packing}
    real = minibatch(data, rules.batch_size, key=keys[0])
    z, z_again = jnp.split(rules.noise(2 * rules.batch_size, key=keys[1]), 2)

    fake = jax.lax.stop_gradient(generate(generator, z, normed(arm, 0)))
    (_, (d_loss, accuracy)), gradient = jax.value_and_grad(discriminator_objective, has_aux=True)(
        discriminator, real, fake, state.directions, arm, done=state.step / steps, **how
    )
    seen, gradient = look(state.seen, gradient, rules.count_not_finite)
    d = descend(state.discriminator, gradient, optimizers[1], ema_decay=0.0)

    opponent, directions = d.params, state.directions
    if arm.spectral is not None:
        layers, directions = spectral_norm(opponent[1], directions, arm.spectral)
        opponent = (opponent[0], layers)
    g_loss, gradient = jax.value_and_grad(generator_objective)(
        generator, opponent, z_again, real, arm, **how
    )
    seen, gradient = look(seen, gradient, rules.count_not_finite)
    g = descend(state.generator, gradient, optimizers[0], ema_decay=rules.ema_decay)

    unseen = minibatch(held_out, VALIDATION_BATCH * rules.packing, key=keys[2])
    judged = fake[: len(unseen)]
    plain = arm._replace(spectral=None)
    _, (v_loss, v_accuracy) = discriminator_objective(
        opponent, unseen, judged, [], plain, done=None, **how
    )
    logs = {
        "generator_loss": g_loss,
        "discriminator_loss": d_loss,
        "accuracy": accuracy,
        "validation_loss": v_loss,
        "validation_accuracy": v_accuracy,
    }
    if rules.count_not_finite:
        logs = {name: jnp.nan_to_num(value) for name, value in logs.items()}
    return State(g, d, state.step + 1, arm, directions, seen), logs


def train_gan(
    data: np.ndarray,
    held_out: np.ndarray,
    *,
    rules: Rules | Sequence[Rules],
    steps: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
    chunks: int = 100,
) -> Trained:
    """Train one generator and discriminator per data set by `update`, all sets in one compiled
    loop.

    data (sets, n, 2), held_out (sets, m, 2); rules of all of them, or of each, which may then
    differ in `ARM`.  The model: `Players`.  History: `generator_loss`, `discriminator_loss`,
    `validation_loss` (the discriminator's on held-out points), `accuracy` and
    `validation_accuracy` of the discriminator, each (chunks, sets), and `snapshot`
    (chunks, sets, SNAPSHOT_POINTS, 2), the averaged generator at a fixed latent batch; with
    `count_not_finite` also `largest_gradient` and `not_finite`, (sets,), of the whole training.
    Raises Diverged, ValueError.
    """
    data, held_out = map(jnp.asarray, checks.sets(data=data, held_out=held_out))
    arm, losses, shared = side_by_side(rules, len(data))
    rules = rules if isinstance(rules, Rules) else tuple(rules)
    optimizers = shared.optimizers(checks.count(steps, "steps"))
    key = jax.random.key(stream(seed, "init"))
    fixed = shared.noise(SNAPSHOT_POINTS, key=jax.random.fold_in(key, 1))
    shown = jax.jit(jax.vmap(lambda g, arm, z: generate(g, z, normed(arm, 0)), (0, 0, None)))
    state, history, rest = train_stack(
        partial(update, rules=shared, losses=losses, optimizers=optimizers, steps=steps),
        jax.jit(jax.vmap(lambda k, arm: first_state(shared, optimizers, arm, key=k)))(
            jax.random.split(key, len(data)), arm
        ),
        data,
        held_out,
        rules=rules,
        steps=steps,
        seed=seed,
        until=until,
        resume=resume,
        chunks=chunks,
        what=f"GAN ({', '.join(losses)})",
        snapshot=lambda state: shown(state.generator.average, state.arm, fixed),
    )
    discriminator = state.discriminator.params
    if arm.spectral is not None:
        layers = jax.vmap(spectral_norm)(discriminator[1], state.directions, arm.spectral)[0]
        discriminator = jax.tree.map(np.asarray, (discriminator[0], layers))
    if shared.count_not_finite:
        history |= {"largest_gradient": state.seen.largest, "not_finite": state.seen.not_finite}
    players = Players(state.generator.average, discriminator, state.arm.normed)
    return Trained(players, history, state=rest)


def sample_gan(players: Players, *, rules: Rules, n: int, seed: int) -> np.ndarray:
    """n points of every generator of the stack, (sets, n, 2); `rules` say what its noise is.  Batch
    normalisation uses the statistics of these n."""
    n, generator = checks.count(n, "n"), players.generator

    def one(params, on, key):
        z = rules.noise(n, key=key)
        return generate(params, z, None if on is None else on[0])

    on = None if players.normed is None else jnp.asarray(players.normed)
    return np.asarray(of_each(one, generator, on, key=jax.random.key(stream(seed, "sample"))))
