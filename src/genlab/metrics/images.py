"""Distances between sets of images in the features of a classifier, and what it says of one set: NumPy in, floats out.

The features are those of the book's own classifiers, so no value compares with one computed on Inception features.
"""

import numpy as np


def _check(*features: np.ndarray) -> list[np.ndarray]:
    """Feature arrays (n, d) in double precision; ValueError for fewer than two rows, other widths or values that are not finite."""
    features = [np.asarray(f, dtype=np.float64) for f in features]
    widths = {f.shape[1:] for f in features}
    if any(f.ndim != 2 or len(f) < 2 for f in features) or len(widths) > 1:
        raise ValueError(f"features of shapes {[f.shape for f in features]}: give (n, d) each, n at least 2, d alike")
    if not all(np.isfinite(f).all() for f in features):
        raise ValueError("features hold values that are not finite")
    return features


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """‖m₁ - m₂‖² + tr(C₁ + C₂ - 2(C₁C₂)^½) of the means and covariances of features (n, d) and (m, d) (Heusel et al. 2017, eq. 6).

    Biased upwards for few images: state it beside real against real at the same n.
    """
    real, generated = _check(real, generated)
    c1, c2 = (np.atleast_2d(np.cov(f, rowvar=False)) for f in (real, generated))
    values, vectors = np.linalg.eigh(c1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ c2 @ root).clip(0)).sum()  # the trace of (C₁C₂)^½
    return float(((real.mean(0) - generated.mean(0)) ** 2).sum() + np.trace(c1) + np.trace(c2) - 2 * cross)


def kernel_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Unbiased squared MMD of features (n, d) and (m, d) with the kernel (x·y/d + 1)³ (Bińkowski et al. 2018): mean 0 if they agree."""
    real, generated = _check(real, generated)
    kernel = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3  # noqa: E731
    within = [
        (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (kernel(real, real), kernel(generated, generated))
    ]
    return float(sum(within) - 2 * kernel(real, generated).mean())


def classifier_score(probabilities: np.ndarray) -> float:
    """exp of the mean KL(p(y|x) | p(y)) of class probabilities (n, classes): from 1 to the number of classes (Salimans et al. 2016, §4).

    Blind to repetition within a class: ten different images, repeated, score like ten thousand.
    """
    (p,) = _check(probabilities)
    if p.min() < 0 or not np.allclose(p.sum(1), 1, atol=1e-3):
        raise ValueError(
            f"probabilities from {p.min():g}, sums from {p.sum(1).min():g} to {p.sum(1).max():g}: rows must sum to 1"
        )
    log = lambda q: np.log(np.maximum(q, 1e-12))  # noqa: E731
    return float(np.exp((p * (log(p) - log(p.mean(0)))).sum(1).mean()))
