"""Trainings that keep an exponential average of their weights: what comes out must be it."""

import jax
import numpy as np
import pytest


def weights(params) -> np.ndarray:
    """All numbers of a pytree in a row."""
    return np.concatenate([np.asarray(x, np.float64).ravel() for x in jax.tree.leaves(params)])


def check(last: np.ndarray, half: np.ndarray, quarter: np.ndarray) -> None:
    """AssertionError unless these are the averages decay · p₀ + (1 - decay) · p₁ after one step,
    for a decay of 0, ½ and ¼: the last lies halfway between the others.  Single precision; Adam's
    first step moves weights by its rate, 1e-2."""
    assert np.abs(quarter - (last + half) / 2).max() < 1e-5 < 1e-3 < np.abs(half - last).max()


def check_training(train, params_of, losses: tuple[str, str], data: np.ndarray):
    """The average comes out, and not the raw weights, and held-out points only judge; the model.

    train(held_out, decay): a training of one step, in which the decay changes no update.
    """
    last, half, quarter = (
        train(data + np.float32(moved), decay) for moved, decay in ((0, 0.0), (0, 0.5), (3, 0.25))
    )
    found = [weights(params_of(model)) for model in (last, half, quarter)]
    check(*found)
    with pytest.raises(AssertionError):  # the twin: the raw weights, whatever the decay
        check(*[found[0]] * 3)
    training, validation = losses
    assert np.array_equal(half.history[training], quarter.history[training])
    # the twin of a validation on held-out points, one on the training points, would be equal, too
    assert not np.allclose(half.history[validation], quarter.history[validation])
    return half
