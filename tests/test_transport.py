"""Optimal transport against closed forms, against another solver, and against its own dual."""

import numpy as np
import ot
import pytest
from PIL import Image
from scipy.optimize import linear_sum_assignment
from scipy.special import rel_entr

from genlab import transport

N = 60


@pytest.fixture
def clouds(rng):
    return rng.normal(size=(N, 2)), rng.normal(size=(N, 2)) @ np.array([[2.0, 0.5], [0.0, 0.7]]) + [
        1,
        -1,
    ]


@pytest.fixture
def weights(rng):
    a, b = rng.random(N), rng.random(N)
    return a / a.sum(), b / b.sum()


def test_exact_plan_is_the_assignment_and_proves_itself(clouds):
    cost = transport.squared_distances(*clouds)
    found = transport.emd(cost)
    i, j = linear_sum_assignment(cost)
    assert found.cost == pytest.approx(cost[i, j].mean(), rel=1e-9)
    assert found.converged and found.marginal_error < 1e-12 and abs(found.gap) < 1e-9 * found.cost
    assert (found.f[:, None] + found.g <= cost + 1e-9).all()
    moved = found.plan > 0
    assert np.abs((found.f[:, None] + found.g - cost)[moved]).max() < 1e-9


def test_a_worse_plan_fails_the_same_certificate(clouds):
    """The wrong twin: a permutation that is not optimal has a gap as large as what it wastes."""
    cost = transport.squared_distances(*clouds)
    best = transport.emd(cost)
    worse = np.roll(best.plan, 1, axis=1)
    gap = (worse * cost).sum() - best.value
    assert gap > 0.1 * best.cost


def test_one_dimension_is_sorting_and_any_power_agrees(rng):
    x, y = rng.normal(size=(N, 1)), 2 * rng.random(size=(N, 1))
    assert transport.emd(transport.squared_distances(x, y)).cost == pytest.approx(
        np.mean((np.sort(x, 0) - np.sort(y, 0)) ** 2)
    )
    assert transport.emd(np.abs(x - y.T)).cost == pytest.approx(
        np.abs(np.sort(x, 0) - np.sort(y, 0)).mean()
    )


def test_translation_and_permutation(clouds, rng):
    x, shift = clouds[0], np.array([0.3, -2.0])
    assert transport.emd(transport.squared_distances(x, x + shift)).cost == pytest.approx(
        shift @ shift
    )
    assert transport.emd(transport.squared_distances(x, rng.permutation(x))).cost == pytest.approx(
        0, abs=1e-12
    )
    directions = np.stack([np.cos(t := np.pi * np.arange(64) / 64), np.sin(t)])
    sliced = ot.sliced_wasserstein_distance(x, x + shift, projections=directions) ** 2
    assert sliced == pytest.approx(shift @ shift / 2)


def test_brenier_map_of_a_gradient_is_optimal(clouds):
    """T(x) = A x + c with A symmetric positive definite is a gradient, so pairing x with T(x) is
    optimal; a rotation is not."""
    x = clouds[0]
    pushed = x @ np.array([[1.5, 0.4], [0.4, 0.8]]) + [2, 1]
    assert transport.emd(transport.squared_distances(x, pushed)).cost == pytest.approx(
        ((x - pushed) ** 2).sum(1).mean()
    )
    turned = x @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    assert (
        transport.emd(transport.squared_distances(x, turned)).cost
        < 0.7 * ((x - turned) ** 2).sum(1).mean()
    )


def test_bures_for_gaussians(rng):
    """W₂² of N(0, A) and N(m, B) is |m|² + tr(A + B - 2(A½ B A½)½); diagonal here.  The tolerance
    is the sampling noise."""
    sd_x, sd_y, m, n = np.array([1.0, 0.5]), np.array([0.4, 1.2]), np.array([1.0, 0.0]), 2000
    costs = [
        transport.emd(
            transport.squared_distances(
                rng.normal(size=(n, 2)) * sd_x, rng.normal(size=(n, 2)) * sd_y + m
            )
        ).cost
        for _ in range(4)
    ]
    truth = m @ m + ((sd_x - sd_y) ** 2).sum()
    standard_error = np.std(costs, ddof=1) / 2
    # of the empirical measures in the plane (Fournier & Guillin 2015), an upper bound
    bias = 4 * 1.2**2 * np.log(n) / n
    assert -5 * standard_error < np.mean(costs) - truth < 5 * standard_error + bias


