"""Diffusion models of the plane in one coordinate, the noise level σ: x_σ = x + σ ε, ε ~ N(0, I).

A variance-preserving process is the same process with x rescaled: x_t = sqrt(ᾱ_t) x_σ
with σ_t = sqrt((1 - ᾱ_t)/ᾱ_t) (Karras et al. 2022, section 2).  So one network, ε̂(x_σ, σ), serves
DDPM, DDIM, the probability-flow ODE and annealed score matching, with score(x, σ) = -ε̂/σ
(Vincent 2011).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab import checks
from genlab.toys import samplers
from genlab.toys.networks import fourier_features, init_fourier_mlp, mlp
from genlab.training import Trained
from genlab.training import jax as training
from genlab.training.jax import Weights, descend, floats, minibatch, train_averaged

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


def score_of(params, *, data_sd: float, features: int) -> samplers.Score:
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


@dataclass(frozen=True)
class Rules(training.Rules):
    """How a noise predictor is trained.

    The network: `hidden` layers over `n_waves` random Fourier features of the point and `features`
    of the level (`predict_noise`).
    """

    hidden: tuple[int, ...]
    features: int = 16
    n_waves: int = 32
    data_sd: float = 2.0

    def check(self) -> None:
        """ValueError for a rule that cannot be followed."""
        super().check()
        if self.batch_size % BANDS:
            raise ValueError(
                f"batch_size={self.batch_size} must be a multiple of {BANDS}, the noise bands"
            )
        checks.number(self.data_sd, "data_sd", "positive")


def init(rules: Rules, *, key: jax.Array):
    """Parameters of the network before its training: (B (2, n_waves), layers)."""
    more, sizes = 1 + rules.features, (2, *rules.hidden, 2)
    return init_fourier_mlp(sizes, rules.n_waves, bandwidth=BANDWIDTH, more=more, key=key)


def draw(points: jax.Array, n: int, sigmas: jax.Array, *, key: jax.Array):
    """n rows of `points`, one level from each of n equal shares of the schedule, and the noise:
    the bands are the quarters of the batch."""
    key_x, key_level, key_noise = jax.random.split(key, 3)
    levels = len(sigmas)
    level = (jnp.arange(n) + jax.random.uniform(key_level, (n,))) * (levels / n)
    index = jnp.minimum(level.astype(jnp.int32), levels - 1)
    return minibatch(points, n, key=key_x), sigmas[index], jax.random.normal(key_noise, (n, 2))


def update(
    weights: Weights,
    data: jax.Array,
    held_out: jax.Array,
    *,
    sigmas: jax.Array,
    rules: Rules,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
) -> tuple[Weights, dict[str, jax.Array]]:
    """Descend the noise predictor's loss on a batch of `data` (n, 2).  Held-out points (m, 2) only
    judge."""
    key_batch, key_held_out = jax.random.split(key)
    loss = partial(noise_prediction_loss, data_sd=rules.data_sd, features=rules.features)
    by_band = lambda losses: losses.reshape(BANDS, -1).mean(axis=1)  # noqa: E731
    batch = draw(data, rules.batch_size, sigmas, key=key_batch)

    def objective(params):
        losses = loss(params, *batch)
        return losses.mean(), by_band(losses)

    (value, bands), gradient = jax.value_and_grad(objective, has_aux=True)(weights.params)
    weights = descend(weights, gradient, optimizer, ema_decay=rules.ema_decay)
    unseen = draw(held_out, VALIDATION_BATCH, sigmas, key=key_held_out)
    unseen_bands = by_band(loss(weights.average, *unseen))
    return weights, {
        "train_loss": value,
        "validation_loss": unseen_bands.mean(),
        "train_loss_by_band": bands,
        "validation_loss_by_band": unseen_bands,
    }


# Held-out points per training step: their mean over a chunk is the validation curve.
VALIDATION_BATCH = 64


def train_diffusion(
    data: np.ndarray,
    held_out: np.ndarray,
    sigmas: np.ndarray,
    *,
    rules: Rules,
    steps: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Train one noise predictor per data set by `update`, all sets in one compiled loop.

    data (sets, n, 2), held_out (sets, m, 2); sigmas (L,) increasing: each point draws one of these
    levels uniformly.  The model: averaged parameters, a pytree (sets, ...).  History:
    `train_loss`, `validation_loss` and both per noise band, `train_loss_by_band`,
    `validation_loss_by_band` (chunks, sets, BANDS).  Raises Diverged, ValueError.
    """
    sigmas = jnp.asarray(checks.levels(sigmas, rising=True), jnp.float32)
    at_levels = partial(update, sigmas=sigmas)
    about = dict(rules=rules, steps=steps, seed=seed, until=until, resume=resume)
    return train_averaged(at_levels, init, data, held_out, what="diffusion", **about)


# --- compiled over the stack of data sets ---

METHODS = ("ddim", "euler", "heun")  # the first two may end at level 0


def checked(compiled: Callable, *, rising: bool = False) -> Callable:
    """compiled(params, key or points, sigmas, ...) whose arguments are looked at before: inside
    the program nobody knows their values."""

    @wraps(compiled)
    def checked(params, given, sigmas, **about):
        zero = checks.one_of(about.get("method", "heun"), "method", METHODS) != "heun"
        sigmas = floats(checks.levels(sigmas, rising=rising, zero=zero))
        checks.number(about.get("eta", 0.0), "eta", "in [0, 1]")
        for name in about.keys() & {"n", "steps_per_sigma"}:
            about[name] = checks.count(about[name], name)
        for name in about.keys() & {"step_size", "data_sd"}:
            about[name] = checks.number(about[name], name, "positive")
        given = jnp.asarray(checks.sets(x=given)[0]) if rising else given
        return compiled(params, given, sigmas, **about)

    return checked


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
            return samplers.ddim(score, x, sigmas, eta=eta, key=key_steps)
        return {"euler": samplers.euler, "heun": samplers.heun}[method](score, x, sigmas)

    return jax.vmap(one)(params, jax.random.split(key, len(jax.tree.leaves(params)[0])))


@partial(checked, rising=True)
@partial(jax.jit, static_argnames=("features", "data_sd"))
def log_prob_stack(params, x, sigmas, *, features: int, data_sd: float):
    """probability_flow_log_prob for every set: x (sets, n, 2) -> (sets, n)."""

    def one(params, x):
        score = score_of(params, data_sd=data_sd, features=features)
        return samplers.probability_flow_log_prob(score, x, sigmas, data_sd=data_sd)

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
        x, path = samplers.annealed_langevin(
            score, x, sigmas, steps_per_sigma=steps_per_sigma, step_size=step_size, key=key_chain
        )
        return x + sigmas[-1] ** 2 * score(x, sigmas[-1]), path

    return jax.vmap(one)(params, jax.random.split(key, len(jax.tree.leaves(params)[0])))
