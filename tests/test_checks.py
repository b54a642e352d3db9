"""What an argument must be, and the right value for inputs that once gave a wrong one in
silence."""

import itertools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from genlab import checks, transport
from genlab.boltzmann import likelihood, rbm, training
from genlab.data import toy
from genlab.metrics import distances, retrieval
from genlab.metrics.likelihood import rank_correlation
from genlab.streams import stream
from genlab.toys import diffusion, langevin, samplers, score

FAR = 1.7e9  # of a date in seconds, say
KEY = jax.random.key(0)


def refused(call, *words: str) -> None:
    """`call` raises a ValueError of one line that says all `words`."""
    with pytest.raises(ValueError) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said and all(word in said for word in words), said


# --- the checks ---


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (np.ma.masked_array([1.0, 2.0], [True, False]), "mask"),
        (["1", "2"], "real numbers"),
        (np.array([1 + 2j]), "real numbers"),
        (np.array([None]), "real numbers"),
        ([[1.0], [1.0, 2.0]], "equal length"),
        (torch.ones(2, requires_grad=True), "detached"),
        ([1.0, np.nan], "1 values that are not finite"),
        ([1e300], "not finite"),
    ],
)
def test_what_is_no_number_is_refused(bad, word):
    refused(lambda: checks.numbers(bad, "name_of_it", np.float32), "name_of_it", word)


def test_numbers_stay_what_they_are_and_are_not_copied():
    for dtype in (np.float32, np.float64):
        x = np.arange(6, dtype=dtype).reshape(2, 3)[:, ::2]
        assert checks.numbers(x, "x", None) is x
    assert checks.numbers([True], "x", None).dtype == np.float32
    assert checks.numbers(torch.ones(2), "x").tolist() == [1, 1]


def test_one_number_and_counts():
    assert checks.number(np.uint8(20), "bandwidth", "positive") ** 2 == 400  # and not 144
    for bad in (0, -1.0, np.nan, np.inf, "1", None, [1.0], 1j):
        refused(lambda bad=bad: checks.number(bad, "bandwidth", "positive"), "bandwidth")
    assert checks.count(np.int64(3), "k", 1, 3) == 3
    for bad in (0, 4, 2.5, 2.0, np.nan, "2", None, [1]):
        refused(lambda bad=bad: checks.count(bad, "k", 1, 3), "k")
    refused(lambda: stream(-1, "init"), "seed=-1 must be at least 0")
    refused(lambda: stream(1.5, "init"), "seed=1.5")


def test_flags_say_yes_or_no():
    forms = [True, False, True], np.array([1, 0, 1], np.uint8), jnp.array([1.0, 0.0, 1.0])
    for said in forms:
        found = checks.flags(said, "seen", (3,))
        assert found.dtype == bool and found.tolist() == [True, False, True]
    for bad, word in (
        ([0, 1, 2], "seen from 0 to 2 must say yes or no"),
        ([0.0, np.nan, 1.0], "must say yes or no"),
        ([True], r"\(3,\), one each"),
        (["a", "b", "c"], "must hold real numbers"),
    ):
        with pytest.raises(ValueError, match=word):
            checks.flags(bad, "seen", (3,), ", one each")


def test_labels_are_whole_and_from_zero():
    for good in ([0, 2, 1], [0.0, 2.0, 1.0], np.array([0, 2, 1], np.uint8)):
        assert checks.labels(good, n=3, n_classes=3).tolist() == [0, 2, 1]
    assert checks.labels([True, False]).tolist() == [1, 0]
    for bad, word in (
        ([-1, 0, 1], "from -1"),
        ([0.5, 0, 1], "whole"),
        ([0, 1, 3], "from 0 to 2"),
        ([], "at least one"),
        ([[0, 1, 2]], "(3,)"),
        ([np.nan, 0, 1], "nan"),
        ([0, 1], "(3,)"),
    ):
        refused(lambda bad=bad: checks.labels(bad, n=3, n_classes=3), "labels", word)


