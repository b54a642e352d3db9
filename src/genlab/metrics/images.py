"""What a set of images lacks beside a real one, in the features of a classifier and in pixels:
NumPy in, floats out.

The features are those of the book's own classifiers, so no value compares with one computed on
Inception features.  No measure here says much alone: state it beside real against real at the same
n.
"""

import numpy as np
from scipy.ndimage import correlate1d
from sklearn.metrics import pairwise_distances_argmin_min, pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from genlab import checks


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """‖m₁ - m₂‖² + tr(C₁ + C₂ - 2(C₁C₂)^½) of the means and covariances of features (n, d) and
    (m, d) (Heusel et al. 2017, eq. 6).

    Biased upwards for few images: state it beside real against real at the same n.
    """
    real, generated = checks.near_origin(*checks.points(2, real=real, generated=generated))
    c1, c2 = (np.atleast_2d(np.cov(f, rowvar=False)) for f in (real, generated))
    values, vectors = np.linalg.eigh(c1)
    # C₁^½ C₂ C₁^½ has the eigenvalues of C₁C₂ and is symmetric, so they come out real.
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ c2 @ root).clip(0)).sum()  # the trace of (C₁C₂)^½
    squared = ((real.mean(0) - generated.mean(0)) ** 2).sum()
    return max(0.0, float(squared + np.trace(c1) + np.trace(c2) - 2 * cross))


# --- neighbours, in features or in pixels ---


def precision_and_recall(
    real: np.ndarray, generated: np.ndarray, k: int = 3
) -> tuple[float, float]:
    """Share of generated features inside a ball of `real`, and of real ones inside a ball of
    `generated` (Kynkäänniemi et al. 2019, eq. 2).

    The ball of a point reaches to its k-th nearest neighbour in its own set.  Both are below 1 for
    real against real, so state that value at the same n.  Precision is blind to repetition, recall
    is not.  ValueError for k neighbours in no more than k points.
    """
    real, generated = checks.near_origin(*checks.points(2, real=real, generated=generated))
    sizes = len(real), len(generated)
    k = checks.count(k, "k", 1, min(sizes) - 1, f": neighbours of {sizes[0]} and {sizes[1]} points")
    return _inside(generated, real, k), _inside(real, generated, k)


def _inside(points: np.ndarray, centres: np.ndarray, k: int) -> float:
    """Share of `points` that lie in the ball of at least one of `centres`."""
    # Asked without points, `kneighbors` leaves each centre out of its own neighbours.
    radii = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(centres).kneighbors()[0][:, -1]
    near = lambda block, _: (block <= radii).any(1)  # noqa: E731
    return float(
        np.concatenate(
            list(pairwise_distances_chunked(points, centres, reduce_func=near, working_memory=256))
        ).mean()
    )


