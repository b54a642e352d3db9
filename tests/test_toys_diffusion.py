"""Diffusion against the exact Gaussian denoiser: orders of the solvers, DDIM = DDPM,
likelihood, schedules."""

from itertools import pairwise

import averages
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

from genlab.data.toy import DENSITIES
from genlab.toys import diffusion
from genlab.toys.networks import init_mlp

S = 1.5  # data N(0, S² I)


def exact_score(x, sigma):
    return -x / (S**2 + sigma**2)


def ode_error(solver, n) -> float:
    """Error of the solver's end point: the exact flow keeps x/sqrt(S² + σ²)."""
    sigmas = jnp.asarray(diffusion.karras_sigmas(n, 0.2, 10.0), jnp.float32)
    x = jnp.array([[3.0, -7.0]])
    exact = x * jnp.sqrt((S**2 + sigmas[-1] ** 2) / (S**2 + sigmas[0] ** 2))
    return float(jnp.abs(solver(exact_score, x, sigmas)[0] - exact).max())


@pytest.mark.parametrize(("solver", "order"), [(diffusion.euler, 1), (diffusion.heun, 2)])
def test_solvers_converge_at_their_order(solver, order):
    measured = np.log2(ode_error(solver, 16) / ode_error(solver, 32))
    assert abs(measured - order) < 0.25
    assert not abs(measured - (3 - order)) < 0.25  # the other order would fail


def test_ddim_without_noise_is_euler(key):
    sigmas = jnp.asarray(diffusion.karras_sigmas(12, 0.2, 10.0), jnp.float32)
    x = jax.random.normal(key, (7, 2)) * 10
    one, _ = diffusion.ddim(exact_score, x, sigmas, eta=0.0, key=key)
    assert np.allclose(one, diffusion.euler(exact_score, x, sigmas)[0], atol=1e-4)


@pytest.mark.parametrize(("eta", "same"), [(1.0, True), (0.5, False)])
def test_ddim_with_eta_one_is_the_ddpm_posterior(eta, same, key):
    """One step from σ to τ: mean x̂₀ + τ²/σ² (x - x̂₀), variance τ²(σ² - τ²)/σ²
    (Ho et al. 2020, eq. 7, in σ)."""
    sigma, tau, n = 2.0, 1.2, 200_000
    x = jnp.full((n, 2), 3.0)
    y, _ = diffusion.ddim(exact_score, x, jnp.array([sigma, tau]), eta=eta, key=key)
    x0 = 3.0 + sigma**2 * float(exact_score(jnp.array(3.0), sigma))
    mean, variance = x0 + tau**2 / sigma**2 * (3.0 - x0), tau**2 * (sigma**2 - tau**2) / sigma**2
    mean_ok = abs(float(y.mean()) - mean) < 5 * np.sqrt(variance / (2 * n))
    variance_ok = abs(float(y.var()) / variance - 1) < 5 * np.sqrt(1 / n)
    assert (mean_ok and variance_ok) == same


def test_ancestral_sampling_of_a_gaussian_has_its_variance(key):
    sigmas = jnp.asarray(np.append(diffusion.karras_sigmas(300, 0.01, 40.0), 0.0), jnp.float32)
    n = 20_000
    x = jnp.sqrt(S**2 + 40.0**2) * jax.random.normal(key, (n, 2))
    y, path = diffusion.ddim(exact_score, x, sigmas, eta=1.0, key=key)
    assert path.shape == (301, n, 2)
    assert abs(float(y.var()) / S**2 - 1) < 0.03 + 5 * np.sqrt(1 / n)


def test_schedules():
    alphas = diffusion.linear_alphas(1000)
    sigmas = diffusion.sigmas_of(alphas)
    assert alphas[0] == 1 - 1e-4 and alphas[-1] == 0.98 and len(sigmas) == 1000
    # σ_1 uses ᾱ_1 = α_1; off by one it would be 0
    assert np.isclose(sigmas[0], np.sqrt(1e-4 / (1 - 1e-4)))
    assert np.isclose(1 / (1 + sigmas[-1] ** 2), np.prod(alphas))
    # the twin that misses a step
    assert not np.isclose(1 / (1 + sigmas[-1] ** 2), np.prod(alphas[:-1]), rtol=1e-3)
    levels = diffusion.karras_sigmas(10, 0.01, 20.0)
    assert (
        len(levels) == 11 and levels[0] == pytest.approx(20.0) and levels[-1] == pytest.approx(0.01)
    )
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        diffusion.sigmas_of(np.array([0.9, 1.0]))


