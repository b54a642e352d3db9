"""Distances between two samples x (n, d) and y (m, d): optimal transport, kernels, neighbours,
classifiers.

Every function is symmetric in what it may be told: it sees two clouds of points, never a model.
Bad input (another shape, fewer than two points, a value that is not finite) is a ValueError that
names it.
"""

import warnings

import numpy as np
import ot
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from scipy.stats import gaussian_kde
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from genlab import checks

SLICES = 64  # fixed directions of the sliced distance, equally spaced on the half circle
FITTED_SHARE = 0.75  # of the real points, to fit the kernel density: 1,500 of source A's 2,000


def w2(x: np.ndarray, y: np.ndarray) -> float:
    """Exact 2-Wasserstein distance between the empirical measures,
    sqrt(min_P sum P_ij |x_i - y_j|²), in data units.

    Solved by the network simplex of POT (Bonneel et al. 2011; Flamary et al. 2021).  RuntimeWarning
    if it does not finish.  Its value for two real samples is far from zero and falls slowly with n:
    in the plane nearly as n^(-1/2) for a connected density, and in the end as n^(-1/4) for separate
    parts, whose shares differ by chance.  Read it beside its null.
    """
    x, y = checks.points(2, x=x, y=y)
    cost = cdist(x, y, "sqeuclidean")
    unit = checks.unit_of(cost)
    squared, log = ot.emd2([], [], cost / unit, numItermax=10_000_000, log=True)
    if log["warning"]:
        warnings.warn(
            f"optimal transport did not finish: {log['warning']}", RuntimeWarning, stacklevel=2
        )
    return float(np.sqrt(max(squared, 0.0) * unit))


def sliced_w2(x: np.ndarray, y: np.ndarray) -> float:
    """Sliced 2-Wasserstein distance in the plane over SLICES fixed directions
    (Bonneel et al. 2015, eq. 9).

    sqrt(mean over directions u of W2²(u·x, u·y)); in one dimension W2 pairs quantiles.
    For a translation by c it is |c|/sqrt(2).
    """
    x, y = checks.near_origin(*checks.points(2, x=x, y=y))
    if x.shape[1] != 2:
        raise ValueError(f"x of shape {x.shape} must be (n, 2): the directions lie in the plane")
    angles = np.pi * np.arange(SLICES) / SLICES
    directions = np.stack([np.cos(angles), np.sin(angles)])
    # As many quantiles as the larger sample has points: of equal samples, the sorted points.
    levels = (np.arange(max(len(x), len(y))) + 0.5) / max(len(x), len(y))
    a, b = (np.quantile(c @ directions, levels, axis=0, method="inverted_cdf") for c in (x, y))
    return float(np.sqrt(np.mean((a - b) ** 2)))


def mmd2(x: np.ndarray, y: np.ndarray, bandwidth: float) -> float:
    """Unbiased squared maximum mean discrepancy, kernel exp(-|x-y|²/(2 bandwidth²))
    (Gretton et al. 2012, eq. 3).

    Its mean is zero when x and y come from one distribution, so it can be negative.
    ValueError for bandwidth <= 0.
    """
    bandwidth = checks.number(bandwidth, "bandwidth", "positive")
    if not 1e-150 < bandwidth < 1e150:
        raise ValueError(f"bandwidth={bandwidth} must be from 1e-150 to 1e150: rescale the points")
    x, y = checks.points(2, x=x, y=y)
    kxx, kyy, kxy = (
        np.exp(cdist(a, b, "sqeuclidean") / (-2 * bandwidth**2))
        for a, b in ((x, x), (y, y), (x, y))
    )
    n, m = len(x), len(y)
    # A point has kernel 1 with itself, and no part in the means.
    return float((kxx.sum() - n) / (n * (n - 1)) + (kyy.sum() - m) / (m * (m - 1)) - 2 * kxy.mean())


def energy_distance(x: np.ndarray, y: np.ndarray) -> float:
    """2 E|x-y| - E|x-x'| - E|y-y'| with unbiased within-sample means
    (Székely & Rizzo 2013, eq. 1.1), data units."""
    x, y = checks.points(2, x=x, y=y)
    n, m = len(x), len(y)
    within = cdist(x, x).sum() / (n * (n - 1)) + cdist(y, y).sum() / (m * (m - 1))
    return float(2 * cdist(x, y).mean() - within)