@pytest.mark.parametrize("epsilon", [0.05, 0.5, 5.0])
def test_sinkhorn_solves_its_problem(clouds, weights, epsilon):
    cost, (a, b) = transport.squared_distances(*clouds), weights
    found = transport.sinkhorn(cost, a, b, epsilon=epsilon, tolerance=1e-9, max_iterations=100_000)
    assert found.converged and found.marginal_error <= 1e-9 and abs(found.gap) < 1e-6
    even = np.outer(a, b)
    entropy = (rel_entr(found.plan, even) - found.plan + even).sum()
    assert found.gap == pytest.approx(found.cost + epsilon * entropy - found.value, abs=1e-12)
    assert np.allclose(
        found.plan,
        np.outer(a, b) * np.exp((found.f[:, None] + found.g - cost) / epsilon),
        atol=1e-9,
    )
    best = transport.emd(cost, a, b).cost
    feasible = transport.rounded(found.plan, a, b)
    assert transport.marginal_error(feasible, a, b) < 1e-14
    assert 0 <= (feasible * cost).sum() - best <= transport.entropic_gap_bound(epsilon, N, N)


@pytest.mark.parametrize("epsilon", [0.1, 1.0])
def test_sinkhorn_finds_the_plan_of_pot(clouds, weights, epsilon):
    cost = transport.squared_distances(*clouds)
    found = transport.sinkhorn(cost, *weights, epsilon=epsilon, tolerance=1e-12)
    plan = ot.bregman.sinkhorn_log(*weights, cost, epsilon, numItermax=20_000, stopThr=1e-13)
    assert found.converged and np.abs(found.plan - plan).max() < 1e-9
    # the wrong twin: the plan of an ε that is off by a thousandth
    off = transport.sinkhorn(cost, *weights, epsilon=1.001 * epsilon, tolerance=1e-12)
    assert np.abs(off.plan - plan).max() > 1e-8


def test_sinkhorn_needs_a_third_of_the_iterations_of_pot(rng):
    n = 200
    x, y = rng.normal(size=(2, n, 2))
    cost = transport.squared_distances(x, y + np.array([1, 0]))
    found = transport.sinkhorn(cost, epsilon=0.1, tolerance=3e-3)
    uniform = np.full(n, 1 / n)
    plan = ot.bregman.sinkhorn_log(
        uniform, uniform, cost, 0.1, numItermax=3 * found.iterations, stopThr=0, warn=False
    )
    assert found.converged and found.iterations <= 40
    assert transport.marginal_error(plan, uniform, uniform) > 3e-3


def test_momentum_saves_iterations_and_too_much_of_it_is_taken_back(clouds, weights, monkeypatch):
    cost = transport.squared_distances(*clouds)
    rules = {"epsilon": 0.05, "max_iterations": 5000}
    found = transport.sinkhorn(cost, *weights, **rules)
    monkeypatch.setattr(transport, "relaxation", lambda omega, rate: 1.0)  # the wrong twin: none
    plain = transport.sinkhorn(cost, *weights, **rules)
    assert found.converged and plain.converged and 4 * found.iterations < plain.iterations
    assert np.abs(plain.plan - found.plan).max() < 1e-6
    # another: one with which the iteration alone diverges, for ω must be below 2
    monkeypatch.setattr(transport, "relaxation", lambda omega, rate: 2.5)
    held = transport.sinkhorn(cost, *weights, **rules)
    assert 4 * found.iterations < held.iterations and held.marginal_error < 1e-5
    assert np.abs(held.plan - found.plan).max() < 1e-5


