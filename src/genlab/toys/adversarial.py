"""Generative adversarial networks on the plane: losses as functions of logits, penalties, packing,
one compiled training."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab import checks
from genlab.streams import stream
from genlab.toys.networks import fourier_mlp, init_fourier_mlp, init_mlp, mlp
from genlab.training import Trained
from genlab.training.jax import Weights, adam, descend, minibatch, start_weights, train_stack

SCALE = 2.0  # typical data units per network unit
SNAPSHOT_POINTS = 500  # points of the fixed latent batch that is shown over training


class Players(NamedTuple):
    """A stack of trained generators (averaged weights) and their discriminators, one per data set
    on axis 0: pytrees (sets, ...)."""

    generator: list
    discriminator: list


# --- losses: logits of (real, generated) points -> losses of (discriminator, generator) ---

TINY = 1e-8  # source A's ε inside the logarithms


def minimax(real: jax.Array, fake: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Goodfellow et al. 2014, eq. 1, as source A has it: both players share one value,
    ε = 1e-8 inside the logs.

    At the optimal discriminator its loss is log 4 - 2 JSD(data || model).
    """
    p_real, p_fake = jax.nn.sigmoid(real), jax.nn.sigmoid(fake)
    value = jnp.mean(jnp.log(p_real + TINY)) + jnp.mean(jnp.log(1 - p_fake + TINY))
    return -value, jnp.mean(jnp.log(1 - p_fake + TINY))


