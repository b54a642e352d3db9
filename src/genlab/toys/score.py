"""Denoising score matching on the plane: one noise level, as in the sources; many levels are `diffusion` seen from the other side."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab.data.toy import Density
from genlab.streams import stream
from genlab.toys import langevin
from genlab.toys.networks import init_mlp, mlp
from genlab.toys.training import minibatch, train

SCALE = 2.0  # typical data units per network unit


class ScoreModel(NamedTuple):
    """A stack of score networks of one noise level, one per data set on axis 0; history as in `training.train`."""

    params: list
    history: dict[str, np.ndarray]


def score(params, x: jax.Array, activation: str = "swish") -> jax.Array:
    """s(x), the network's estimate of the gradient of log p_sigma, (n, 2) -> (n, 2)."""
    return mlp(params, x / SCALE, activation)


def dsm_loss(s_noisy: jax.Array, noise: jax.Array, sigma: jax.Array | float) -> jax.Array:
    """‖s(x + σ ε) + ε/σ‖², summed over dimensions, mean over the batch (Vincent 2011, eq. 11, with its 1/2 left out).

    `s_noisy` (n, 2) is the network at x + σ ε and `noise` (n, 2) is ε ~ N(0, I).  Its minimiser is the score of the data
    blurred by N(0, σ² I), and its minimum is not zero: see `loss_floor`.
    """
    return jnp.mean(jnp.sum((s_noisy + noise / sigma) ** 2, axis=-1))


def train_single_sigma(
    data: np.ndarray,
    held_out: np.ndarray,
    *,
    sigma: float,
    hidden: tuple[int, ...],
    steps: int,
    seed: int,
    batch_size: int = 128,
    lr: float = 1e-3,
    activation: str = "swish",
) -> ScoreModel:
    """Train one score network per data set at one noise level, all sets in one compiled loop.

    data (sets, n, 2), held_out (sets, m, 2).  Adam at a constant rate, as in sources A and B.  ValueError for sigma <= 0.
    """
    if sigma <= 0:
        raise ValueError(f"sigma={sigma} must be positive: it is the standard deviation of the noise")
    n_sets = len(data)
    data, held_out = jnp.asarray(data), jnp.asarray(held_out)
    key_init, key_train = jax.random.key(stream(seed, "init")), jax.random.key(stream(seed, "train"))
    params = jax.vmap(lambda k: init_mlp((2, *hidden, 2), key=k))(jax.random.split(key_init, n_sets))
    optimizer = optax.adam(lr)

    def loss_at(params, x, key):
        noise = jax.random.normal(key, x.shape)
        return dsm_loss(score(params, x + sigma * noise, activation), noise, sigma)

    def update(state, data, held_out, key):
        params, opt_state = state
        keys = jax.random.split(key, 4)
        loss, grads = jax.value_and_grad(loss_at)(params, minibatch(data, batch_size, key=keys[0]), keys[1])
        validation = loss_at(params, minibatch(held_out, 64, key=keys[2]), keys[3])
        updates, opt_state = optimizer.update(grads, opt_state)
        return (optax.apply_updates(params, updates), opt_state), {"train_loss": loss, "validation_loss": validation}

    def step(state, key):
        return jax.vmap(update)(state, data, held_out, jax.random.split(key, n_sets))

    state = (params, jax.vmap(optimizer.init)(params))
    (params, _), history = train(step, state, steps=steps, key=key_train, what=f"DSM (sigma {sigma:g})")
    return ScoreModel(jax.tree.map(np.asarray, params), history)


def sample_langevin(
    params,
    *,
    n: int,
    steps: int,
    step_size: float,
    seed: int,
    activation: str = "swish",
    start_at: tuple[float, float] = (0.0, 0.0),
    keep_every: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """n points of each score of the stack by unadjusted Langevin from N(start_at, SCALE² I).

    Returns (sets, n, 2) and the path (sets, kept, n, 2), one frame per `keep_every` steps.
    """

    @jax.jit
    @jax.vmap
    def run(params, key):
        key_start, key_chain = jax.random.split(key)
        kernel = langevin.unadjusted_langevin(lambda x: score(params, x, activation), step_size)
        start = jnp.asarray(start_at) + SCALE * jax.random.normal(key_start, (n, 2))
        x, path, _ = langevin.run_chain(kernel, start, steps=steps, key=key_chain, keep_every=keep_every)
        return x, path

    keys = jax.random.split(jax.random.key(stream(seed, "sample")), len(params[0][0]))
    return jax.tree.map(np.asarray, run(params, keys))


def blurred_score(density: Density, x: np.ndarray, sigma: float, *, draws: int, rng: np.random.Generator) -> np.ndarray:
    """The exact score of the data blurred by N(0, σ² I), (n, 2), by self-normalised importance sampling over `draws` data points.

    score(x) = (E[x₀ | x] - x)/σ² with x₀ | x weighted by N(x; x₀, σ² I) (Vincent 2011, section 4.3).
    """
    data = density.sample(draws, rng=rng).astype(np.float64)
    out = np.empty((len(x), 2))
    for i in range(0, len(x), 250):  # blocks bound the memory
        squared = ((x[i : i + 250, None] - data) ** 2).sum(axis=-1)
        weights = np.exp(-(squared - squared.min(axis=1, keepdims=True)) / (2 * sigma**2))
        mean = weights @ data / weights.sum(axis=1, keepdims=True)
        out[i : i + 250] = (mean - x[i : i + 250]) / sigma**2
    return out


def loss_floor(density: Density, sigma: float, *, n: int, draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """The smallest reachable `dsm_loss` at σ, and its standard error, from n noisy points: E‖score_σ(x + σ ε) + ε/σ‖².

    What is left is the uncertainty about which noise was drawn; no network removes it.
    """
    x, noise = density.sample(n, rng=rng), rng.standard_normal((n, 2))
    residual = blurred_score(density, x + sigma * noise, sigma, draws=draws, rng=rng) + noise / sigma
    losses = (residual**2).sum(axis=1)
    return float(losses.mean()), float(losses.std(ddof=1) / np.sqrt(n))