def test_images_are_bytes_or_within_one():
    x = np.random.default_rng(0).integers(0, 256, (2, 28, 28), dtype=np.uint8)
    assert checks.images(x).max() <= 1 and np.array_equal(checks.images(x), x / np.float32(255))
    assert np.array_equal(checks.images(x > 9), checks.images((x > 9).astype(int)))
    for bad, word in (
        (x.astype(float), "give bytes"),
        (x.astype(int), "give bytes"),
        ((x > 9).astype(np.uint8), "bits"),
        (x[:0], "n at least 1"),
        (x[:, :, 1:], "(n, 28, 28)"),
        (np.full((1, 28, 28), np.nan), "nan"),
    ):
        refused(lambda bad=bad: checks.images(bad, "others"), "others", word)


def test_levels_and_temperatures():
    checks.levels([3, 2, 1])
    checks.levels([3.0, 1.0, 0.0], zero=True)
    checks.levels([1, 2, 3], rising=True)
    for bad, rules in (
        ([1, 2], {}), ([2, 1], {"rising": True}), ([1, 0], {}), ([1, -1], {"zero": True}),
        ([1, 0, 0], {"zero": True}), ([], {}), ([[2, 1]], {}), ([2, np.nan], {}), ("fall", {}),
    ):  # fmt: skip
        refused(lambda bad=bad, rules=rules: checks.levels(bad, **rules), "sigmas")
    for bad in ([0, np.nan, 1], [0, 0.7, 0.5, 1], [0.1, 1], [0, 2], [1], 1.0):
        refused(lambda bad=bad: checks.inv_temps(bad), "inv_temps")


def test_traced_values_are_believed_and_concrete_ones_are_not():
    assert jax.jit(lambda s: checks.levels(s)[0])(jnp.arange(3.0)) == 0
    refused(lambda: checks.levels(jnp.arange(3.0)), "sigmas", "fall")


# --- right values, one kind a test ---


def test_bits_count_alike_in_every_dtype():
    rows = np.random.default_rng(0).integers(0, 2, (20, 6))
    about = {"n_hidden": 3, "epochs": 2, "seed": 0, "rules": training.Rules(batch_size=10)}
    machines = [training.train_rbm(rows.astype(t), **about).model for t in (np.float32, np.uint8)]
    assert np.array_equal(machines[0].W, machines[1].W)
    log_z = likelihood.log_z_exact(machines[0])
    found = [
        np.asarray(f(rows.astype(t)))
        for f in (
            lambda v: likelihood.log_likelihood(machines[0], v, log_z),
            lambda v: rbm.pseudo_log_likelihood(machines[0], v),
            lambda v: rbm.free_energy(machines[0], v),
        )
        for t in (np.float32, np.uint8, bool, np.int64)
    ]
    assert all(np.array_equal(found[i - i % 4], found[i]) for i in range(len(found)))
    wrapped = -rows.astype(np.uint8) @ np.ones(6)  # the wrong twin: 255 for -1
    assert not np.array_equal(wrapped, -rows @ np.ones(6))


def test_bytes_are_no_farther_than_floats():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.integers(0, 9, (10, 3)), rng.integers(200, 209, (10, 3))])
    labels = np.repeat([0, 1], 10)
    bytes_ = x.astype(np.uint8)
    for features in (x, bytes_, x.astype(np.float32), x.tolist()):
        found = retrieval.precision_recall(features, features, labels, labels, at=[5])
        assert (found[0] == 1).all()
    wrapped = (bytes_ * bytes_).sum(1) - 2 * bytes_ @ bytes_.T  # the wrong twin
    hit = retrieval.hits(wrapped, labels[:, None] == labels, [5]) / 5
    assert hit.mean() < 0.9
    refused(
        lambda: retrieval.precision_recall(
            np.where(np.eye(20)[:, :3] > 0, np.nan, x), x, labels, labels
        ),
        "queries",
        "not finite",
    )


def test_distances_do_not_drown_far_from_the_origin():
    x = np.random.default_rng(0).integers(0, 100, (30, 2)) + FAR
    y = x + np.array([3, 4])
    exact = cdist(x, y, "sqeuclidean")
    assert np.array_equal(transport.squared_distances(x, y), exact)
    found = transport.emd(transport.squared_distances(x, y))
    assert found.cost == pytest.approx(25) and found.gap < 1e-6 and found.converged
    # One point far away must not drown those near it.
    z = np.array([[0.0], [1.0], [1e9], [1e9 + 1]])
    assert transport.squared_distances(z, z + 1)[[2, 3, 0], [2, 2, 1]].tolist() == [1, 0, 4]
    squares = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T  # the wrong twin
    assert np.abs(squares - exact).max() > 100


