"""Measures of images against closed forms, at their floors, and what each of them does
and does not see."""

import numpy as np
import pytest

from genlab.metrics.distances import density_and_coverage
from genlab.metrics.images import (
    _blur,
    _pyramid,
    _ssim,
    class_modes,
    frechet_distance,
    likeness,
    memorised,
    ms_ssim,
    nearest_images,
    precision_and_recall,
    stacked_modes,
    stroke_energy,
    swd,
)


def test_frechet_distance_of_two_gaussians(rng):
    """For commuting covariances it is ‖m₁ - m₂‖² + Σ(s₁ - s₂)²; the estimate has a bias of order
    d²/n and a spread of order n^-½."""
    n, s1, s2, shift = (
        200_000,
        np.array([1.0, 2.0, 0.5]),
        np.array([1.5, 1.0, 0.5]),
        np.array([1.0, 0.0, -2.0]),
    )
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    found = frechet_distance(
        rng.normal(size=(n, 3)) * s1 @ turn, (rng.normal(size=(n, 3)) * s2 + shift) @ turn
    )
    exact = (shift**2).sum() + ((s1 - s2) ** 2).sum()
    sd = 2 * np.sqrt((shift**2 * (s1**2 + s2**2)).sum() / n) + 2 * np.abs(
        s1 - s2
    ).max() * 2 / np.sqrt(n)
    assert found == pytest.approx(exact, abs=4 * sd + 9 / n)
    # without the root of the covariances
    assert abs(found - ((shift**2).sum() + ((s1**2 - s2**2) ** 2).sum())) > 10 * sd


def test_frechet_distance_of_covariances_that_do_not_commute(rng):
    """Against scipy's matrix square root of the product itself."""
    from scipy.linalg import sqrtm

    x, y = (rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4)) for _ in range(2))
    cov = [np.cov(a, rowvar=False) for a in (x, y)]
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(
        cov[0] + cov[1] - 2 * sqrtm(cov[0] @ cov[1]).real
    )
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-8)


# --- neighbours ---


def test_precision_and_recall_of_points_one_can_count():
    """k = 1 on a line: balls of real (0, 1, 10) reach 1, 1, 9; of generated (0.5, 0.8, 5.6, 30)
    reach 0.3, 0.3, 4.8, 24.4."""
    real, generated = np.array([[0.0], [1], [10]]), np.array([[0.5], [0.8], [5.6], [30]])
    precision, recall = precision_and_recall(real, generated, k=1)
    # 30 lies in no ball; 1 and 10 lie in those of 0.8 and 5.6, 0 in none
    assert (precision, recall) == (3 / 4, 2 / 3)
    assert precision_and_recall(generated, real, k=1) == (recall, precision)


def test_precision_and_recall_of_equal_sets_and_of_parts(rng):
    real, again = rng.normal(size=(2, 400, 6))
    assert precision_and_recall(real, real) == (1.0, 1.0)
    precision, recall = precision_and_recall(real, again)
    sd = np.sqrt(2 * precision * (1 - precision) / 400)
    assert precision == pytest.approx(recall, abs=4 * sd) and precision > 0.6  # equal in law
    inner = 0.3 * again
    precision, recall = precision_and_recall(real, inner)
    assert precision > 0.95 and recall < 0.5  # good images, little variety
    precision, recall = precision_and_recall(real, 3 * again)
    assert precision < 0.5 and recall > 0.9


def pictures(rng, n: int) -> np.ndarray:
    """Blurred blobs of random place, size and direction, (n, 28, 28)."""
    y, x = np.mgrid[:28, :28] - 13.5
    turn, place = rng.uniform(0, np.pi, (n, 1, 1)), rng.uniform(-7, 7, (2, n, 1, 1))
    u, v = (
        np.cos(turn) * (x - place[0]) + np.sin(turn) * (y - place[1]),
        np.cos(turn) * (y - place[1]) - np.sin(turn) * (x - place[0]),
    )
    return np.exp(-(u**2) / rng.uniform(20, 60, (n, 1, 1)) - v**2 / rng.uniform(1, 6, (n, 1, 1)))


def test_nearest_images_are_found_at_their_distance(rng):
    others = rng.random((40, 28, 28))
    images = others[[7, 3, 30]].copy()
    images[1, 0, :4] = np.where(
        others[3, 0, :4] > 0.5, others[3, 0, :4] - 0.5, others[3, 0, :4] + 0.5
    )
    index, distance = nearest_images(images, others)
    assert index.tolist() == [7, 3, 30]
    np.testing.assert_allclose(distance, [0, 1, 0], atol=1e-6)


