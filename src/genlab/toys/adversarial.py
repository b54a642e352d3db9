"""Generative adversarial networks on the plane: losses as functions of logits, penalties, packing,
one compiled training."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab import checks
from genlab.streams import stream
from genlab.toys.networks import ema, fourier_mlp, init_fourier_mlp, init_mlp, mlp
from genlab.training.jax import minibatch, train

SCALE = 2.0  # typical data units per network unit
SNAPSHOT_POINTS = 500  # points of the fixed latent batch that is shown over training


class AdversarialModel(NamedTuple):
    """A stack of trained generators, one per data set on axis 0.

    generator (averaged weights), discriminator: pytrees (sets, ...).  history: `generator_loss`,
    `discriminator_loss`, `validation_loss` (the discriminator's on held-out points), `accuracy` and
    `validation_accuracy` of the discriminator, each (chunks, sets), and `snapshot`
    (chunks, sets, SNAPSHOT_POINTS, 2), the generator at a fixed latent batch.
    """

    generator: list
    discriminator: list
    history: dict[str, np.ndarray]


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


def train_gan(
    data: np.ndarray,
    held_out: np.ndarray,
    *,
    hidden: tuple[int, ...],
    steps: int,
    seed: int,
    loss: str = "relativistic",
    penalty: float = 0.1,
    final_penalty: float | None = None,
    packing: int = 1,
    latent: int = 8,
    n_waves: int = 32,
    bandwidth: float = 4.0,
    batch_size: int = 256,
    lr: float = 1e-3,
    generator_lr: float | None = None,
    beta1: float = 0.0,
    ema_decay: float = 0.999,
    decay_lr: bool = True,
    chunks: int = 100,
) -> AdversarialModel:
    """Train one generator and discriminator per data set, all sets in one compiled loop;
    one update of each per step.

    data (sets, n, 2), held_out (sets, m, 2).  The discriminator sees `n_waves` random Fourier
    features of a point, of `bandwidth` radians per network unit: the finer the detail of the data,
    the larger.  `penalty` is γ of (γ/2)(R1 + R2), moving geometrically to `final_penalty` if given;
    0 for none.  Adam with betas (beta1, 0.99), the generator at `generator_lr` if given
    (two time scales, Heusel et al. 2017).  ValueError for an unknown loss or a packing that does
    not divide batch_size.
    """
    checks.one_of(loss, "loss", LOSSES)
    packing, batch_size = checks.count(packing, "packing"), checks.count(batch_size, "batch_size")
    if batch_size % packing:
        raise ValueError(f"packing={packing} must divide batch_size={batch_size}")
    if loss == "relativistic" and batch_size < VALIDATION_BATCH * packing:
        raise ValueError(
            f"batch_size={batch_size} must be at least {VALIDATION_BATCH * packing} for a loss of "
            "pairs: as many as are validated"
        )
    data, held_out = map(jnp.asarray, checks.sets(data=data, held_out=held_out))
    n_sets, latent = len(data), checks.count(latent, "latent")
    checks.number(lr, "lr", "positive")
    checks.number(penalty, "penalty", "at least 0")
    checks.number(beta1, "beta1", "in [0, 1)")
    checks.number(ema_decay, "ema_decay", "in [0, 1)")
    key_init, key_train = (
        jax.random.key(stream(seed, "init")),
        jax.random.key(stream(seed, "train")),
    )

    def adam(rate):
        return optax.adam(
            optax.cosine_decay_schedule(rate, steps) if decay_lr else rate, b1=beta1, b2=0.99
        )

    optimizer_d, optimizer_g = adam(lr), adam(generator_lr or lr)
    ratio = 1.0 if not (penalty and final_penalty) else final_penalty / penalty

    def start(key):
        key_g, key_d = jax.random.split(key)
        g = init_mlp((latent, *hidden, 2), key=key_g)
        d = init_fourier_mlp((2 * packing, *hidden, 1), n_waves, bandwidth=bandwidth, key=key_d)
        return g, d, g, optimizer_g.init(g), optimizer_d.init(d), jnp.zeros((), jnp.int32)

    def update(state, data, held_out, key):
        g, d, average, state_g, state_d, i = state
        keys = jax.random.split(key, 5)
        real = minibatch(data, batch_size, key=keys[0])
        gamma = penalty * ratio ** (i / steps) if penalty else None
        # The discriminator's step.
        fake = jax.lax.stop_gradient(generate(g, jax.random.normal(keys[1], (batch_size, latent))))
        objective = partial(discriminator_objective, loss=loss, penalty=gamma, packing=packing)
        (_, (d_loss, accuracy)), grads = jax.value_and_grad(objective, has_aux=True)(d, real, fake)
        updates, state_d = optimizer_d.update(grads, state_d)
        d = optax.apply_updates(d, updates)
        # The generator's step.
        z = jax.random.normal(keys[2], (batch_size, latent))
        g_loss, grads = jax.value_and_grad(generator_objective)(
            g, d, z, real, loss=loss, packing=packing
        )
        updates, state_g = optimizer_g.update(grads, state_g)
        g = optax.apply_updates(g, updates)
        average = ema(average, g, ema_decay)
        unseen = minibatch(held_out, VALIDATION_BATCH * packing, key=keys[3])
        _, (v_loss, v_accuracy) = discriminator_objective(
            d, unseen, fake[: len(unseen)], loss=loss, penalty=None, packing=packing
        )
        logs = {"generator_loss": g_loss, "discriminator_loss": d_loss, "accuracy": accuracy}
        return (g, d, average, state_g, state_d, i + 1), logs | {
            "validation_loss": v_loss,
            "validation_accuracy": v_accuracy,
        }

    def step(state, key):
        return jax.vmap(update)(state, data, held_out, jax.random.split(key, n_sets))

    fixed = jax.random.normal(jax.random.fold_in(key_init, 1), (SNAPSHOT_POINTS, latent))
    snapshot = jax.jit(lambda state: jax.vmap(generate, in_axes=(0, None))(state[2], fixed))
    state = jax.vmap(start)(jax.random.split(key_init, n_sets))
    state, history = train(
        step,
        state,
        steps=steps,
        key=key_train,
        what=f"GAN ({loss})",
        chunks=chunks,
        snapshot=snapshot,
    )
    return AdversarialModel(
        jax.tree.map(np.asarray, state[2]), jax.tree.map(np.asarray, state[1]), history
    )


VALIDATION_BATCH = 32


def sample_gan(generator, *, n: int, seed: int) -> np.ndarray:
    """n points of every generator of the stack, (sets, n, 2)."""
    n, latent = checks.count(n, "n"), generator[0][0].shape[1]
    z = jax.random.normal(jax.random.key(stream(seed, "sample")), (len(generator[0][0]), n, latent))
    return np.asarray(jax.vmap(generate)(generator, z))