def non_saturating(real: jax.Array, fake: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The same discriminator; the generator minimises -log D(G(z))
    (Goodfellow et al. 2014, section 3), in logits."""
    softplus = jax.nn.softplus
    return jnp.mean(softplus(-real)) + jnp.mean(softplus(fake)), jnp.mean(softplus(-fake))


def relativistic(real: jax.Array, fake: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Relativistic pairing: softplus of the difference between a real and a generated logit
    (Huang et al. 2024, eq. 2)."""
    softplus = jax.nn.softplus
    return jnp.mean(softplus(fake - real)), jnp.mean(softplus(real - fake))


LOSSES = {"minimax": minimax, "non_saturating": non_saturating, "relativistic": relativistic}

# --- the two players ---


def generate(params, z: jax.Array) -> jax.Array:
    """G(z), (n, latent) -> (n, 2) in data units."""
    return SCALE * mlp(params, z, "relu")


def discriminate(params, x: jax.Array, packing: int = 1) -> jax.Array:
    """Logits D(x), (n, 2) -> (n / packing,): with packing m the discriminator sees m points at once
    (Lin et al. 2018)."""
    return fourier_mlp(params, x.reshape(-1, 2 * packing) / SCALE)[..., 0]


def gradient_penalty(params, x: jax.Array, packing: int = 1) -> jax.Array:
    """mean ‖∂D/∂x‖², x in network units: R1 on real points, R2 on generated ones
    (Mescheder et al. 2018, eqs. 9 and 10)."""
    grads = jax.grad(lambda y: jnp.sum(discriminate(params, SCALE * y, packing)))(x / SCALE)
    return jnp.mean(jnp.sum(grads.reshape(-1, 2 * packing) ** 2, axis=-1))


def discriminator_objective(params, real, fake, *, loss: str, penalty, packing: int):
    """The discriminator's loss with (penalty/2)(R1 + R2) unless penalty is None, and its share of
    correct decisions."""
    logits_real, logits_fake = (
        discriminate(params, real, packing),
        discriminate(params, fake, packing),
    )
    value = LOSSES[loss](logits_real, logits_fake)[0]
    accuracy = (jnp.mean(logits_real > 0) + jnp.mean(logits_fake <= 0)) / 2
    if penalty is None:
        return value, (value, accuracy)
    smooth = gradient_penalty(params, real, packing) + gradient_penalty(params, fake, packing)
    return value + penalty / 2 * smooth, (value, accuracy)


def generator_objective(params, discriminator, z, real, *, loss: str, packing: int):
    """The generator's loss; its gradient flows through the discriminator's input, never into its
    weights."""
    fake = generate(params, z)
    return LOSSES[loss](
        discriminate(discriminator, real, packing), discriminate(discriminator, fake, packing)
    )[1]


# --- training ---

VALIDATION_BATCH = 32


@dataclass(frozen=True)
class Rules:
    """How a generator and a discriminator are trained: one update of each per step.

    The discriminator sees `packing` points at once, each by `n_waves` random Fourier features of
    `bandwidth` radians per network unit: the finer the detail of the data, the larger.  `penalty`
    is γ of (γ/2)(R1 + R2), moving geometrically to `final_penalty` if given; 0 for none.  Adam with
    betas (beta1, 0.99), the generator at `generator_lr` if given (two time scales, Heusel et al.
    2017).
    """

    hidden: tuple[int, ...]
    loss: str = "relativistic"
    penalty: float = 0.1
    final_penalty: float | None = None
    packing: int = 1
    latent: int = 8
    n_waves: int = 32
    bandwidth: float = 4.0
    batch_size: int = 256
    lr: float = 1e-3
    generator_lr: float | None = None
    beta1: float = 0.0
    ema_decay: float = 0.999
    decay_lr: bool = True

    def check(self) -> None:
        """ValueError for a rule that cannot be followed."""
        checks.one_of(self.loss, "loss", LOSSES)
        for name in ("packing", "batch_size", "latent"):
            checks.count(getattr(self, name), name)
        if self.batch_size % self.packing:
            raise ValueError(f"packing={self.packing} must divide batch_size={self.batch_size}")
        if self.loss == "relativistic" and self.batch_size < VALIDATION_BATCH * self.packing:
            raise ValueError(
                f"batch_size={self.batch_size} must be at least {VALIDATION_BATCH * self.packing} "
                "for a loss of pairs: as many as are validated"
            )
        checks.number(self.lr, "lr", "positive")
        checks.number(self.penalty, "penalty", "at least 0")
        checks.number(self.beta1, "beta1", "in [0, 1)")
        checks.number(self.ema_decay, "ema_decay", "in [0, 1)")

    def optimizers(self, steps: int) -> tuple[optax.GradientTransformation, ...]:
        """Of the generator and of the discriminator."""
        how = {"decay_lr": self.decay_lr, "b1": self.beta1, "b2": 0.99}
        return adam(self.generator_lr or self.lr, steps, **how), adam(self.lr, steps, **how)

    def penalty_at(self, done: jax.Array) -> jax.Array | None:
        """γ when the share `done` of the training is over; None for no penalty."""
        if not self.penalty:
            return None
        ratio = self.final_penalty / self.penalty if self.final_penalty else 1.0
        return self.penalty * ratio**done


class State(NamedTuple):
    """Both players' weights, and how many steps they have made."""

    generator: Weights
    discriminator: Weights
    step: jax.Array


def first_state(rules: Rules, optimizers, *, key: jax.Array) -> State:
    """Both players before their training."""
    key_g, key_d = jax.random.split(key)
    g = init_mlp((rules.latent, *rules.hidden, 2), key=key_g)
    d = init_fourier_mlp(
        (2 * rules.packing, *rules.hidden, 1), rules.n_waves, bandwidth=rules.bandwidth, key=key_d
    )
    weights = map(start_weights, (g, d), optimizers)
    return State(*weights, jnp.zeros((), jnp.int32))


def update(
    state: State,
    data: jax.Array,
    held_out: jax.Array,
    *,
    rules: Rules,
    optimizers: tuple[optax.GradientTransformation, ...],
    steps: int,
    key: jax.Array,
) -> tuple[State, dict[str, jax.Array]]:
    """One step of the discriminator, then one of the generator against it.  Held-out points (m, 2)
    only judge."""
    keys = jax.random.split(key, 5)
    generator, discriminator = state.generator.params, state.discriminator.params
    real = minibatch(data, rules.batch_size, key=keys[0])
    z, z_again = (jax.random.normal(k, (rules.batch_size, rules.latent)) for k in keys[1:3])

    fake = jax.lax.stop_gradient(generate(generator, z))
    objective = partial(discriminator_objective, loss=rules.loss, packing=rules.packing)
    (_, (d_loss, accuracy)), gradient = jax.value_and_grad(objective, has_aux=True)(
        discriminator, real, fake, penalty=rules.penalty_at(state.step / steps)
    )
    d = descend(state.discriminator, gradient, optimizers[1], ema_decay=0.0)

    g_loss, gradient = jax.value_and_grad(generator_objective)(
        generator, d.params, z_again, real, loss=rules.loss, packing=rules.packing
    )
    g = descend(state.generator, gradient, optimizers[0], ema_decay=rules.ema_decay)

    unseen = minibatch(held_out, VALIDATION_BATCH * rules.packing, key=keys[3])
    _, (v_loss, v_accuracy) = objective(d.params, unseen, fake[: len(unseen)], penalty=None)
    return State(g, d, state.step + 1), {
        "generator_loss": g_loss,
        "discriminator_loss": d_loss,
        "accuracy": accuracy,
        "validation_loss": v_loss,
        "validation_accuracy": v_accuracy,
    }


def train_gan(
    data: np.ndarray,
    held_out: np.ndarray,
    *,
    rules: Rules,
    steps: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
    chunks: int = 100,
) -> Trained:
    """Train one generator and discriminator per data set by `update`, all sets in one compiled
    loop.

    data (sets, n, 2), held_out (sets, m, 2).  The model: `Players`.  History: `generator_loss`,
    `discriminator_loss`, `validation_loss` (the discriminator's on held-out points), `accuracy` and
    `validation_accuracy` of the discriminator, each (chunks, sets), and `snapshot`
    (chunks, sets, SNAPSHOT_POINTS, 2), the averaged generator at a fixed latent batch.  Raises
    Diverged, ValueError.
    """
    rules.check()
    data, held_out = map(jnp.asarray, checks.sets(data=data, held_out=held_out))
    optimizers = rules.optimizers(checks.count(steps, "steps"))
    key = jax.random.key(stream(seed, "init"))
    fixed = jax.random.normal(jax.random.fold_in(key, 1), (SNAPSHOT_POINTS, rules.latent))
    shown = jax.jit(jax.vmap(generate, in_axes=(0, None)))
    state, history, rest = train_stack(
        partial(update, rules=rules, optimizers=optimizers, steps=steps),
        jax.vmap(lambda k: first_state(rules, optimizers, key=k))(jax.random.split(key, len(data))),
        data,
        held_out,
        rules=rules,
        steps=steps,
        seed=seed,
        until=until,
        resume=resume,
        chunks=chunks,
        what=f"GAN ({rules.loss})",
        snapshot=lambda state: shown(state.generator.average, fixed),
    )
    return Trained(
        Players(state.generator.average, state.discriminator.params), history, state=rest
    )


def sample_gan(generator, *, n: int, seed: int) -> np.ndarray:
    """n points of every generator of the stack, (sets, n, 2)."""
    n, latent = checks.count(n, "n"), generator[0][0].shape[1]
    z = jax.random.normal(jax.random.key(stream(seed, "sample")), (len(generator[0][0]), n, latent))
    return np.asarray(jax.vmap(generate)(generator, z))