def test_relaxation_is_the_best_for_a_linear_error():
    def rate(omega, plain, steps=400):
        errors = [1.0, 1.0]
        for _ in range(steps):
            step = (plain - 1) * errors[-1]
            momentum = errors[-1] - errors[-2]
            errors.append(errors[-1] + omega**2 * step + (omega - 1) ** 2 * momentum)
        return abs(errors[-1] / errors[-101]) ** (1 / 100)

    best = 2 / (1 + np.sqrt(1 - 0.99))
    assert rate(1.0, 0.99) == pytest.approx(0.99)
    for omega in (1.0, 1.3, 1.7):
        assert transport.relaxation(omega, rate(omega, 0.99)) == pytest.approx(best)
        assert rate(omega, 0.99) > rate(best, 0.99)
    assert rate(best + 0.1, 0.99) > rate(best, 0.99) == pytest.approx(best - 1, rel=0.02)
    assert transport.relaxation(1.6, 0.6) == transport.relaxation(1.6, 1.1) == 1.6
    # the wrong twin: the rate at 1.3 taken for that of plain iterations
    assert transport.relaxation(1.0, rate(1.3, 0.99)) < best - 0.05


def test_potentials_that_leave_the_kernel_are_absorbed(rng, monkeypatch):
    cost, (a, b) = rng.random((7, 6)), (rng.random(n) ** 3 for n in (7, 6))
    a, b = a / a.sum(), b / b.sum()
    found = transport.sinkhorn(cost, a, b, epsilon=1e-4)
    assert found.converged and abs(found.gap) < 1e-6
    assert found.cost == pytest.approx(transport.emd(cost, a, b).cost, abs=1e-3)
    monkeypatch.setattr(transport, "FAR", np.inf)  # the wrong twin
    with pytest.raises(ValueError, match="not finite"):
        transport.sinkhorn(cost, a, b, epsilon=1e-4)


def test_sinkhorn_reaches_both_limits(clouds, weights):
    cost, (a, b) = transport.squared_distances(*clouds), weights
    best = transport.emd(cost, a, b).cost
    excess = [
        transport.sinkhorn(cost, a, b, epsilon=e, max_iterations=50_000).cost - best
        for e in (1.0, 0.1, 0.01)
    ]
    assert excess[0] > excess[1] > excess[2] > -1e-6 and excess[2] < 0.01 * best
    assert np.abs(transport.sinkhorn(cost, a, b, epsilon=1e9).plan - np.outer(a, b)).max() < 1e-8


def test_small_epsilon_survives_where_the_plain_kernel_is_zero(clouds):
    cost = transport.squared_distances(*clouds) + 50.0
    assert not np.exp(-cost / 0.01).any()
    found = transport.sinkhorn(cost, epsilon=0.01, max_iterations=50_000, tolerance=1e-6)
    assert np.isfinite(found.plan).all() and found.marginal_error < 1e-4


def test_sinkhorn_says_that_it_did_not_converge(clouds):
    found = transport.sinkhorn(
        transport.squared_distances(*clouds), epsilon=0.001, max_iterations=30
    )
    assert not found.converged and found.marginal_error > 1e-6
    with pytest.raises(RuntimeError, match=r"marginal error.*raise epsilon=0\.001"):
        transport.sinkhorn_divergence(*clouds, epsilon=0.001, max_iterations=30)


def test_points_without_mass_take_no_part(clouds, weights):
    cost, (a, b) = transport.squared_distances(*clouds), weights
    a = np.where(np.arange(N) < 5, 0, a)
    a /= a.sum()
    found = transport.sinkhorn(cost, a, b, epsilon=0.5)
    without = transport.sinkhorn(cost[5:], a[5:], b, epsilon=0.5)
    assert not found.plan[:5].any() and np.isfinite(found.f).all()
    assert found.cost == pytest.approx(without.cost, rel=1e-6)


def test_divergence_is_zero_for_equal_measures_and_has_its_limits(clouds, rng):
    x, y = clouds
    assert transport.sinkhorn_divergence(x, rng.permutation(x), epsilon=0.3) == pytest.approx(
        0, abs=1e-5
    )
    # the wrong twin: without what it costs with itself
    assert transport.sinkhorn(transport.squared_distances(x, x), epsilon=0.3).value > 0.1
    exact = transport.emd(transport.squared_distances(x, y)).cost
    assert transport.sinkhorn_divergence(x, y, epsilon=0.05, tolerance=1e-5) == pytest.approx(
        exact, rel=0.02
    )
    means = ((x.mean(0) - y.mean(0)) ** 2).sum()
    assert transport.sinkhorn_divergence(x, y, epsilon=1e4) == pytest.approx(means, rel=1e-3)