def c2st_accuracy(
    x: np.ndarray, y: np.ndarray, *, rng: np.random.Generator, folds: int = 4
) -> float:
    """Classifier two-sample test: held-out accuracy in telling x from y, the mean of that on x and
    that on y (Lopez-Paz & Oquab 2017, eq. 2, where the two are equally large).

    The larger of two classifiers' `folds`-fold cross-validated accuracies would not be 1/2 under
    the null, so the two vote: the mean of the class probabilities of boosted trees (sharp edges)
    and of 25 nearest neighbours (smooth shape) against the share of y.  Chance is 1/2, for samples
    of equal size with a standard deviation of more than the 1/(2 sqrt(n + m)) of independent
    tosses, as the folds share their points: 1.2 to 1.7 times that for 2,000 points of a toy set.

    A point of both samples is learnt with the one label and tested with the other, and the accuracy
    falls below chance: RuntimeWarning with their number, ValueError where one sample is a copy.
    """
    points, labels, split = _in_folds(x, y, folds, rng)
    correct = np.zeros(2, int)
    for train, held_out in split:
        probability = 0.0
        for classifier in (
            HistGradientBoostingClassifier(
                max_iter=60, max_leaf_nodes=15, early_stopping=False, random_state=0
            ),
            KNeighborsClassifier(n_neighbors=max(1, min(25, len(train) // 4))),
        ):
            probability = (
                probability
                + classifier.fit(points[train], labels[train]).predict_proba(points[held_out])[:, 1]
            )
        # The sum of two probabilities: above twice the share of y both together vote for y.
        right = (probability > 2 * len(y) / len(points)) == labels[held_out]
        correct += np.bincount(labels[held_out], weights=right, minlength=2).astype(int)
    of_x, of_y = map(int, correct)
    # (of_x / n + of_y / m) / 2, rounded once.
    return (of_x * len(y) + of_y * len(x)) / (2 * len(x) * len(y))


def boosted_accuracy(
    x: np.ndarray, y: np.ndarray, *, rng: np.random.Generator, folds: int = 4
) -> float:
    """Held-out accuracy of boosted trees in telling x from y, the mean of that on x and that on y.

    For points that carry more than their place: a column with their true log-density shows the
    trees at once where a model puts points that the data do not have.  Nearest neighbours, which
    vote in `c2st_accuracy`, would mix the units of such columns.  Chance is 1/2; what a point in
    both samples does, see `c2st_accuracy`.
    """
    points, labels, split = _in_folds(x, y, folds, rng)
    right = np.zeros(len(points))
    with threadpool_limits(1):  # threads wait for each other longer than these small trees take
        for train, held_out in split:
            trees = HistGradientBoostingClassifier(
                max_iter=100, max_leaf_nodes=15, early_stopping=False, random_state=0
            ).fit(points[train], labels[train])
            share = trees.predict_proba(points[held_out])[:, 1]
            right[held_out] = (share > len(y) / len(points)) == labels[held_out]
    return float((right[: len(x)].mean() + right[len(x) :].mean()) / 2)


def _in_folds(x: np.ndarray, y: np.ndarray, folds: int, rng: np.random.Generator):
    """Points of x and y together, which of the two each is of, 0 or 1, and so many folds:
    the rows to learn from and those held out."""
    x, y = checks.points(2, x=x, y=y)
    folds = checks.count(folds, "folds", 2, min(len(x), len(y)), ", one point of x and y for each")
    _compare_points(x, y)
    points, labels = np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])
    split = StratifiedKFold(folds, shuffle=True, random_state=int(rng.integers(2**31)))
    return points, labels, split.split(points, labels)


def _compare_points(x: np.ndarray, y: np.ndarray) -> None:
    """Say how many points x and y have in common; ValueError if that is all of one of them, each
    of whose points occurs once."""
    each, where = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)
    in_x, in_y = (np.bincount(i, minlength=len(each)) for i in np.split(where.ravel(), [len(x)]))
    common = int(((in_x > 0) & (in_y > 0)).sum())
    if common == min(len(x), len(y)):
        raise ValueError(f"x and y have {common} points in common, one is a copy: draw it anew")
    if common:
        warnings.warn(
            f"x and y have {common} points in common: c2st_accuracy falls below chance by them",
            RuntimeWarning,
            stacklevel=4,
        )


def density_and_coverage(
    real: np.ndarray, generated: np.ndarray, k: int = 5
) -> tuple[float, float]:
    """Density and coverage of `generated` in the k-nearest-neighbour balls of `real`
    (Naeem et al. 2020, eqs. 3 and 4).

    Coverage is the share of real points whose ball holds a generated point; for two equal samples
    it is about 1 - 2^-k.
    """
    real, generated = checks.points(2, real=real, generated=generated)
    k = checks.count(k, "k", 1, len(real) - 1, f": neighbours among {len(real)} real points")
    # k + 1, since the nearest neighbour of a real point is that point.
    radii = cKDTree(real).query(real, k + 1)[0][:, -1]
    counts = cKDTree(generated).query_ball_point(real, radii, return_length=True)
    return float(counts.sum() / (k * len(generated))), float(np.mean(counts > 0))


def kde_log_density(generated: np.ndarray, real: np.ndarray) -> float:
    """Source A's measure: mean over generated points of log of a Gaussian kernel density fitted to
    real ones (Scott's rule).

    Larger is *not* better beyond the value that real points reach: a sample without its tails
    scores above the truth.
    """
    generated, real = checks.points(2, generated=generated, real=real)
    real, generated = checks.near_origin(real, generated)
    try:
        return float(np.mean(gaussian_kde(real.T).logpdf(generated.T)))
    except np.linalg.LinAlgError:
        raise ValueError(
            f"real of shape {real.shape} must spread in every direction: more points, or fewer "
            "dimensions"
        ) from None
