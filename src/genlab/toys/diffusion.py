"""Diffusion models of the plane in one coordinate, the noise level σ: x_σ = x + σ ε, ε ~ N(0, I).

A variance-preserving process is the same thing seen through a shrinking glass: x_t = sqrt(ᾱ_t) x_σ
with σ_t = sqrt((1 - ᾱ_t)/ᾱ_t) (Karras et al. 2022, section 2).  So one network, ε̂(x_σ, σ), serves
DDPM, DDIM, the probability-flow ODE and annealed score matching, with score(x, σ) = -ε̂/σ
(Vincent 2011).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab import checks
from genlab.streams import stream
from genlab.toys.langevin import annealed_langevin, checked, start_at
from genlab.toys.networks import ema, fourier_features, init_mlp, mlp
from genlab.training.jax import minibatch, train

Score = Callable[[jax.Array, jax.Array], jax.Array]  # score(x (n, d), sigma ()) -> (n, d)


class DiffusionModel(NamedTuple):
    """A stack of trained noise predictors, one per data set on axis 0.

    params: pytree (sets, ...).  history: `train_loss`, `validation_loss` (chunks, sets) and both
    per noise band, `train_loss_by_band`, `validation_loss_by_band` (chunks, sets, BANDS).
    """

    params: list
    history: dict[str, np.ndarray]


# --- noise schedules ---


def linear_alphas(steps: int = 1000, first: float = 1 - 1e-4, last: float = 0.98) -> np.ndarray:
    """α_t from `first` to `last` in equal steps: β_t = 1 - α_t is Ho et al. 2020's linear
    schedule (section 4)."""
    first, last = (checks.number(x, "alpha", "in (0, 1)") for x in (first, last))
    return np.linspace(first, last, checks.count(steps, "steps"))


def sigmas_of(alphas: np.ndarray) -> np.ndarray:
    """σ_t = sqrt((1 - ᾱ_t)/ᾱ_t) with ᾱ_t the product of α_1 ... α_t; increasing.  ValueError for
    α outside (0, 1)."""
    alphas = checks.real(alphas, "alphas")
    if alphas.ndim != 1 or not len(alphas) or not ((alphas > 0) & (alphas < 1)).all():
        raise ValueError(f"alphas of shape {alphas.shape}: (steps,), each strictly between 0 and 1")
    alpha_bars = np.cumprod(np.asarray(alphas, np.float64))
    return np.sqrt((1 - alpha_bars) / alpha_bars)


def karras_sigmas(n: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> np.ndarray:
    """n + 1 levels from sigma_max down to sigma_min, equal steps in σ^(1/ρ)
    (Karras et al. 2022, eq. 5)."""
    checks.levels([sigma_max, sigma_min], "the levels from sigma_max to sigma_min")
    n, rho = checks.count(n, "n"), checks.number(rho, "rho", "positive")
    return np.linspace(sigma_max ** (1 / rho), sigma_min ** (1 / rho), n + 1) ** rho


# --- network and training ---

BANDWIDTH = 3.0  # of the random Fourier features, radians per network unit
BANDS = 4  # of noise, equal shares of the training levels from the least noisy up


def predict_noise(
    params, x: jax.Array, sigma: jax.Array, *, data_sd: float, features: int
) -> jax.Array:
    """ε̂(x_σ, σ), (n, 2) and σ () or (n,) -> (n, 2).

    The network F sees x_σ scaled to order one, x/sqrt(σ² + data_sd²), its random Fourier features,
    and log(σ)/4.  With `features` sines and cosines of the level it adds to what is right for
    Gaussian data, ε̂ = σx/(σ² + data_sd²) + data_sd F/sqrt(σ² + data_sd²) (Karras et al. 2022,
    table 1, written for the noise); with none it is F alone, as in the sources.
    """
    B, layers = params
    sigma = jnp.broadcast_to(sigma, x.shape[:-1])[:, None]
    scale = jnp.sqrt(sigma**2 + data_sd**2)
    angles = x / scale @ jax.lax.stop_gradient(B)
    level = jnp.log(sigma) / 4
    inputs = [x / scale, jnp.sin(angles), jnp.cos(angles), level]
    if not features:
        return mlp(layers, jnp.concatenate(inputs, axis=-1))
    inputs.append(fourier_features(level[:, 0], features))
    return sigma * x / scale**2 + data_sd / scale * mlp(layers, jnp.concatenate(inputs, axis=-1))


def score_of(params, *, data_sd: float, features: int) -> Score:
    """score(x, σ) = -ε̂(x, σ)/σ."""
    return lambda x, sigma: (
        -predict_noise(params, x, sigma, data_sd=data_sd, features=features) / sigma
    )


def noise_prediction_loss(
    params, x: jax.Array, sigma: jax.Array, noise: jax.Array, **network
) -> jax.Array:
    """‖ε - ε̂(x + σ ε, σ)‖² summed over dimensions, (n,) (Ho et al. 2020, eq. 14).

    It is σ² times the denoising score matching loss of Vincent 2011, eq. 11.
    """
    return jnp.sum(
        (noise - predict_noise(params, x + sigma[:, None] * noise, sigma, **network)) ** 2, axis=-1
    )


def train_diffusion(
    data: np.ndarray, held_out: np.ndarray, sigmas: np.ndarray, *,
    hidden: tuple[int, ...], steps: int, seed: int,
    batch_size: int = 512, lr: float = 2e-3,
    features: int = 16, n_waves: int = 32, data_sd: float = 2.0,
    ema_decay: float = 0.999, decay_lr: bool = True,
) -> DiffusionModel:  # fmt: skip
    """Train one noise predictor per data set, all sets in one compiled loop.

    data (sets, n, 2), held_out (sets, m, 2); sigmas (L,) increasing: each point draws one of these
    levels uniformly.  Adam, cosine decay of the rate to zero (`decay_lr`), exponential average of
    the weights (`ema_decay` = 0 for none).
    """
    data, held_out = map(jnp.asarray, checks.sets(data=data, held_out=held_out))
    sigmas = jnp.asarray(checks.levels(sigmas, rising=True), jnp.float32)
    n_sets, levels = len(data), len(sigmas)
    if checks.count(batch_size, "batch_size") % BANDS:
        raise ValueError(f"batch_size={batch_size} must be a multiple of {BANDS}, the noise bands")
    checks.number(lr, "lr", "positive")
    checks.number(data_sd, "data_sd", "positive")
    checks.number(ema_decay, "ema_decay", "in [0, 1)")
    key_init, key_train = (
        jax.random.key(stream(seed, "init")),
        jax.random.key(stream(seed, "train")),
    )
    sizes = (3 + 2 * n_waves + features, *hidden, 2)

    def init(key):
        key_waves, key_layers = jax.random.split(key)
        return BANDWIDTH * jax.random.normal(key_waves, (2, n_waves)), init_mlp(
            sizes, key=key_layers
        )

    params = jax.vmap(init)(jax.random.split(key_init, n_sets))
    optimizer = optax.adam(optax.cosine_decay_schedule(lr, steps) if decay_lr else lr)
    network = {"data_sd": data_sd, "features": features}

    def draw(points, n, key):
        key_x, key_level, key_noise = jax.random.split(key, 3)
        # One level from each of n equal shares of the schedule: the bands below are the quarters of
        # the batch.
        level = (jnp.arange(n) + jax.random.uniform(key_level, (n,))) * (levels / n)
        index = jnp.minimum(level.astype(jnp.int32), levels - 1)
        return minibatch(points, n, key=key_x), sigmas[index], jax.random.normal(key_noise, (n, 2))

    def by_band(losses):
        return losses.reshape(BANDS, -1).mean(axis=1)

    def update(state, data, held_out, key):
        params, average, opt_state = state
        key_batch, key_held_out = jax.random.split(key)
        x, sigma, noise = draw(data, batch_size, key_batch)

        def objective(p):
            losses = noise_prediction_loss(p, x, sigma, noise, **network)
            return losses.mean(), by_band(losses)

        (loss, bands), grads = jax.value_and_grad(objective, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        params = optax.apply_updates(params, updates)
        average = ema(average, params, ema_decay)
        v_bands = by_band(
            noise_prediction_loss(
                average, *draw(held_out, VALIDATION_BATCH, key_held_out), **network
            )
        )
        logs = {
            "train_loss": loss,
            "validation_loss": v_bands.mean(),
            "train_loss_by_band": bands,
            "validation_loss_by_band": v_bands,
        }
        return (params, average, opt_state), logs

    def step(state, key):
        return jax.vmap(update)(state, data, held_out, jax.random.split(key, n_sets))

    state = (params, params, jax.vmap(optimizer.init)(params))
    (_, average, _), history = train(step, state, steps=steps, key=key_train, what="diffusion")
    return DiffusionModel(jax.tree.map(np.asarray, average), history)


# Held-out points per training step: their mean over a chunk is the validation curve.
VALIDATION_BATCH = 64

# --- samplers: (score, x, sigmas) -> (x at the last level, path), from the largest σ down ---


def ddim(
    score: Score, x: jax.Array, sigmas: jax.Array, *, eta: float, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """DDIM in σ (Song et al. 2021, eqs. 12 and 16): η = 0 is deterministic (Euler), η = 1 is DDPM's
    ancestral sampling.

    From σ to τ < σ with x̂₀ = x + σ² score: x' = x̂₀ + sqrt(τ² - v) ε̂ + sqrt(v) ξ,
    v = η² τ² (1 - τ²/σ²).
    x (n, d) at sigmas[0]; sigmas decreasing, a last 0 is allowed and gives x̂₀.
    """

    checks.number(eta, "eta", "in [0, 1]", ": above 1 the variance left for ε̂ is negative")
    x, score, sigmas = start_at(score, x, sigmas, zero=True)

    def step(x, inputs):
        i, sigma, tau = inputs
        noise = -sigma * score(x, sigma)
        variance = eta**2 * tau**2 * (1 - tau**2 / sigma**2)
        fresh = jax.random.normal(jax.random.fold_in(key, i), x.shape)
        x = x - sigma * noise + jnp.sqrt(tau**2 - variance) * noise + jnp.sqrt(variance) * fresh
        return x, x

    return jax.lax.scan(step, x, (jnp.arange(len(sigmas) - 1), sigmas[:-1], sigmas[1:]))


def euler(score: Score, x: jax.Array, sigmas: jax.Array) -> tuple[jax.Array, jax.Array]:
    """First-order steps of the probability-flow ODE dx/dσ = -σ score(x, σ) (Song et al. 2021,
    eq. 13; Karras et al. 2022, eq. 1)."""

    x, score, sigmas = start_at(score, x, sigmas, zero=True)

    def step(x, pair):
        sigma, tau = pair
        x = x - (tau - sigma) * sigma * score(x, sigma)
        return x, x

    return jax.lax.scan(step, x, (sigmas[:-1], sigmas[1:]))


def heun(score: Score, x: jax.Array, sigmas: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Second-order steps of the same ODE: the slopes at both ends, averaged
    (Karras et al. 2022, algorithm 1).  Last σ > 0."""

    x, score, sigmas = start_at(score, x, sigmas)

    def step(x, pair):
        sigma, tau = pair
        slope = -sigma * score(x, sigma)
        guess = x + (tau - sigma) * slope
        x = x + (tau - sigma) * (slope - tau * score(guess, tau)) / 2
        return x, x

    return jax.lax.scan(step, x, (sigmas[:-1], sigmas[1:]))