def test_the_symmetric_iteration_solves_the_same_problem(clouds, weights):
    x, a = clouds[0], weights[0]
    ordinary = transport.sinkhorn(
        transport.squared_distances(x, x),
        a,
        a,
        epsilon=0.5,
        tolerance=1e-10,
        max_iterations=100_000,
    )
    assert transport.self_cost(x, a, epsilon=0.5) == pytest.approx(ordinary.value, abs=1e-6)


def test_interpolation_begins_and_ends_where_it_should(clouds, weights):
    x, y = clouds
    plan = transport.emd(transport.squared_distances(x, y), *weights).plan
    for t, cloud, w in ((0, x, weights[0]), (1, y, weights[1])):
        between, mass = transport.interpolate(x, y, plan, t)
        assert np.average(between, axis=0, weights=mass) == pytest.approx(
            np.average(cloud, axis=0, weights=w)
        )
    assert len(between) <= 2 * N - 1  # a vertex of the transport polytope
    speed = transport.emd(
        transport.squared_distances(
            x,
            transport.interpolate(
                x, y, transport.emd(transport.squared_distances(x, y)).plan, 0.25
            )[0],
        )
    ).cost
    # a geodesic: W₂ grows with t
    assert speed == pytest.approx(transport.emd(transport.squared_distances(x, y)).cost / 16)


@pytest.mark.parametrize(
    "a, words",
    [
        (np.full(3, 0.5), "a sums to 1.5, it must sum to 1"),
        (np.array([1.5, -0.5, 0.0]), r"a\[1\]=-0.5 must be finite and not negative"),
        (np.array([np.nan, 0.5, 0.5]), r"a\[0\]=nan must be finite"),
        (np.full(2, 0.5), r"shape \(2,\) must hold one weight for each of 3"),
    ],
)
@pytest.mark.parametrize(
    "solve", [transport.emd, lambda *args: transport.sinkhorn(*args, epsilon=1.0)]
)
def test_bad_weights_are_refused_in_words(solve, a, words):
    with pytest.raises(ValueError, match=words):
        solve(np.ones((3, 3)), a)


def test_other_bad_input_is_refused_in_words(clouds):
    cost = transport.squared_distances(*clouds)
    for call, words in (
        (lambda: transport.emd(np.array([[np.inf]])), "1 values that are not finite"),
        (lambda: transport.emd(np.ones(3)), r"shape \(3,\) must be a matrix"),
        (lambda: transport.squared_distances(clouds[0], np.ones((4, 3))), r"\(4, 3\) must be"),
        (
            lambda: transport.squared_distances(clouds[0], np.full((4, 2), np.nan)),
            "y holds 8 values that are not finite",
        ),
        (
            lambda: transport.sinkhorn(cost, epsilon=0.0),
            "epsilon=0.0 must be positive; for epsilon = 0 use emd",
        ),
        (lambda: transport.self_cost(clouds[0], epsilon=-1), "epsilon=-1 must be positive"),
        (lambda: transport.interpolate(*clouds, cost, 2.0), r"t=2.0 must be in \[0, 1\]"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_pictures_and_what_is_none(tmp_path, rng):
    pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "rgb.png")
    assert np.array_equal(transport.picture(tmp_path / "rgb.png"), pixels / 255)
    assert transport.picture("china.jpg").shape == (427, 640, 3)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    (tmp_path / "text.png").write_text("no picture")
    for name, words in (
        ("grey.png", "has bands L: give an RGB picture"),
        ("text.png", "cannot be read: cannot identify image file"),
        ("none.png", "is no file, nor one of china.jpg, flower.jpg"),
    ):
        with pytest.raises(ValueError, match=words):
            transport.picture(tmp_path / name)


def test_roughness_counts_jumps():
    flat, stripes = np.zeros((4, 6, 3)), np.zeros((4, 6, 3))
    stripes[:, ::2] = 1
    assert transport.roughness(flat) == 0 and transport.roughness(stripes) == pytest.approx(
        np.sqrt(3)
    )