def test_likelihood_of_a_gaussian_is_exact(key):
    sigmas = jnp.asarray(diffusion.karras_sigmas(250, 0.05, 40.0)[::-1].copy(), jnp.float32)
    x = S * jax.random.normal(key, (100, 2))
    sd = jnp.sqrt(S**2 + 0.05**2)
    exact = norm.logpdf(x, scale=sd).sum(axis=1)
    found = diffusion.probability_flow_log_prob(exact_score, x, sigmas, data_sd=S)
    assert float(jnp.abs(found - exact).max()) < 5e-3
    flipped = diffusion.probability_flow_log_prob(
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
    log_p = diffusion.probability_flow_log_prob(score, x, sigmas, data_sd=1.2)
    assert float(jnp.exp(log_p).sum() * (ticks[1] - ticks[0]) ** 2) == pytest.approx(1.0, abs=0.01)


@pytest.mark.slow
def test_small_training_nears_the_exact_posterior_of_a_mixture(key):
    """The smallest reachable loss is that of the exact ε̂ = -σ score, known for Gaussians;
    a straight line is not enough."""
    rng = np.random.default_rng(0)
    d = DENSITIES["eight_gaussians"]
    data, held_out = (d.sample(n, rng=rng)[None] for n in (20_000, 500))
    levels = np.geomspace(0.05, 10, 200)
    model = diffusion.train_diffusion(
        data, held_out, levels, hidden=(48, 48), steps=800, seed=0, batch_size=128, ema_decay=0.98
    )
    assert model.history["train_loss_by_band"].shape[1:] == (1, diffusion.BANDS)
    params = jax.tree.map(lambda p: p[0], model.params)
    key_noise, key_level = jax.random.split(key)
    n = 8000
    x = jnp.asarray(d.sample(n, rng=rng), jnp.float32)
    sigma = 0.5 * 6.0 ** jax.random.uniform(key_level, (n,))  # 0.5 to 3: the modes merge here
    noise = jax.random.normal(key_noise, (n, 2))
    noisy, variance = x + sigma[:, None] * noise, d.centre_sd**2 + sigma[:, None] ** 2
    centres = jnp.asarray(d.centres, jnp.float32)
    weights = jax.nn.softmax(
        -jnp.sum((noisy[:, None] - centres) ** 2, axis=-1) / (2 * variance), axis=-1
    )
    exact = sigma[:, None] * (noisy - weights @ centres) / variance
    # right for one Gaussian, the twin
    line = sigma[:, None] * noisy / (sigma[:, None] ** 2 + x.var())
    found = diffusion.noise_prediction_loss(params, x, sigma, noise, data_sd=2.0, features=16)
    floor, twin = (jnp.sum((noise - guess) ** 2, axis=-1) for guess in (exact, line))
    excess, excess_twin, se = (
        float((found - floor).mean()),
        float((twin - floor).mean()),
        float((found - floor).std()) / n**0.5,
    )
    assert excess > -5 * se  # nothing beats the posterior mean
    assert excess < 0.25 * excess_twin


def test_noise_loss_is_weighted_score_loss(key):
    """‖ε - ε̂‖² = σ² ‖score + ε/σ‖², and not ‖score + ε/σ‖² itself."""
    layers = init_mlp((2 + 2 * 4 + 1 + 16, 8, 2), key=key)
    params, network = (jnp.ones((2, 4)), layers), {"data_sd": 2.0, "features": 16}
    x, noise = jax.random.normal(key, (2, 64, 2))
    s = diffusion.score_of(params, **network)(x + 0.7 * noise, jnp.float32(0.7))
    losses = diffusion.noise_prediction_loss(params, x, jnp.full((64,), 0.7), noise, **network)
    denoising = jnp.sum((s + noise / 0.7) ** 2, axis=-1)
    assert np.allclose(losses, 0.7**2 * denoising, rtol=1e-4)
    assert not np.allclose(losses, denoising, rtol=1e-4)


def test_unknown_method_is_refused(key):
    with pytest.raises(ValueError, match="method='rk4' must be"):
        diffusion.sample_stack([], key, jnp.ones(3), n=4, method="rk4", features=0, data_sd=1.0)


@pytest.mark.slow
def test_the_average_of_the_weights_comes_out_and_held_out_points_only_judge():
    data = np.random.default_rng(0).normal(size=(1, 64, 2)).astype(np.float32)

    def train(held_out, decay):
        return diffusion.train_diffusion(
            data, held_out, np.array([0.5, 1.0]), hidden=(4,), steps=1, seed=0, batch_size=32,
            lr=1e-2, ema_decay=decay, decay_lr=False,
        )  # fmt: skip

    averages.check_training(
        train, lambda model: model.params, ("train_loss", "validation_loss"), data
    )


@pytest.mark.parametrize("solver", ["ddim", "euler", "heun"])
def test_a_sampler_visits_every_level_once_and_the_last(solver, key):
    """A score that is told no level twice, and none too few."""
    sigmas, seen = jnp.array([3.0, 2.0, 1.0, 0.5]), []

    def score(x, sigma):
        jax.debug.callback(lambda s: seen.append(float(s)), sigma, ordered=True)
        return -x / (1 + sigma**2)

    options = {"eta": 0.0, "key": key} if solver == "ddim" else {}
    _, path = getattr(diffusion, solver)(score, jnp.ones((2, 2)), sigmas, **options)
    jax.effects_barrier()
    levels = sigmas.tolist()
    ends = [s for pair in pairwise(levels) for s in pair]
    assert len(path) == 3 and seen == (ends if solver == "heun" else levels[:-1])
