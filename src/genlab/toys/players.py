"""The two players of an adversarial game on the plane: losses as functions of logits, networks, and
what keeps a discriminator smooth."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from genlab.toys.networks import ACTIVATIONS, mlp

SCALE = 2.0  # typical data units per network unit
TINY = 1e-8  # source A's ε inside the logarithms

Layers = list[tuple[jax.Array, jax.Array]]

# --- losses: logits of (real, generated) points -> losses of (discriminator, generator) ---


def minimax(real: jax.Array, fake: jax.Array, tiny: float = TINY) -> tuple[jax.Array, jax.Array]:
    """Goodfellow et al. 2014, eq. 1, as source A has it: both players share one value, with `tiny`
    inside the logarithms.

    At the optimal discriminator its loss is log 4 - 2 JSD(data || model).
    """
    p_real, p_fake = jax.nn.sigmoid(real), jax.nn.sigmoid(fake)
    lost = jnp.mean(jnp.log(1 - p_fake + tiny))
    return -jnp.mean(jnp.log(p_real + tiny)) - lost, lost


def minimax_bare(real: jax.Array, fake: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`minimax` with nothing inside the logarithms: log 0 where a probability rounds to 0 or 1."""
    return minimax(real, fake, tiny=0.0)


def minimax_logits(real: jax.Array, fake: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`minimax` computed from logits, log sigmoid(d) = -softplus(-d): no logarithm of a rounded
    probability."""
    softplus = jax.nn.softplus
    lost = -jnp.mean(softplus(fake))
    return jnp.mean(softplus(-real)) - lost, lost


def non_saturating(real: jax.Array, fake: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The same discriminator; the generator minimises -log D(G(z))
    (Goodfellow et al. 2014, section 3), in logits."""
    softplus = jax.nn.softplus
    return jnp.mean(softplus(-real)) + jnp.mean(softplus(fake)), jnp.mean(softplus(-fake))


def hinge(real: jax.Array, fake: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Logits beyond ±1 on their own side cost the discriminator nothing; the generator raises its
    logits (Miyato et al. 2018, eqs. 16 and 17)."""
    relu = jax.nn.relu
    return jnp.mean(relu(1 - real)) + jnp.mean(relu(1 + fake)), -jnp.mean(fake)


def relativistic(real: jax.Array, fake: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Relativistic pairing: softplus of the difference between a real and a generated logit
    (Huang et al. 2024, eq. 2)."""
    softplus = jax.nn.softplus
    return jnp.mean(softplus(fake - real)), jnp.mean(softplus(real - fake))


LOSSES = {
    "minimax": minimax,
    "minimax_bare": minimax_bare,
    "minimax_logits": minimax_logits,
    "non_saturating": non_saturating,
    "hinge": hinge,
    "relativistic": relativistic,
}


def losses_of(
    index: jax.Array, names: Sequence[str], real: jax.Array, fake: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The losses by ``LOSSES[names[index]]``, for games side by side that differ in the loss.

    Each loss sees zeros in the place of the logits of other games: where its slope there is not
    finite, 0 · inf would be no number.
    """
    total = jnp.zeros(2)
    for i, name in enumerate(names):
        mine = index == i
        pair = LOSSES[name](jnp.where(mine, real, 0.0), jnp.where(mine, fake, 0.0))
        total += jnp.where(mine, jnp.stack(pair), 0.0)
    return total[0], total[1]


# --- the two networks ---


def batch_norm(h: jax.Array, on: jax.Array) -> jax.Array:
    """h (n, d) with mean 0 and variance 1 in every column over the batch where `on` is 1, h where
    it is 0 (Ioffe & Szegedy 2015; the offset is the layer's bias, the gain the next layer's)."""
    normed = (h - jnp.mean(h, axis=0)) * jax.lax.rsqrt(jnp.var(h, axis=0) + 1e-5)
    return jnp.where(on, normed, h)


def layered(layers: Layers, x: jax.Array, activation: str, normed: jax.Array | None) -> jax.Array:
    """The perceptron of `networks.mlp`, with `batch_norm` before each activation if `normed` is
    given."""
    if normed is None:
        return mlp(layers, x, activation)
    for W, b in layers[:-1]:
        x = ACTIVATIONS[activation](batch_norm(x @ W, normed) + b)
    W, b = layers[-1]
    return x @ W + b


def generate(params: Layers, z: jax.Array, normed: jax.Array | None = None) -> jax.Array:
    """G(z), (n, latent) -> (n, 2) in data units."""
    return SCALE * layered(params, z, "relu", normed)


def discriminate(
    params, x: jax.Array, packing: int = 1, normed: jax.Array | None = None
) -> jax.Array:
    """Logits D(x), (n, 2) -> (n / packing,): with packing m the discriminator sees m points at once
    (Lin et al. 2018), each as it is and in fixed random waves (Tancik et al. 2020)."""
    B, layers = params
    x = x.reshape(-1, 2 * packing) / SCALE
    angles = x @ jax.lax.stop_gradient(B)
    seen = jnp.concatenate([x, jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return layered(layers, seen, "swish", normed)[..., 0]


def latents(n: int, latent: int, categories: int, spread: float, *, key: jax.Array) -> jax.Array:
    """z (n, latent + categories): `latent` normals and, if there are categories, `spread` at one of
    them drawn evenly, 0 at the others, so that the generator's input falls into pieces."""
    if not categories:
        return jax.random.normal(key, (n, latent))
    key, key_drawn = jax.random.split(key)
    drawn = jax.random.randint(key_drawn, (n,), 0, categories)
    return jnp.concatenate(
        [jax.random.normal(key, (n, latent)), spread * jax.nn.one_hot(drawn, categories)], axis=-1
    )


# --- what keeps a discriminator smooth ---


def gradient_penalty(params, x: jax.Array, packing: int = 1) -> jax.Array:
    """mean ‖∂D/∂x‖², x in network units: R1 on real points, R2 on generated ones
    (Mescheder et al. 2018, eqs. 9 and 10)."""
    grads = SCALE * jax.grad(lambda x: jnp.sum(discriminate(params, x, packing)))(x)
    return jnp.mean(jnp.sum(grads.reshape(-1, 2 * packing) ** 2, axis=-1))


def start_directions(layers: Layers) -> list[jax.Array]:
    """A first guess (d_out,) at the direction that each matrix (d_in, d_out) stretches most."""
    return [jnp.full(W.shape[1], W.shape[1] ** -0.5) for W, _ in layers]


def spectral_norm(
    layers: Layers, directions: list[jax.Array], on: jax.Array
) -> tuple[Layers, list[jax.Array]]:
    """The layers with every matrix divided by its largest singular value where `on` is 1, and the
    directions after one more step of power iteration (Miyato et al. 2018, algorithm 1).

    The gradient passes through the matrices, not through the directions.
    """
    unit = lambda v: v / (jnp.linalg.norm(v) + 1e-12)  # noqa: E731
    normed, stretched = [], []
    for (W, b), v in zip(layers, directions, strict=True):
        fixed = jax.lax.stop_gradient(W)
        u = unit(fixed @ v)
        v = unit(fixed.T @ u)
        normed.append((W / jnp.where(on, u @ W @ v, 1.0), b))
        stretched.append(v)
    return normed, stretched