def nearest_images(images: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of `others` (m, 28, 28) is nearest to each of `images` (n, 28, 28), (n,), and how far
    that is in Euclidean distance, (n,)."""
    x, y = checks.images(images), checks.images(others, "others")
    index = pairwise_distances_argmin_min(x.reshape(len(x), -1), y.reshape(len(y), -1))[0]
    # Measured again, since the search rounds.
    return index, np.linalg.norm((x - y[index]).astype(np.float64), axis=(1, 2))


def memorised(images: np.ndarray, training: np.ndarray, held_out: np.ndarray) -> float:
    """Share of images nearer to a training image than to any held-out one, of equally many:
    ½ if nothing was learnt by heart.

    A tie, as for a held-out image that is in the training set, counts one half.  ValueError for
    sets of unequal size.
    """
    images, training, held_out = map(
        checks.images, (images, training, held_out), ("images", "training", "held_out")
    )
    if len(training) != len(held_out):
        raise ValueError(
            f"{len(training)} training and {len(held_out)} held-out images: "
            "of the larger set one is nearer by number alone"
        )
    here, there = (nearest_images(images, others)[1] for others in (training, held_out))
    return float((here < there).mean() + 0.5 * (here == there).mean())


# --- variety, by class and by structure ---


def class_modes(
    probabilities: np.ndarray, *, share: float = 0.01, sure: float = 0.0
) -> tuple[int, float]:
    """Classes that hold at least `share` of the images, and the entropy of the classes' shares
    [nats], from probabilities (n, classes).

    Images whose largest probability is below `sure` belong to no class; if that is all of them,
    both values are 0.
    """
    p = checks.points(1, probabilities=probabilities)[0]
    if p.min() < 0 or np.abs(p.sum(1) - 1).max() > 1e-3:
        raise ValueError(
            f"probabilities from {p.min():g} with sums from {p.sum(1).min():g} to "
            f"{p.sum(1).max():g}: none below 0, each row sums to 1"
        )
    share, sure = (checks.number(x, n, "in [0, 1]") for x, n in ((share, "share"), (sure, "sure")))
    counted = np.bincount(p.argmax(1)[p.max(1) >= sure], minlength=p.shape[1])
    present = counted[counted > 0]
    shares = present / max(counted.sum(), 1)
    return int((present >= share * len(p)).sum()), float(-(shares * np.log(shares)).sum())


def stacked_modes(labels: np.ndarray, expected: np.ndarray | None = None) -> tuple[int, float]:
    """Modes found and KL(generated | data) [nats] on Stacked-MNIST from the labels (n, 3) of the
    three digits of each image.

    A mode is one of 1,000 numbers of three digits, found if it occurs (Lin et al. 2018,
    section 4.2).  `expected` (10,): shares of the digits in the data, a tenth each by default.
    n real images have a KL of about (1,000 - 1) / 2n.  ValueError for other labels.
    """
    labels = checks.real(labels, "labels")
    if labels.ndim != 2 or labels.shape[1] != 3 or not len(labels):
        raise ValueError(f"labels of shape {labels.shape}: give (n, 3), each from 0 to 9")
    labels = checks.labels(labels.ravel(), "labels", n_classes=10).reshape(-1, 3)
    q = np.full(10, 0.1) if expected is None else checks.numbers(expected, "expected")
    if q.shape != (10,) or q.min() <= 0 or not np.isclose(q.sum(), 1):
        raise ValueError(f"expected={q}: ten shares above 0 that sum to 1")
    counts = np.bincount(labels @ [100, 10, 1], minlength=1000)
    found = counts > 0
    p = counts[found] / counts.sum()
    return int(found.sum()), float(
        (p * np.log(p / np.einsum("i,j,k->ijk", q, q, q).reshape(-1)[found])).sum()
    )


# Of the three finest of five scales (Wang et al. 2003); `ms_ssim` makes them sum to 1.
SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001)


def ms_ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Multi-scale structural similarity (n,) of images x[i] and y[i] in [0, 1], (n, 28, 28):
    1 if they are equal (Wang et al. 2003, eq. 7).

    Three scales, 28, 14 and 7 pixels, since five do not fit; Gaussian windows of 11 pixels and
    width 1.5, at the last scale of 7 and proportionally narrower.  Contrast and structure below
    zero count as zero.
    """
    x, y = (checks.images(*p).astype(np.float64) for p in ((x, "x"), (y, "y")))
    if x.shape != y.shape:
        raise ValueError(f"images of shapes {x.shape} and {y.shape} must be pairs")
    weights, value = np.divide(SSIM_WEIGHTS, sum(SSIM_WEIGHTS)), 1.0
    for weight in weights[:-1]:
        value = value * _ssim(x, y)[1].clip(0) ** weight
        x, y = (a.reshape(len(a), a.shape[1] // 2, 2, -1, 2).mean((2, 4)) for a in (x, y))
    return value * _ssim(x, y)[0].clip(0) ** weights[-1]


def _ssim(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Structural similarity and its part of contrast and structure, means over windows, (n,) each
    (Wang et al. 2004, eqs. 6-13)."""
    side = x.shape[1]
    size = min(11, side)
    window = np.exp(-(((np.arange(size) - (size - 1) / 2) / (1.5 * size / 11)) ** 2) / 2)
    rows = np.zeros((side - size + 1, side))
    for i in range(len(rows)):
        rows[i, i : i + size] = window / window.sum()
    smooth = lambda a: rows @ a @ rows.T  # noqa: E731
    mx, my = smooth(x), smooth(y)
    vx, vy, cov = smooth(x * x) - mx * mx, smooth(y * y) - my * my, smooth(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    luminance, structure = (
        (2 * mx * my + c1) / (mx**2 + my**2 + c1),
        (2 * cov + c2) / (vx + vy + c2),
    )
    return (luminance * structure).mean((1, 2)), structure.mean((1, 2))


def likeness(
    images: np.ndarray,
    *,
    rng: np.random.Generator,
    pairs: int = 2000,
    labels: np.ndarray | None = None,
) -> float:
    """Mean `ms_ssim` of random pairs of different images: low is varied, 1 is one image repeated
    (Odena et al. 2017, section 4.2).

    With labels (n,) both images of a pair are of one class, which is drawn uniformly.
    ValueError for a class of one image.
    """
    images, pairs = checks.images(images), checks.count(pairs, "pairs")
    if labels is not None:
        labels = checks.labels(labels, "labels", len(images))
    groups = (
        [np.arange(len(images))]
        if labels is None
        else [np.flatnonzero(labels == c) for c in np.unique(labels)]
    )
    if min(map(len, groups)) < 2:
        raise ValueError(f"labels make groups of {[len(g) for g in groups]}: at least two each")
    drawn = [groups[i] for i in rng.integers(len(groups), size=pairs)]
    i, j = np.array([rng.choice(group, 2, replace=False) for group in drawn]).T
    return float(ms_ssim(images[i], images[j]).mean())


# --- patches ---

PATCH = 7  # pixels each way (Karras et al. 2018, section 5)
BLUR = np.array([1, 4, 6, 4, 1]) / 16  # the filter of Burt and Adelson (1983)


def swd(
    real: np.ndarray,
    generated: np.ndarray,
    *,
    rng: np.random.Generator,
    patches: int = 64,
    directions: int = 128,
) -> np.ndarray:
    """Sliced W₁ · 10³ between patches of equally many images (n, 28, 28), for each level of a
    Laplacian pyramid: 28 and 14 pixels.

    As in Karras et al. (2018, section 5): `patches` of 7 x 7 at random places of each image,
    each level of each set brought to mean 0 and standard deviation 1, mean |difference| of sorted
    projections on random directions.  Both sets are read at the same places.  Its mean is the
    average to quote; real against real is not zero.  n · patches · directions numbers are
    sorted for each level.
    """
    real, generated = checks.images(real, "real"), checks.images(generated, "generated")
    checks.shape(generated, "generated", real.shape, ": equally many as real")
    patches, directions = checks.count(patches, "patches"), checks.count(directions, "directions")
    found = []
    for levels in zip(_pyramid(real), _pyramid(generated), strict=True):
        spots = rng.integers(levels[0].shape[1] - PATCH + 1, size=(2, len(real), patches))
        axes = rng.normal(size=(PATCH**2, directions)).astype(np.float32)
        axes /= np.linalg.norm(axes, axis=0)
        a, b = (np.sort(_patches(level, *spots) @ axes, axis=0) for level in levels)
        found.append(1e3 * np.abs(a - b).mean(dtype=np.float64))
    return np.array(found)


def _patches(level: np.ndarray, top: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Patches of images (n, h, w) at corners (n, patches) as rows of PATCH² numbers with mean 0 and
    standard deviation 1 in all."""
    windows = np.lib.stride_tricks.sliding_window_view(level, (PATCH, PATCH), axis=(1, 2))
    x = windows[np.arange(len(level))[:, None], top, left].reshape(-1, PATCH**2).astype(np.float32)
    return (x - x.mean()) / max(x.std(), 1e-6)


def _pyramid(images: np.ndarray) -> list[np.ndarray]:
    """What 28 pixels show beyond 14, (n, 28, 28), and those 14, (n, 14, 14)
    (Burt and Adelson 1983); edges are mirrored."""
    small = _blur(images)[:, ::2, ::2]
    large = np.zeros_like(images)
    # Three of four pixels are zero: four times the fourth keeps the mean.
    large[:, ::2, ::2] = 4 * small
    return [images - _blur(large), small]


def _blur(images: np.ndarray) -> np.ndarray:
    """Images smoothed along both axes."""
    return correlate1d(
        correlate1d(images, BLUR, axis=1, mode="mirror"), BLUR, axis=2, mode="mirror"
    )


def stroke_energy(images: np.ndarray) -> float:
    """Mean squared difference of neighbouring pixels of images (n, 28, 28) in [0, 1], summed over
    an image: high for sharp edges, low for blur."""
    x = checks.images(images).astype(np.float64)
    if np.asarray(images).dtype == np.float64:
        x = np.asarray(images)  # in the precision in which it came
    return float(
        (np.diff(x, axis=1) ** 2).sum((1, 2)).mean() + (np.diff(x, axis=2) ** 2).sum((1, 2)).mean()
    )
