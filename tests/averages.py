"""Trainings that keep an exponential average of their weights: what comes out must be it."""

import jax
import numpy as np

DECAY = 0.5


def weights(params) -> np.ndarray:
    """All numbers of a pytree in a row."""
    return np.concatenate([np.asarray(x, np.float64).ravel() for x in jax.tree.leaves(params)])


def by_hand(weights_of) -> tuple[np.ndarray, np.ndarray]:
    """The average after two steps, decay² p₀ + (1 - decay)(decay p₁ + p₂), and p₂ itself.

    weights_of(steps, decay): the weights that a training gives; a decay of one keeps the start,
    a decay of nought the last, and neither changes what is trained.
    """
    start, first, last = weights_of(1, 1.0), weights_of(1, 0.0), weights_of(2, 0.0)
    return DECAY**2 * start + (1 - DECAY) * (DECAY * first + last), last


def check_average(weights_of) -> None:
    """AssertionError unless the training gives the average by hand, and not the last weights."""
    expected, last = by_hand(weights_of)
    # Single precision; the weights move by about the rate of Adam, 2e-3 or more.
    found = weights_of(2, DECAY)
    assert np.abs(found - expected).max() < 1e-6, np.abs(found - expected).max()
    assert np.abs(found - last).max() > 1e-4
