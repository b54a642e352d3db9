"""From noise to data through falling levels of noise: (score, x, sigmas) -> (x, path); and back,
which is the likelihood.

score(x (n, d), sigma ()) -> (n, d), the gradient of log p_σ; x (n, d) at sigmas[0]; the path has a
frame a level.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from genlab import checks
from genlab.toys import langevin
from genlab.training.jax import floats

Score = Callable[[jax.Array, jax.Array], jax.Array]


def start_at(score: Score, x, sigmas, **rules):
    """Points and levels to start from, checked where they are known, and a score whose values have
    the shape of the points."""
    x, sigmas = langevin.start(x), checks.levels(sigmas, **rules)
    return x, langevin.vectors(score, "score"), jnp.asarray(sigmas, x.dtype)


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


def multistep(score: Score, x: jax.Array, sigmas: jax.Array) -> tuple[jax.Array, jax.Array]:
    """DPM-Solver++(2M): second order at one call a step (Lu et al. 2022, algorithm 2, in σ).

    From σ to τ with x̂₀ = x + σ² score: x' = (τ/σ) x + (1 - τ/σ) D, where D goes on along the
    line through the last two x̂₀ by half of this step in log σ; in the first step D = x̂₀.
    x (n, d) at sigmas[0]; sigmas decreasing, last σ > 0.
    """

    x, score, sigmas = start_at(score, x, sigmas)
    steps = -jnp.diff(jnp.log(sigmas))
    ahead = jnp.concatenate([jnp.zeros(1, x.dtype), steps[1:] / (2 * steps[:-1])])

    def step(carry, inputs):
        x, before = carry
        sigma, tau, ahead = inputs
        clean = x + sigma**2 * score(x, sigma)
        line = clean + ahead * (clean - before)
        x = tau / sigma * x + (1 - tau / sigma) * line
        return (x, clean), x

    (x, _), path = jax.lax.scan(step, (x, x), (sigmas[:-1], sigmas[1:], ahead))
    return x, path


def annealed_langevin(
    score: Score,
    x: jax.Array,
    sigmas: jax.Array,
    *,
    steps_per_sigma: int,
    step_size: float,
    key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Langevin through falling noise levels, step h_i = step_size σ_i² (Song & Ermon 2019,
    algorithm 1, with ε/2 = step_size σ_L²).

    Returns the last points and the path, one frame per level.
    """

    checks.levels(sigmas)
    x = langevin.start(x)
    checks.number(step_size, "step_size", "positive")

    def level(x, inputs):
        i, sigma = inputs
        kernel = langevin.unadjusted_langevin(lambda y: score(y, sigma), step_size * sigma**2)
        x, _, _ = langevin.run_chain(
            kernel, x, steps=steps_per_sigma, key=jax.random.fold_in(key, i)
        )
        return x, x

    return jax.lax.scan(level, x, (jnp.arange(len(sigmas)), floats(sigmas)))


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
