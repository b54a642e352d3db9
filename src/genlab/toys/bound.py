"""The variational bound of a diffusion model, term by term (Ho et al. 2020, eq. 5).

In the level σ of noise the chain of a variance-preserving process has the same terms: its points
are x_σ rescaled, and a divergence between Gaussians does not see the scale.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from genlab import checks
from genlab.toys.diffusion import noise_prediction_loss, sigmas_of


def vp_weights(alphas: np.ndarray) -> np.ndarray:
    """Weights of ‖ε - ε̂‖² in the terms t = 2 ... T of a variance-preserving chain, (T - 1,):
    β_t² / (2 v_t α_t (1 - ᾱ_t)) (Ho et al. 2020, eq. 12), where v_t = β_t (1 - ᾱ_{t-1})/(1 - ᾱ_t)
    is the variance of the exact step back from known data (their eq. 7)."""
    sigmas_of(alphas)  # refuses what is no schedule
    alphas = np.asarray(alphas, np.float64)
    alpha_bars = np.cumprod(alphas)
    beta, alpha, before, after = 1 - alphas[1:], alphas[1:], alpha_bars[:-1], alpha_bars[1:]
    variance = beta * (1 - before) / (1 - after)
    return beta**2 / (2 * variance * alpha * (1 - after))


def sigma_weights(sigmas: np.ndarray) -> np.ndarray:
    """The same weights in the levels of noise, (σ_t²/σ_{t-1}² - 1)/2, from increasing levels (T,):
    (T - 1,) (Kingma et al. 2021, eq. 13, with signal-to-noise ratio 1/σ²)."""
    sigmas = np.asarray(checks.levels(sigmas, rising=True), np.float64)
    return (sigmas[1:] ** 2 / sigmas[:-1] ** 2 - 1) / 2


def nll_terms(losses: np.ndarray, x: np.ndarray, sigmas: np.ndarray, *, data_sd: float):
    """The bound's T + 1 terms, nats: (reconstruction, one for each step 2 ... T, prior).

    losses (T, n): ‖ε - ε̂‖² of points x (n, 2) at each level.  Reconstruction: -log N(x; x̂₀, σ_1²),
    x̂₀ = x_1 - σ_1 ε̂, which is log(2πσ_1²) + ‖ε - ε̂‖²/2 in the plane.  Prior: the divergence of
    N(x, σ_T²) from N(0, σ_T² + data_sd²).  The mean over points of each: (T + 1,).
    """
    losses, x = (np.asarray(a, np.float64) for a in (losses, x))
    sigmas = np.asarray(checks.levels(sigmas, rising=True), np.float64)
    checks.shape(losses, "losses", (len(sigmas), len(x)), ": a row a level")
    mean = losses.mean(axis=1)
    first = np.log(2 * np.pi * sigmas[0] ** 2) + mean[0] / 2
    variance = sigmas[-1] ** 2 + checks.number(data_sd, "data_sd", "positive") ** 2
    ratio = sigmas[-1] ** 2 / variance
    prior = ratio - 1 - np.log(ratio) + np.mean(np.sum(x**2, axis=1)) / (2 * variance)
    return np.concatenate([[first], sigma_weights(sigmas) * mean[1:], [prior]])


@partial(jax.jit, static_argnames=("features", "data_sd"))
def losses_by_level(
    params, x: jax.Array, sigmas: jax.Array, *, features: int, data_sd: float, key: jax.Array
) -> jax.Array:
    """‖ε - ε̂‖² with fresh noise at every level, for every model of a stack: x (models, n, 2),
    sigmas (T,) -> (models, T, n)."""

    def level(inputs):
        i, sigma = inputs
        noise = jax.random.normal(jax.random.fold_in(key, i), x.shape)
        one = partial(noise_prediction_loss, features=features, data_sd=data_sd)
        return jax.vmap(lambda p, x, e: one(p, x, jnp.full(len(x), sigma), e))(params, x, noise)

    return jnp.moveaxis(jax.lax.map(level, (jnp.arange(len(sigmas)), sigmas)), 0, 1)
