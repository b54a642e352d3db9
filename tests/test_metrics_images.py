"""Distances in feature space against closed forms, and what each of them does not see."""

import numpy as np
import pytest

from genlab.metrics import images as M


def test_frechet_distance_of_two_gaussians(rng):
    """For commuting covariances it is ‖m₁ - m₂‖² + Σ(s₁ - s₂)²; the estimate has a bias of order d²/n and a spread of order n^-½."""
    n, s1, s2, shift = 200_000, np.array([1.0, 2.0, 0.5]), np.array([1.5, 1.0, 0.5]), np.array([1.0, 0.0, -2.0])
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    found = M.frechet_distance(rng.normal(size=(n, 3)) * s1 @ turn, (rng.normal(size=(n, 3)) * s2 + shift) @ turn)
    exact = (shift**2).sum() + ((s1 - s2) ** 2).sum()
    sd = 2 * np.sqrt((shift**2 * (s1**2 + s2**2)).sum() / n) + 2 * np.abs(s1 - s2).max() * 2 / np.sqrt(n)
    assert found == pytest.approx(exact, abs=4 * sd + 9 / n)
    assert (
        abs(found - ((shift**2).sum() + ((s1**2 - s2**2) ** 2).sum())) > 10 * sd
    )  # without the root of the covariances


def test_frechet_distance_of_covariances_that_do_not_commute(rng):
    """Against scipy's matrix square root of the product itself."""
    from scipy.linalg import sqrtm

    x, y = (rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4)) for _ in range(2))
    cov = [np.cov(a, rowvar=False) for a in (x, y)]
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(cov[0] + cov[1] - 2 * sqrtm(cov[0] @ cov[1]).real)
    assert M.frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert M.frechet_distance(x, x) == pytest.approx(0, abs=1e-8)


def test_kernel_distance_is_zero_on_average_and_the_biased_one_is_not(rng):
    draws = np.array([M.kernel_distance(*rng.normal(size=(2, 50, 5))) for _ in range(300)])
    assert abs(draws.mean()) < 4 * draws.std(ddof=1) / np.sqrt(300)
    biased = []
    for _ in range(300):
        x, y = rng.normal(size=(2, 50, 5))
        k = lambda a, b: ((a @ b.T / 5 + 1) ** 3).mean()  # noqa: E731
        biased.append(k(x, x) + k(y, y) - 2 * k(x, y))
    assert np.mean(biased) > 10 * np.std(biased, ddof=1) / np.sqrt(300)
    assert M.kernel_distance(rng.normal(size=(200, 5)), rng.normal(size=(200, 5)) + 1) > 0.5


def test_classifier_score_counts_sure_classes():
    assert M.classifier_score(np.eye(10)[np.arange(100) % 10]) == pytest.approx(10)
    assert M.classifier_score(np.eye(10)[np.arange(99) % 3]) == pytest.approx(3)
    assert M.classifier_score(np.full((50, 10), 0.1)) == pytest.approx(1)
    assert M.classifier_score(np.eye(10)[np.zeros(50, int)]) == pytest.approx(1)  # sure of one class


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: M.frechet_distance(np.zeros((1, 3)), np.zeros((5, 3))), "n at least 2"),
        (lambda: M.frechet_distance(np.zeros((5, 3)), np.zeros((5, 4))), "d alike"),
        (lambda: M.kernel_distance(np.full((5, 3), np.nan), np.zeros((5, 3))), "not finite"),
        (lambda: M.classifier_score(np.ones((5, 10))), "sum to 1"),
    ],
)
def test_bad_features_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
