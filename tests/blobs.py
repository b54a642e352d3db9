"""Small pictures that need no data set."""

import numpy as np


def blobs(centres: np.ndarray, area: float = 20) -> np.ndarray:
    """One blurred blob a picture, exp(-distance² / area) from `centres` (n, 2), row first:
    (n, 28, 28) in [0, 1]."""
    y, x = np.mgrid[:28, :28]
    return np.exp(-((y - centres[:, :1, None]) ** 2 + (x - centres[:, 1:, None]) ** 2) / area)


def noisy_blobs() -> tuple[np.ndarray, np.ndarray]:
    """Four classes of blobs, one at each of four places, with a little noise: (200, 28, 28)
    bytes and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    clean = blobs(
        np.array([[8, 8], [8, 20], [20, 8], [20, 20]])[labels] + rng.normal(size=(200, 2)), area=30
    )
    return np.uint8(255 * np.clip(clean + 0.02 * rng.normal(size=clean.shape), 0, 1)), labels