def test_what_was_learnt_by_heart_lies_near_training_images(rng):
    training, held_out, fresh = pictures(rng, 900).reshape(3, 300, 28, 28)
    copies = (training + 0.01 * rng.random(training.shape)).clip(0, 1)
    assert memorised(copies, training, held_out) == 1
    assert memorised(fresh, training, held_out) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(300))
    assert memorised(fresh, training, training) == 0.5


# --- variety ---


def test_classes_are_counted_if_they_have_their_share():
    shares = np.repeat(np.arange(4), [50, 40, 9, 1])
    p = np.eye(10)[shares]
    entropy = -sum(q * np.log(q) for q in (0.5, 0.4, 0.09, 0.01))
    modes, found = class_modes(p)
    assert modes == 4 and found == pytest.approx(entropy)
    assert class_modes(p, share=0.02)[0] == 3
    assert class_modes(np.eye(10)[np.arange(200) % 10]) == (10, pytest.approx(np.log(10)))
    unsure = np.full((100, 10), 0.05) + 0.5 * p
    assert class_modes(unsure, sure=0.5)[0] == 4 and class_modes(unsure, sure=0.6) == (0, 0.0)


def test_stacked_modes_of_known_labels():
    every = np.array([(i // 100, i // 10 % 10, i % 10) for i in range(1000)])
    assert stacked_modes(every) == (1000, pytest.approx(0))
    assert stacked_modes(every[:250]) == (250, pytest.approx(np.log(4)))
    halves = np.concatenate([every, every[:500]])  # two thirds of the mass on half of the modes
    assert stacked_modes(halves)[1] == pytest.approx(2 / 3 * np.log(4 / 3) + 1 / 3 * np.log(2 / 3))
    skewed = np.array([0.19, 0.01, *[0.1] * 8])
    assert stacked_modes(every, skewed)[1] == pytest.approx(-3 * 0.1 * np.log(skewed / 0.1).sum())


def test_real_stacked_images_have_the_kl_of_their_number(rng):
    """2 n KL is chi-squared with 999 degrees of freedom for n >> 1,000, to an error of order
    1,000 / n of itself."""
    n = 26_000
    kl = stacked_modes(rng.integers(10, size=(n, 3)))[1]
    assert 2 * n * kl == pytest.approx(999, abs=4 * np.sqrt(2 * 999) + 999 * 1000 / n)


def test_structural_similarity_of_equal_and_of_independent_images(rng):
    x, y = pictures(rng, 300), pictures(rng, 300)
    assert ms_ssim(x, x) == pytest.approx(1)
    assert ms_ssim(x, y) == pytest.approx(ms_ssim(y, x))
    assert ms_ssim(x, y).mean() < 0.5
    blurred = (x + np.roll(x, 1, 1)) / 2
    assert (ms_ssim(x, blurred) > ms_ssim(x, y)).mean() > 0.95
    # nothing in common: structure 0 on average, a half of which is cut off at the finest scale
    noise = rng.random((2, 300, 28, 28))
    assert ms_ssim(*noise).mean() < 0.2


def test_structural_similarity_of_one_scale_is_scikit_images(rng):
    """At 28 pixels; its window is cut at 3.5 standard deviations, ours at 11 pixels,
    which are the same."""
    from skimage.metrics import structural_similarity

    x, y = pictures(rng, 2)
    about = {
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
        "data_range": 1.0,
    }
    _, full = structural_similarity(x, y, full=True, **about)
    assert _ssim(x[None], y[None])[0][0] == pytest.approx(full[5:-5, 5:-5].mean(), rel=1e-6)


def test_the_last_scale_is_one_window_of_seven_pixels(rng):
    """Weighted moments by hand, the weights a Gaussian whose width stands to 7 as 1.5 to 11."""
    x, y = rng.random((2, 7, 7))
    g = np.exp(-(((np.arange(7) - 3) * 11 / 7 / 1.5) ** 2) / 2)
    w = np.outer(g, g) / g.sum() ** 2
    mx, my = (w * x).sum(), (w * y).sum()
    vx, vy, cov = (
        (w * (x - mx) ** 2).sum(),
        (w * (y - my) ** 2).sum(),
        (w * (x - mx) * (y - my)).sum(),
    )
    structure = (2 * cov + 9e-4) / (vx + vy + 9e-4)
    full = structure * (2 * mx * my + 1e-4) / (mx**2 + my**2 + 1e-4)
    assert [float(v[0]) for v in _ssim(x[None], y[None])] == pytest.approx(
        [full, structure], rel=1e-9
    )


def test_structural_similarity_of_flat_images_is_the_luminance_term(rng):
    """No structure at all: contrast and structure are 1, and (2ab + c) / (a² + b² + c) to the
    weight of the last scale is left."""
    x, y = np.full((1, 28, 28), 0.2), np.full((1, 28, 28), 0.6)
    weight = 0.3001 / (0.0448 + 0.2856 + 0.3001)
    expected = ((2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)) ** weight
    assert ms_ssim(x, y)[0] == pytest.approx(expected, rel=1e-5)


def test_likeness_within_classes_is_above_that_between_them(rng):
    left, right = np.zeros((2, 28, 28))
    left[8:20, 4:10], right[8:20, 18:24] = 1, 1
    labels = np.repeat([0, 1], 50)
    images = (
        np.where(labels[:, None, None] == 0, left, right) * rng.uniform(0.8, 1, (100, 1, 1))
    ).astype(np.float32)
    within, all_pairs = (likeness(images, rng=rng, pairs=400, labels=y) for y in (labels, None))
    assert within > 0.95 > all_pairs
    assert likeness(images, rng=np.random.default_rng(0), pairs=9) == likeness(
        images, rng=np.random.default_rng(0), pairs=9
    )


# --- patches ---


def test_the_pyramid_takes_an_image_apart_and_back(rng):
    x = rng.random((3, 28, 28))
    fine, coarse = _pyramid(x)
    assert fine.shape == (3, 28, 28) and coarse.shape == (3, 14, 14)
    large = np.zeros_like(x)
    large[:, ::2, ::2] = 4 * coarse
    np.testing.assert_allclose(fine + _blur(large), x)
    fine, coarse = _pyramid(np.full((1, 28, 28), 0.3))
    np.testing.assert_allclose(coarse, 0.3)
    # at the last edge the mirror meets the zeros between pixels
    np.testing.assert_allclose(fine[:, 2:-3, 2:-3], 0, atol=1e-12)


def test_sliced_distance_of_equal_sets_is_zero_and_of_two_draws_is_that_of_normals(rng):
    """Patches of noise have independent normal projections of variance 1: E W₁ of two samples of
    n is √(4/πn) ∫ √(Φ(1 - Φ)).

    One patch an image, so that all are independent; the mean over 200 directions in 49 dimensions
    varies by a few per cent.  At the coarse level neighbouring pixels are correlated, which makes
    some directions wide and others narrow, with the same mean square.
    """
    from scipy.integrate import quad
    from scipy.stats import norm

    n = 2000
    x, y = (0.5 + 0.1 * rng.normal(size=(2, n, 28, 28))).clip(0, 1)
    assert swd(x, x, rng=rng, patches=1, directions=200).tolist() == [0, 0]
    area = quad(lambda t: np.sqrt(norm.cdf(t) * norm.sf(t)), -8, 8)[0]
    expected = 1e3 * np.sqrt(4 / np.pi / n) * area
    fine, coarse = swd(x, y, rng=rng, patches=1, directions=200)
    assert fine == pytest.approx(expected, rel=0.15) and 0.5 * expected < coarse < 1.15 * expected


def test_sliced_distance_sees_structure_at_its_own_scale(rng):
    x, y = pictures(rng, 600).reshape(2, 300, 28, 28)
    floor = swd(x, y, rng=rng)
    # grain, which the coarse level averages out
    sharp = (y + 0.1 * rng.normal(size=y.shape)).clip(0, 1)
    fine, coarse = swd(x, sharp, rng=rng)
    assert fine > 3 * floor[0] and fine / floor[0] > 2 * coarse / floor[1]


def test_one_image_repeated_is_caught_by_every_measure_of_variety(rng):
    real, again = pictures(rng, 600).reshape(2, 300, 28, 28)
    repeated = np.repeat(again[:1], 300, 0)
    features = lambda x: x.reshape(len(x), -1)[:, ::16]  # noqa: E731
    sure = np.eye(10)[np.full(300, 4)]
    assert class_modes(sure) == (1, 0.0)
    assert stacked_modes(np.full((300, 3), 4)) == (1, pytest.approx(np.log(1000)))
    assert likeness(repeated, rng=rng, pairs=50) == pytest.approx(1)
    assert likeness(again, rng=rng, pairs=50) < 0.6
    # says nothing of variety
    assert precision_and_recall(features(real), features(repeated))[0] in (0, 1)
    assert precision_and_recall(features(real), features(repeated))[1] == 0
    assert precision_and_recall(features(real), features(again))[1] > 0.4
    assert (
        density_and_coverage(features(real), features(repeated))[1]
        < 0.1
        < density_and_coverage(features(real), features(again))[1]
    )
    assert frechet_distance(features(real), features(repeated)) > 5 * frechet_distance(
        features(real), features(again)
    )
    assert (swd(real, repeated, rng=rng) > 3 * swd(real, again, rng=rng)).all()


def test_edges_have_energy_and_blur_has_less():
    edge = np.zeros((3, 28, 28))
    edge[:, :, 14:] = 1
    assert stroke_energy(edge) == pytest.approx(28)
    blurred = (edge + np.roll(edge, 1, 2)) / 2
    blurred[:, :, 0] = 0
    assert stroke_energy(blurred) == pytest.approx(14)


IMAGES = np.zeros((4, 28, 28))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frechet_distance(np.zeros((1, 3)), np.zeros((5, 3))), "n of at least 2"),
        (lambda: frechet_distance(np.zeros((5, 3)), np.zeros((5, 4))), r"must be \(n, 3\)"),
        (lambda: frechet_distance(np.full((5, 3), np.nan), np.zeros((5, 3))), "not finite"),
        (
            lambda: precision_and_recall(np.zeros((3, 2)), np.zeros((9, 2))),
            "k=3 must be at most 2: neighbours of 3 and 9",
        ),
        (lambda: precision_and_recall(np.zeros((9, 2)), np.full((9, 2), np.nan)), "not finite"),
        (lambda: nearest_images(IMAGES[:, :14], IMAGES), r"must be \(n, 28, 28\)"),
        (lambda: memorised(IMAGES, IMAGES, IMAGES[:3]), "4 training and 3 held-out"),
        (lambda: class_modes(np.full((5, 10), np.inf)), "not finite"),
        (lambda: stacked_modes(np.zeros((5, 2), int)), r"give \(n, 3\)"),
        (lambda: stacked_modes(np.full((5, 3), 10)), "whole numbers from 0 to 9"),
        (lambda: stacked_modes(np.zeros((5, 3), int), np.ones(10)), "sum to 1"),
        (lambda: ms_ssim(IMAGES, IMAGES[:2]), "must be pairs"),
        (lambda: ms_ssim(IMAGES * np.nan, IMAGES), "finite numbers in"),
        (lambda: ms_ssim(IMAGES + 2, IMAGES), "grey values from 2.0"),
        (
            lambda: likeness(IMAGES, rng=np.random.default_rng(0), labels=np.arange(4)),
            "at least two each",
        ),
        (lambda: swd(IMAGES, IMAGES[:2], rng=np.random.default_rng(0)), "equally many"),
        (lambda: swd(IMAGES, IMAGES, rng=np.random.default_rng(0), patches=0), "patches=0"),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- scales of structural similarity, computed apart ---


def contrast_structure(x, y):
    """Means over windows of the full similarity and of its part of contrast and structure, by
    scipy's convolution with a Gaussian window of min(11, side) pixels."""
    from scipy.signal import convolve2d

    size = min(11, len(x))
    t = np.arange(size) - (size - 1) / 2
    g = np.exp(-(t**2) / (2 * (1.5 * size / 11) ** 2))
    window = np.outer(g, g) / g.sum() ** 2

    def mean(a):
        return convolve2d(a, window, mode="valid")

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    cs = (2 * cov + 0.03**2) / (vx + vy + 0.03**2)
    return (cs * (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)).mean(), cs.mean()


def by_hand(x, y, weights=(0.0448, 0.2856, 0.3001)):
    """Wang et al. (2003), eq. 7, over 28, 14 and 7 pixels, the weights made to sum to 1."""
    value, total = 1.0, sum(weights)
    for i, weight in enumerate(weights):
        if i:
            x, y = (a.reshape(len(a) // 2, 2, len(a) // 2, 2).mean((1, 3)) for a in (x, y))
        full, cs = contrast_structure(x, y)
        value *= max(full if i == 2 else cs, 0) ** (weight / total)
    return value


def differing_at(scale: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Two images whose difference is gone at 14 pixels (scale 1), at 7 (scale 2), or stays (4):
    squares of `scale` pixels, alternately lighter and darker."""
    x = np.kron(rng.uniform(0.3, 0.7, (7, 7)), np.ones((4, 4)))
    sign = (np.indices((28, 28)) // scale).sum(0) % 2 * 2 - 1
    return x, x + 0.2 * sign


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_every_scale_has_its_own_weight(scale, rng):
    """Permuted weights give another value."""
    from itertools import permutations

    x, y = differing_at(scale, rng)
    found = ms_ssim(x[None], y[None])[0]
    assert found == pytest.approx(by_hand(x, y), rel=1e-5)
    right, *wrong = permutations((0.0448, 0.2856, 0.3001))
    # The last two weights swapped change nothing where the difference is of the finest scale alone.
    seen = [abs(found - by_hand(x, y, w)) > 1e-3 for w in wrong]
    assert right == (0.0448, 0.2856, 0.3001) and sum(seen) == (4 if scale == 1 else 5)