# --- likelihood ---


def probability_flow_log_prob(
    score: Score, x: jax.Array, sigmas: jax.Array, *, data_sd: float
) -> jax.Array:
    """log density of the model that the probability-flow ODE defines, (n, 2) -> (n,), nats.

    log p_min(x) = log N(x_max; 0, (σ_max² + data_sd²) I) - ∫ σ div score dσ along dx/dσ = -σ score
    (Chen et al. 2018, theorem 1; Song et al. 2021, eq. 39), Heun steps over `sigmas` *increasing*,
    the divergence exact by two forward derivatives.
    """
    x, score, sigmas = start_at(score, x, sigmas, rising=True)
    checks.shape(x, "x", (len(x), 2), ": the trace below is of two dimensions")
    checks.number(data_sd, "data_sd", "positive")
    eye = jnp.eye(2, dtype=x.dtype)

    def slope(x, sigma):
        value, derivative = jax.vmap(
            lambda e: jax.jvp(lambda y: score(y, sigma), (x,), (jnp.broadcast_to(e, x.shape),))
        )(eye)
        return -sigma * value[0], -sigma * (derivative[0, :, 0] + derivative[1, :, 1])

    def step(carry, pair):
        x, change = carry
        sigma, tau = pair
        dx, div = slope(x, sigma)
        dx_end, div_end = slope(x + (tau - sigma) * dx, tau)
        return (
            x + (tau - sigma) * (dx + dx_end) / 2,
            change + (tau - sigma) * (div + div_end) / 2,
        ), None

    pairs = sigmas[:-1], sigmas[1:]
    (x_max, change), _ = jax.lax.scan(step, (x, jnp.zeros(len(x), x.dtype)), pairs)
    variance = sigmas[-1] ** 2 + data_sd**2
    return -jnp.sum(x_max**2, axis=-1) / (2 * variance) - jnp.log(2 * jnp.pi * variance) + change


