"""Samplers against the exact Gaussian denoiser: their orders, DDIM = DDPM, the variance that
annealed chains end with, the likelihood."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

from genlab.toys import diffusion, samplers

S = 1.5  # data N(0, S² I)


def exact_score(x, sigma):
    return -x / (S**2 + sigma**2)


def ode_error(solver, n) -> float:
    """Error of the solver's end point: the exact flow keeps x/sqrt(S² + σ²)."""
    sigmas = jnp.asarray(diffusion.karras_sigmas(n, 0.2, 10.0), jnp.float32)
    x = jnp.array([[3.0, -7.0]])
    exact = x * jnp.sqrt((S**2 + sigmas[-1] ** 2) / (S**2 + sigmas[0] ** 2))
    return float(jnp.abs(solver(exact_score, x, sigmas)[0] - exact).max())


@pytest.mark.parametrize(
    ("solver", "order"), [(samplers.euler, 1), (samplers.heun, 2), (samplers.multistep, 2)]
)
def test_solvers_converge_at_their_order(solver, order):
    measured = np.log2(ode_error(solver, 16) / ode_error(solver, 32))
    assert abs(measured - order) < 0.25
    assert not abs(measured - (3 - order)) < 0.25  # the other order would fail


def test_the_first_step_of_the_multistep_solver_is_ddim(key):
    sigmas = jnp.array([5.0, 3.0, 2.0])
    x = jax.random.normal(key, (7, 2)) * 5
    path = samplers.multistep(exact_score, x, sigmas)[1]
    ddim = samplers.ddim(exact_score, x, sigmas, eta=0.0, key=key)[1]
    assert np.allclose(path[0], ddim[0], atol=1e-5)
    assert not np.allclose(path[1], ddim[1], atol=1e-3)  # the second looks back


def test_ddim_without_noise_is_euler(key):
    sigmas = jnp.asarray(diffusion.karras_sigmas(12, 0.2, 10.0), jnp.float32)
    x = jax.random.normal(key, (7, 2)) * 10
    one, _ = samplers.ddim(exact_score, x, sigmas, eta=0.0, key=key)
    assert np.allclose(one, samplers.euler(exact_score, x, sigmas)[0], atol=1e-4)


@pytest.mark.parametrize(("eta", "same"), [(1.0, True), (0.5, False)])
def test_ddim_with_eta_one_is_the_ddpm_posterior(eta, same, key):
    """One step from σ to τ: mean x̂₀ + τ²/σ² (x - x̂₀), variance τ²(σ² - τ²)/σ²
    (Ho et al. 2020, eq. 7, in σ)."""
    sigma, tau, n = 2.0, 1.2, 200_000
    x = jnp.full((n, 2), 3.0)
    y, _ = samplers.ddim(exact_score, x, jnp.array([sigma, tau]), eta=eta, key=key)
    x0 = 3.0 + sigma**2 * float(exact_score(jnp.array(3.0), sigma))
    mean, variance = x0 + tau**2 / sigma**2 * (3.0 - x0), tau**2 * (sigma**2 - tau**2) / sigma**2
    mean_ok = abs(float(y.mean()) - mean) < 5 * np.sqrt(variance / (2 * n))
    variance_ok = abs(float(y.var()) / variance - 1) < 5 * np.sqrt(1 / n)
    assert (mean_ok and variance_ok) == same


def test_ancestral_sampling_of_a_gaussian_has_its_variance(key):
    sigmas = jnp.asarray(np.append(diffusion.karras_sigmas(300, 0.01, 40.0), 0.0), jnp.float32)
    n = 20_000
    x = jnp.sqrt(S**2 + 40.0**2) * jax.random.normal(key, (n, 2))
    y, path = samplers.ddim(exact_score, x, sigmas, eta=1.0, key=key)
    assert path.shape == (301, n, 2)
    assert abs(float(y.var()) / S**2 - 1) < 0.03 + 5 * np.sqrt(1 / n)


