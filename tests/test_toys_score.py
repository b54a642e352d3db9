"""Denoising score matching against closed forms for Gaussian data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.data.toy import Density, grid
from genlab.toys import score

S, SIGMA, N = 1.4, 0.6, 200_000


def gaussian_density() -> Density:
    draw = lambda n, rng: S * rng.standard_normal((n, 2))  # noqa: E731
    log_density = lambda x: (  # noqa: E731
        -(x**2).sum(axis=1) / (2 * S**2) - np.log(2 * np.pi * S**2)
    )
    return Density("gaussian", 8.0, draw, log_density)


def fitted_slope(loss, key) -> float:
    """The slope a that minimises `loss` for the linear score s(x) = a x: a quadratic in a, solved
    from three values."""
    x, noise = (
        S * jax.random.normal(key, (N, 2)),
        jax.random.normal(jax.random.fold_in(key, 1), (N, 2)),
    )
    y = x + SIGMA * noise
    low, mid, high = (float(loss(a * y, noise)) for a in (-1.0, 0.0, 1.0))
    return (low - high) / (2 * (low + high - 2 * mid))


def test_the_minimiser_is_the_score_of_the_blurred_gaussian(key):
    exact = -1 / (S**2 + SIGMA**2)
    se = 3 / (SIGMA * np.sqrt(2 * N))
    assert abs(fitted_slope(lambda s, e: score.dsm_loss(s, e, SIGMA), key) - exact) < 4 * se
    # flipped sign
    assert abs(fitted_slope(lambda s, e: score.dsm_loss(s, -e, SIGMA), key) - exact) > 50 * se
    # forgotten 1/σ
    assert abs(fitted_slope(lambda s, e: score.dsm_loss(s, e, 1.0), key) - exact) > 10 * se


def test_loss_is_summed_over_dimensions_and_averaged_over_the_batch():
    assert float(score.dsm_loss(jnp.zeros((5, 2)), jnp.ones((5, 2)), 0.5)) == pytest.approx(
        2 / 0.25
    )


def blurred_gaussian(per_unit: int = 20) -> score.Blurred:
    return score.blur(
        score.cell_masses(gaussian_density(), per_unit=per_unit), SIGMA, per_unit=per_unit
    )


def test_blurred_density_and_score_are_exact_for_a_gaussian():
    blurred = blurred_gaussian()
    points, cell = grid(blurred.half, len(blurred.density))
    points = points.reshape(*blurred.density.shape, 2)
    variance = S**2 + SIGMA**2
    exact = np.exp(-(points**2).sum(axis=-1) / (2 * variance)) / (2 * np.pi * variance)
    inside = (np.abs(points) < 4).all(axis=-1)  # cells of a box of 8: the tails beyond are missing
    assert np.abs(blurred.density - exact)[inside].max() < 1e-6
    assert np.abs(blurred.score + points / variance)[inside].max() < 1e-4
    # the score of the data, not of the blurred data
    assert np.abs(blurred.score + points / S**2)[inside].max() > 0.1
    assert blurred.density.sum() * cell == pytest.approx(1, abs=1e-6)


def test_where_the_density_underflows_the_score_points_to_the_nearest_mass():
    masses = np.zeros((40, 40))
    masses[20, 20] = 1.0  # one cell of side 1/40 with its middle at (1/80, 1/80)
    blurred = score.blur(masses, 0.026, per_unit=40)
    x = grid(blurred.half, len(blurred.density))[0].reshape(*blurred.density.shape, 2)
    assert (blurred.density == 0).any() and np.allclose(blurred.score, (1 / 80 - x) / 0.026**2)


def test_loss_floor_is_exact_for_a_gaussian_and_is_what_the_exact_score_scores(rng):
    floor = score.loss_floor(blurred_gaussian(), SIGMA)
    # 2/σ² - 2/(s² + σ²)
    assert floor == pytest.approx(2 * S**2 / (SIGMA**2 * (S**2 + SIGMA**2)), rel=1e-4)
    noise = rng.standard_normal((N, 2))
    y = S * rng.standard_normal((N, 2)) + SIGMA * noise

    def distance(slope):  # of the loss of s(x) = slope x from the floor, in standard errors
        losses = ((slope * y + noise / SIGMA) ** 2).sum(axis=1)
        return abs(losses.mean() - floor) / (losses.std() / np.sqrt(N))

    assert distance(-1 / (S**2 + SIGMA**2)) < 4
    assert distance(-1 / SIGMA**2) > 10  # a score that forgets how wide the data are
    assert distance(0.0) > 10  # a score that explains nothing


def test_tabulated_score_is_linear_between_cells_and_keeps_its_axes_apart(rng):
    blurred = blurred_gaussian()
    skewed = blurred.score * np.array([1.0, 3.0])  # so that swapped axes show
    x = rng.uniform(-3, 3, (500, 2)).astype(np.float32)
    looked_up = np.asarray(
        score.tabulated_score(jnp.asarray(skewed, jnp.float32), blurred.half, jnp.asarray(x))
    )
    exact = -x * np.array([1.0, 3.0]) / (S**2 + SIGMA**2)
    assert np.abs(looked_up - exact).max() < 1e-3
    assert np.abs(looked_up[:, ::-1] - exact).max() > 0.1


def test_chains_on_the_exact_score_have_the_blurred_variance_with_the_step_sizes_bias():
    n, h, variance = 4_000, 0.2, S**2 + SIGMA**2
    x, path = score.sample_blurred(
        [blurred_gaussian()], n=n, steps=200, step_size=h, seed=0, keep_every=100
    )
    assert x.shape == (1, n, 2) and path.shape == (1, 2, n, 2)
    biased = variance / (1 - h / (2 * variance))  # unadjusted Langevin on N(0, variance)
    se = biased * np.sqrt(2 / (2 * n))  # of a variance from 2n independent coordinates
    assert abs(x.var() - biased) < 4 * se
    assert abs(x.var() - S**2) > 4 * se  # the variance of the data


@pytest.mark.slow
def test_training_approaches_the_floor(rng):
    density = gaussian_density()
    data, held_out = density.sample(20_000, rng=rng)[None], density.sample(1_000, rng=rng)[None]
    rules = score.Rules(sigma=SIGMA, hidden=(32, 32))
    model = score.train_score(data, held_out, rules=rules, steps=800, seed=0)
    floor = 2 * S**2 / (SIGMA**2 * (S**2 + SIGMA**2))
    assert (
        model.history["validation_loss"][-30:].mean()
        < 1.05 * floor
        < model.history["train_loss"][0, 0]
    )
    x, path = score.sample_langevin(
        model.model, n=4_000, steps=200, step_size=0.05, seed=0, keep_every=100
    )
    assert path.shape == (1, 2, 4_000, 2)
    assert abs(x.var() / (S**2 + SIGMA**2) - 1) < 0.15


@pytest.mark.parametrize("sigma", [0.0, -0.1])
def test_sigma_must_be_positive(sigma):
    with pytest.raises(ValueError, match="must be positive"):
        score.Rules(sigma=sigma, hidden=(4,)).check()
    with pytest.raises(ValueError, match="must be positive"):
        score.blur(np.ones((40, 40)), sigma, per_unit=4)


@pytest.mark.slow
def test_held_out_points_only_judge():
    """The weights do not depend on them, the validation curve does: a validation on the training
    points would not."""
    data = np.random.default_rng(0).normal(size=(1, 64, 2)).astype(np.float32)
    rules = score.Rules(sigma=0.5, hidden=(4,), batch_size=16)
    one, other = (
        score.train_score(data, x, rules=rules, steps=2, seed=0) for x in (data, data + 3)
    )
    pairs = zip(jax.tree.leaves(one.model), jax.tree.leaves(other.model), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert np.array_equal(one.history["train_loss"], other.history["train_loss"])
    assert not np.allclose(one.history["validation_loss"], other.history["validation_loss"])