# --- compiled over the stack of data sets ---


@checked
@partial(jax.jit, static_argnames=("n", "method", "features", "data_sd"))
def sample_stack(
    params, key, sigmas, *, n: int, method: str, features: int, data_sd: float, eta: float = 0.0
):
    """n points of every set by "ddim", "euler" or "heun" over decreasing sigmas: (sets, n, 2) and
    the path (sets, steps, n, 2)."""

    def one(params, key):
        key_start, key_steps = jax.random.split(key)
        score = score_of(params, data_sd=data_sd, features=features)
        x = jnp.sqrt(sigmas[0] ** 2 + data_sd**2) * jax.random.normal(key_start, (n, 2))
        if method == "ddim":
            return ddim(score, x, sigmas, eta=eta, key=key_steps)
        return {"euler": euler, "heun": heun}[method](score, x, sigmas)

    return jax.vmap(one)(params, jax.random.split(key, len(jax.tree.leaves(params)[0])))


@partial(checked, rising=True)
@partial(jax.jit, static_argnames=("features", "data_sd"))
def log_prob_stack(params, x, sigmas, *, features: int, data_sd: float):
    """probability_flow_log_prob for every set: x (sets, n, 2) -> (sets, n)."""

    def one(params, x):
        score = score_of(params, data_sd=data_sd, features=features)
        return probability_flow_log_prob(score, x, sigmas, data_sd=data_sd)

    return jax.vmap(one)(params, x)


@checked
@partial(jax.jit, static_argnames=("n", "steps_per_sigma", "step_size", "features", "data_sd"))
def annealed_langevin_stack(
    params, key, sigmas, *,
    n: int, steps_per_sigma: int, step_size: float, features: int, data_sd: float,
):  # fmt: skip
    """n points of every set by annealed Langevin over decreasing sigmas, then one denoising step
    x + σ² score (the posterior mean).

    Returns (sets, n, 2) and the path, one frame per level, (sets, levels, n, 2).
    """

    def one(params, key):
        key_start, key_chain = jax.random.split(key)
        score = score_of(params, data_sd=data_sd, features=features)
        x = jnp.sqrt(sigmas[0] ** 2 + data_sd**2) * jax.random.normal(key_start, (n, 2))
        x, path = annealed_langevin(
            score, x, sigmas, steps_per_sigma=steps_per_sigma, step_size=step_size, key=key_chain
        )
        return x + sigmas[-1] ** 2 * score(x, sigmas[-1]), path

    return jax.vmap(one)(params, jax.random.split(key, len(jax.tree.leaves(params)[0])))
