"""Distances against closed forms and null expectations; each with a twin that must fail."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import gaussian_kde

from genlab.metrics import distances


def test_w2_of_a_translation_is_its_length(rng):
    x, c = rng.standard_normal((200, 2)), np.array([0.3, -0.4])
    assert distances.w2(x, x + c) == pytest.approx(0.5)
    assert distances.w2(x, x + c) ** 2 != pytest.approx(0.5)  # the twin that forgets the root
    assert distances.sliced_w2(x, x + c) ** 2 == pytest.approx(0.25 / 2, rel=1e-6)


def test_w2_is_the_best_assignment(rng):
    x, y = rng.standard_normal((80, 2)), rng.standard_normal((80, 2)) + 1
    squared = cdist(x, y, "sqeuclidean")
    rows, columns = linear_sum_assignment(squared)
    assert distances.w2(x, y) ** 2 == pytest.approx(squared[rows, columns].mean(), rel=1e-9)
    assert distances.w2(x, rng.permutation(x)) == pytest.approx(0, abs=1e-7)


def biased_mmd2(x, y, h):
    kernel = lambda a, b: np.exp(-cdist(a, b, "sqeuclidean") / (2 * h**2)).mean()  # noqa: E731
    return kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)


def test_mmd2_is_unbiased_and_its_biased_twin_is_not(rng):
    draws = [(rng.standard_normal((40, 2)), rng.standard_normal((40, 2))) for _ in range(400)]
    good = np.array([distances.mmd2(x, y, 0.7) for x, y in draws])
    bad = np.array([biased_mmd2(x, y, 0.7) for x, y in draws])
    assert abs(good.mean()) < 4 * good.std() / np.sqrt(len(good))
    assert abs(bad.mean()) > 20 * bad.std() / np.sqrt(len(bad))


def test_energy_distance_is_zero_in_the_mean_and_grows_with_the_shift(rng):
    null = np.array(
        [
            distances.energy_distance(rng.standard_normal((60, 2)), rng.standard_normal((60, 2)))
            for _ in range(200)
        ]
    )
    assert abs(null.mean()) < 4 * null.std() / np.sqrt(len(null))
    x, y = rng.standard_normal((60, 2)), rng.standard_normal((60, 2))
    assert distances.energy_distance(x, y + 1) < distances.energy_distance(x, y + 2)


def test_c2st_is_at_chance_under_the_null_and_sure_when_apart(rng):
    null = [
        distances.c2st_accuracy(
            rng.standard_normal((300, 2)), rng.standard_normal((300, 2)), rng=rng
        )
        for _ in range(12)
    ]
    assert abs(np.mean(null) - 0.5) < 4 * np.std(null, ddof=1) / np.sqrt(len(null))
    x = rng.standard_normal((300, 2))
    assert distances.c2st_accuracy(x, x + 6, rng=rng) > 0.99
    assert distances.c2st_accuracy(x, 2.0 * rng.standard_normal((300, 2)), rng=rng) > 0.6


def test_boosted_trees_use_the_columns_that_they_are_given(rng):
    """Points that differ in a column alone: half of the shares of the trees is right under the
    null, all are with the column, and none of it is seen without, the twin."""
    null = [
        distances.boosted_accuracy(
            rng.standard_normal((200, 3)), rng.standard_normal((200, 3)), rng=rng
        )
        for _ in range(8)
    ]
    assert abs(np.mean(null) - 0.5) < 5 * np.std(null, ddof=1) / np.sqrt(len(null))
    x, y = rng.standard_normal((2, 300, 3))
    y[:, 2] += 5
    assert distances.boosted_accuracy(x, y, rng=rng) > 0.97
    assert distances.boosted_accuracy(x[:, :2], y[:, :2], rng=rng) < 0.6
    # Both samples count alike, however large: always "y" would be right for 3/4 of the points.
    assert abs(distances.boosted_accuracy(x[:100, :2], y[:, :2], rng=rng) - 0.5) < 0.15


@pytest.mark.parametrize("k", [3, 5])
def test_coverage_of_equal_samples(k, rng):
    values = [
        distances.density_and_coverage(rng.uniform(size=(1000, 2)), rng.uniform(size=(1000, 2)), k)
        for _ in range(10)
    ]
    density, coverage = np.mean(values, axis=0)
    se = np.std(values, axis=0, ddof=1) / np.sqrt(10)
    assert abs(coverage - (1 - 0.5**k)) < 4 * se[1] + 2e-3
    assert abs(coverage - (1 - 0.5 ** (k - 1))) > 10 * se[1]  # k off by one
    assert abs(density - 1) < 4 * se[0] + 5e-3


def test_coverage_sees_a_missing_half(rng):
    x = rng.uniform(size=(1000, 2))
    half = rng.uniform(size=(1000, 2)) * [0.5, 1]
    assert distances.density_and_coverage(x, half)[1] < 0.6


def test_kde_is_scipys_and_rewards_collapse(rng):
    real, other = rng.standard_normal((400, 2)), rng.standard_normal((100, 2))
    assert distances.kde_log_density(other, real) == pytest.approx(
        gaussian_kde(real.T).logpdf(other.T).mean()
    )
    assert (
        distances.kde_log_density(0.1 * other, real) > distances.kde_log_density(other, real) + 0.5
    )


@pytest.mark.parametrize(
    "bad", [np.zeros((5, 3)), np.zeros(5), np.zeros((1, 2)), np.array([[0.0, np.nan], [0, 0]])]
)
@pytest.mark.parametrize(
    "measure",
    [distances.w2, distances.sliced_w2, distances.energy_distance, distances.kde_log_density],
)
def test_bad_input_is_named(bad, measure, rng):
    with pytest.raises(ValueError, match=r"must be \(n, 2\)|not finite"):
        measure(rng.standard_normal((5, 2)), bad)


def test_bad_bandwidth_and_too_few_points(rng):
    x = rng.standard_normal((4, 2))
    with pytest.raises(ValueError, match="bandwidth=0 must be positive"):
        distances.mmd2(x, x, 0)
    with pytest.raises(ValueError, match="k=5 must be at most 3: neighbours among 4 real points"):
        distances.density_and_coverage(x, x)