@pytest.mark.parametrize("c", [1e-9, 1e-4, 1e4, 1e9])
def test_distances_do_not_vanish_at_small_scales(c):
    x, y = np.random.default_rng(0).normal(size=(2, 40, 2))
    plan = transport.emd(transport.squared_distances(c * x, c * y))
    assert plan.converged
    assert plan.cost == pytest.approx(c**2 * transport.emd(transport.squared_distances(x, y)).cost)
    assert distances.mmd2(c * x, c * y, c) == pytest.approx(distances.mmd2(x, y, 1.0))
    kde = [distances.kde_log_density(s * x, s * y) for s in (1, c)]
    assert kde[1] == pytest.approx(kde[0] - 2 * np.log(c))


def test_huge_costs_are_paid_by_nobody_who_can_avoid_them():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        cost = rng.uniform(0, 1000, (5, 5))
        cost.ravel()[rng.choice(25, 5, replace=False)] = 1e32
        best = min(
            sum(cost[i, p[i]] for i in range(5)) / 5 for p in itertools.permutations(range(5))
        )
        found = transport.emd(cost)
        # Where every way costs 1e32, nothing below can be told.
        assert found.cost == pytest.approx(best) or not found.converged
        assert found.converged or best > 1e20
    twin = found._replace(cost=2 * found.cost, gap=found.cost)
    assert twin.gap > 1e-9 * twin.cost  # what a plan that is not optimal says of itself


def test_weights_sum_to_one_as_nearly_as_their_precision_can_tell():
    rng = np.random.default_rng(0)
    cost = rng.random((1000, 3))
    w = rng.random(1000).astype(np.float32)
    w /= w.sum()
    found = transport.emd(cost, w)
    right = w.astype(np.float64) / w.astype(np.float64).sum()
    assert found.cost == pytest.approx(transport.emd(cost, right).cost, rel=1e-12)
    refused(lambda: transport.emd(cost, w.astype(np.float64) * (1 + 1e-6)), "a sums to", "divide")
    assert transport.emd(cost[:2], [1, 0]).cost == pytest.approx(cost[0].mean())


def test_ais_is_for_binary_units():
    """Its walk would forget the s of Gaussian ones: it said 10 log 2 for log Z, which is
    6 log(0.7 √(2π)) + 4 log 2."""
    machine = rbm.init_rbm(6, 4, key=KEY, s=np.full(6, 0.7))
    about = {"mean": np.full(6, 0.5), "inv_temps": likelihood.schedule(15), "chains": 3, "key": KEY}
    refused(lambda: likelihood.ais(machine, **about), "rbm", "Gaussian")
    refused(lambda: likelihood.log_z_exact(machine), "binary")
    refused(lambda: rbm.pseudo_log_likelihood(machine, np.zeros((1, 6))), "rbm", "Gaussian")
    about["inv_temps"] = np.array([0, np.nan, 1])
    refused(lambda: likelihood.ais(machine._replace(s=None), **about), "inv_temps", "not finite")


def test_labels_that_are_none_are_refused():
    labels = [1, 1, 0, 0, 1, 1]
    assert retrieval.cluster_accuracy([2, 2, 0, 0, 1, 1], labels) == pytest.approx(4 / 6)
    refused(lambda: retrieval.cluster_accuracy([-1, -1, 0, 0, 1, 1], labels), "assigned", "-1")
    assert retrieval.cluster_accuracy([10**9, 0], [0, 1]) == 1  # a name, not a size


def test_what_a_function_returns_has_one_value_a_point():
    density = toy.DENSITIES["eight_gaussians"]
    for wrong in (lambda x: density.log_prob(x)[:, None], lambda x: 0.0):
        refused(lambda f=wrong: rank_correlation(f, density, bins=3), "log_density", "(9,)")
    assert rank_correlation(density.log_prob, density, bins=3) == pytest.approx(1)
    x = jnp.ones((3, 2))
    for kernel, name in (
        (langevin.unadjusted_langevin(lambda x: -x[:, :1], 0.1), "score"),
        (langevin.mala(lambda x: -(x**2), 0.1), "log_density"),
        (langevin.uniform_jump(lambda x: -(x[:, :1] ** 2), 1.0), "log_density"),
    ):
        refused(lambda k=kernel: langevin.run_chain(k, x, steps=1, key=KEY), name, "returns")
    refused(lambda: samplers.euler(lambda x, s: x[:, 0], x, [2.0, 1.0]), "score", "(3, 2)")