def test_likelihood_of_a_gaussian_is_exact(key):
    sigmas = jnp.asarray(diffusion.karras_sigmas(250, 0.05, 40.0)[::-1].copy(), jnp.float32)
    x = S * jax.random.normal(key, (100, 2))
    sd = jnp.sqrt(S**2 + 0.05**2)
    exact = norm.logpdf(x, scale=sd).sum(axis=1)
    found = samplers.probability_flow_log_prob(exact_score, x, sigmas, data_sd=S)
    assert float(jnp.abs(found - exact).max()) < 5e-3
    flipped = samplers.probability_flow_log_prob(
        lambda x, s: -exact_score(x, s), x, sigmas, data_sd=S
    )
    assert float(jnp.abs(flipped - exact).max()) > 1.0


def test_likelihood_of_a_mixture_integrates_to_one():
    """The exact blurred score of two Gaussians; whatever the score, the flow's
    density has mass one."""
    centres = jnp.array([[1.5, 0.0], [-1.5, 0.0]])

    def score(x, sigma):
        squared = jnp.sum((x[:, None] - centres) ** 2, axis=-1)
        weights = jax.nn.softmax(-squared / (2 * (0.25 + sigma**2)), axis=-1)
        return (weights @ centres - x) / (0.25 + sigma**2)

    ticks = jnp.linspace(-5, 5, 80)
    x = jnp.stack(jnp.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    sigmas = jnp.asarray(diffusion.karras_sigmas(60, 0.02, 30.0)[::-1].copy(), jnp.float32)
    log_p = samplers.probability_flow_log_prob(score, x, sigmas, data_sd=1.2)
    assert float(jnp.exp(log_p).sum() * (ticks[1] - ticks[0]) ** 2) == pytest.approx(1.0, abs=0.01)


def test_annealed_langevin_ends_with_the_variance_of_the_last_level(key):
    s, sigmas = 1.5, jnp.geomspace(10.0, 0.5, 25)
    x = jnp.sqrt(s**2 + sigmas[0] ** 2) * jax.random.normal(key, (20_000, 1))
    score = lambda x, sigma: -x / (s**2 + sigma**2)  # noqa: E731
    x, path = samplers.annealed_langevin(
        score, x, sigmas, steps_per_sigma=60, step_size=0.1, key=key
    )
    expected = s**2 + 0.5**2
    assert path.shape == (25, 20_000, 1)
    # Not fully equilibrated at every level: within two per cent, far from the variances of the
    # neighbouring levels.
    assert abs(float(jnp.var(x)) - expected) < 0.02 * expected + 4 * expected * np.sqrt(2 / 20_000)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_annealed_langevin_takes_exactly_its_steps(steps, key):
    levels = jnp.array([2.0, 1.0, 0.5])
    # at level σ the score moves a point by h σ² · 1/σ² = 0.1 a step; noise cannot hide how often
    moved, frames = samplers.annealed_langevin(
        lambda y, sigma: jnp.ones_like(y) / sigma**2, jnp.zeros((200_000, 1)), levels,
        steps_per_sigma=steps, step_size=0.1, key=key,
    )  # fmt: skip
    se = np.sqrt(2 * 0.1 * steps * float((levels**2).sum()) / 200_000)
    assert frames.shape[0] == 3 and abs(float(moved.mean()) - 0.1 * 3 * steps) < 5 * se < 0.05


@pytest.mark.parametrize("solver", ["ddim", "euler", "heun", "multistep"])
def test_a_sampler_visits_every_level_once_and_the_last(solver, key):
    """A score that is told no level twice, and none too few."""
    sigmas, seen = jnp.array([3.0, 2.0, 1.0, 0.5]), []

    def score(x, sigma):
        jax.debug.callback(lambda s: seen.append(float(s)), sigma, ordered=True)
        return -x / (1 + sigma**2)

    options = {"eta": 0.0, "key": key} if solver == "ddim" else {}
    _, path = getattr(samplers, solver)(score, jnp.ones((2, 2)), sigmas, **options)
    jax.effects_barrier()
    levels = sigmas.tolist()
    ends = [s for pair in pairwise(levels) for s in pair]
    assert len(path) == 3 and seen == (ends if solver == "heun" else levels[:-1])
