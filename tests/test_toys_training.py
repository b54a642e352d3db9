"""The compiled loop: the result does not depend on chunks, the history is what the steps logged,
the caller's state survives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.toys.networks import ema, fourier_features, fourier_mlp, init_fourier_mlp, init_mlp, mlp
from genlab.training.jax import minibatch, train


def walk(state, key):
    state = state + jax.random.normal(key, state.shape)
    return state, {"first": state[0], "square": state**2}


@pytest.mark.parametrize("chunks", [1, 3, 7, 50])
def test_chunks_change_the_history_only(chunks, key):
    start = jnp.zeros(4)
    end, history = train(walk, start, steps=20, key=key, chunks=chunks)
    reference, every = train(walk, start, steps=20, key=key, chunks=20)
    assert np.allclose(end, reference) and np.array_equal(start, np.zeros(4))
    assert history["step"][-1] == 20 and len(history["first"]) == min(chunks, 20)
    weights = np.diff(np.concatenate([[0], history["step"]]))
    assert np.allclose(
        np.average(history["first"], weights=weights), every["first"].mean(), atol=1e-5
    )


def test_snapshots_and_streams(key):
    _, history = train(walk, jnp.zeros(2), steps=6, key=key, chunks=3, snapshot=lambda s: s * 2)
    last, _ = train(walk, jnp.zeros(2), steps=6, key=key)
    other, _ = train(walk, jnp.zeros(2), steps=6, key=jax.random.fold_in(key, 1))
    assert np.allclose(history["snapshot"][-1], 2 * last) and not np.allclose(last, other)


def test_no_steps_is_refused(key):
    with pytest.raises(ValueError, match="steps=0 must be at least 1"):
        train(walk, jnp.zeros(2), steps=0, key=key)


def test_minibatch_draws_rows_uniformly(key):
    rows = minibatch(jnp.arange(10.0)[:, None] * jnp.ones((1, 3)), 50_000, key=key)
    counts = np.bincount(np.asarray(rows[:, 0], int), minlength=10)
    assert rows.shape == (50_000, 3) and np.abs(counts - 5_000).max() < 5 * np.sqrt(5_000 * 0.9)


def test_mlp_is_its_formula_and_ema_is_its_average(key):
    params = init_mlp((2, 5, 3), key=key)
    (W1, b1), (W2, b2) = params
    x = jnp.array([[0.3, -1.0]])
    assert np.allclose(mlp(params, x, "tanh"), jnp.tanh(x @ W1 + b1) @ W2 + b2)
    assert float(jnp.abs(W1).max()) <= 2**-0.5 and float(jnp.abs(W2).max()) <= 5**-0.5
    assert float(ema(jnp.array(1.0), jnp.array(3.0), 0.75)) == pytest.approx(1.5)


def test_fourier_inputs(key):
    features = fourier_features(jnp.array([0.0, 0.5]), 6)
    assert features.shape == (2, 6) and np.allclose(features[0], [0, 0, 0, 1, 1, 1])
    params = init_fourier_mlp((2, 8, 1), 5, bandwidth=2.0, key=key)
    assert fourier_mlp(params, jnp.ones((4, 2))).shape == (4, 1)
    grads = jax.grad(lambda p: fourier_mlp(p, jnp.ones((4, 2))).sum())(params)
    assert float(jnp.abs(grads[0]).max()) == 0