def test_samplers_stay_in_their_domain():
    x, pull = jnp.ones((3, 2)), lambda x, sigma: -x
    rising = [1.0, 2.0]
    about = {"steps_per_sigma": 1, "step_size": 0.1, "key": KEY}
    for eta in (1.5, -0.1, np.nan):
        refused(lambda e=eta: samplers.ddim(pull, x, rising[::-1], eta=e, key=KEY), "eta")
    for call in (
        lambda: samplers.ddim(pull, x, rising, eta=0.0, key=KEY),
        lambda: samplers.euler(pull, x, rising),
        lambda: samplers.heun(pull, x, rising),
        lambda: samplers.heun(pull, x, [1.0, 0.0]),
        lambda: samplers.annealed_langevin(pull, x, rising, **about),
        lambda: samplers.probability_flow_log_prob(pull, x, rising[::-1], data_sd=1.0),
        lambda: diffusion.sample_stack(
            [], KEY, rising, n=1, method="ddim", features=0, data_sd=1.0
        ),
    ):
        refused(call, "sigmas")
    # In a compiled program the levels are believed; they were looked at outside.
    run = jax.jit(lambda sigmas: samplers.euler(pull, x, sigmas)[0])
    assert np.isfinite(run(jnp.array([2.0, 1.0]))).all()


def test_a_grid_too_coarse_for_the_blur_is_refused():
    cells = score.cell_masses(toy.DENSITIES["eight_gaussians"])
    refused(lambda: score.blur(cells, 0.005), "sigma=0.005", "at least 200")
    sharp = score.blur(cells, 1 / 40)
    assert sharp.density.sum() / 40**2 == pytest.approx(1, abs=1e-7)
    refused(lambda: score.blur(2 * cells, 0.1), "masses", "sum")


def test_unequal_samples_of_one_law_are_at_chance():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 2)), rng.normal(size=(300, 2))
    found = distances.c2st_accuracy(x, y, rng=np.random.default_rng(1))
    # Each half of the mean has the variance of a share of so many points.
    noise = 4 * np.sqrt(0.25 / 60 + 0.25 / 300) / 2
    assert abs(found - 0.5) < noise < 300 / 360 - 0.5  # the wrong twin says that all are y
    assert distances.c2st_accuracy(x, y + 9, rng=rng) == 1


def test_a_copy_is_said_to_be_one():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20, 2))
    refused(lambda: distances.c2st_accuracy(x, x[::-1], rng=rng), "20 points in common", "copy")
    with pytest.warns(RuntimeWarning, match="5 points in common"):
        distances.c2st_accuracy(x, np.concatenate([y[:15], x[:5]]), rng=rng)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distances.c2st_accuracy(x, y, rng=rng)


def test_samples_lie_in_their_own_support():
    """A point below an edge by less than single precision tells is rounded onto it, and the next
    square is empty."""

    class AtTheEdge:
        def uniform(self, low, high, n):
            return np.full(n, high - 1e-9)

        def integers(self, low, high, n):
            return np.arange(n) % 2

        def random(self, n):
            return np.full(n, 1 - 1e-9)

    density = toy.DENSITIES["checkerboard"]
    x = density.sample(4, rng=AtTheEdge())
    assert np.isfinite(density.log_prob(x)).all()
    assert not np.isfinite(density.log_prob([[4.0, 3.0]])).all()  # the wrong twin
    fine = density.draw(10_000, np.random.default_rng(0))
    assert fine.dtype == np.float32 and np.isfinite(density.log_prob(fine)).all()


def test_no_neighbours_are_refused():
    x = np.random.default_rng(0).normal(size=(9, 2))
    refused(lambda: distances.density_and_coverage(x, x, k=0), "k=0 must be at least 1")
    refused(lambda: distances.density_and_coverage(x, x, k=9), "k=9 must be at most 8")
    refused(
        lambda: distances.c2st_accuracy(x, x + 1, rng=np.random.default_rng(0), folds=10), "folds"
    )
    refused(lambda: distances.mmd2(x, x, np.nan), "bandwidth=nan")
    refused(lambda: distances.mmd2(x, x, np.inf), "bandwidth=inf")
    refused(lambda: distances.kde_log_density(x, np.ones((9, 2))), "real", "spread")
