"""The compiled loop: the result does not depend on chunks, the history is what the steps logged,
the caller's state survives."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.training import Diverged
from genlab.training.jax import compiled_epoch, ema, minibatch, run_epochs, train


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


def test_other_data_and_another_key_are_the_same_program(key, monkeypatch):
    real, programs = jax.jit, []

    def jit(f, **how):
        def call(*arguments):
            programs.append(real(f, **how).lower(*arguments).as_text())
            return real(f, **how)(*arguments)

        return call if f.__name__ == "run" else real(f, **how)

    def to(state, key, data):
        return state + minibatch(data, 1, key=key)[0], {"first": state[0]}

    monkeypatch.setattr(jax, "jit", jit)
    sets, ends = [jnp.ones((3, 2)), jnp.zeros((3, 2))], []
    for data, own in zip(sets, jax.random.split(key), strict=True):
        end, _ = train(to, jnp.zeros(2), steps=4, key=own, about=(data,), chunks=1)
        closed = lambda state, key, data=data: to(state, key, data)  # noqa: E731
        same, _ = train(closed, jnp.zeros(2), steps=4, key=own, chunks=1)
        ends.append(float(end[0]))
        assert np.array_equal(end, same)
    assert ends == [4.0, 0.0] and programs[0] == programs[2]
    assert programs[1] != programs[3]  # the wrong twin: data that the step closes over


def test_no_steps_is_refused(key):
    with pytest.raises(ValueError, match="steps=0 must be at least 1"):
        train(walk, jnp.zeros(2), steps=0, key=key)


def test_minibatch_draws_rows_uniformly(key):
    rows = minibatch(jnp.arange(10.0)[:, None] * jnp.ones((1, 3)), 50_000, key=key)
    counts = np.bincount(np.asarray(rows[:, 0], int), minlength=10)
    assert rows.shape == (50_000, 3) and np.abs(counts - 5_000).max() < 5 * np.sqrt(5_000 * 0.9)


def test_the_average_of_weights_is_what_it_says():
    assert float(ema(jnp.array(1.0), jnp.array(3.0), 0.75)) == 1.5


class Rules(NamedTuple):
    batch_size: int


def doubling(start, at=None):
    """A training whose state doubles, and turns to NaN in step `at`, or only its log does."""

    def step(state, key):
        i = state["i"]
        x = jnp.where(i == at, jnp.nan, 2 * state["x"]) if at is not None else 2 * state["x"]
        return {"i": i + 1, "x": x}, {"x": state["x"]}

    return step, {"i": jnp.zeros((), int), "x": jnp.float32(start)}


@pytest.mark.parametrize("chunks", [1, 3, 20])
def test_a_training_stops_at_the_first_number_that_is_not_finite(chunks, key):
    step, state = doubling(1.0, at=7)
    with pytest.raises(Diverged, match="stopped at step 7") as caught:
        train(step, state, steps=20, key=key, chunks=chunks)
    assert caught.value.step == 7 and caught.value.state["x"] == 2.0**7
    step, state = doubling(2.0**100)  # twice 2**127 overflows, in step 27
    with pytest.raises(Diverged) as caught:
        train(step, state, steps=100, key=key, chunks=chunks)
    assert caught.value.step == 27 and caught.value.state["x"] == 2.0**127
    train(step, doubling(2.0**100)[1], steps=27, key=key, chunks=chunks)  # one step before


def check_epochs_of(batches_of) -> None:
    """Every row once an epoch, each epoch in another order, and the share that is done from 0 up to
    the last step."""
    rows, done = batches_of(12, 4, 3)
    epochs = rows.reshape(3, 12)
    assert all(sorted(e) == list(range(12)) for e in epochs.tolist())
    assert len({tuple(e) for e in epochs.tolist()}) == 3
    np.testing.assert_allclose(done, np.arange(9) / 9, atol=1e-6)


def test_an_epoch_shows_every_row_once():
    def shown(n, batch_size, epochs):
        def note(state, batch, done, rules, *, key):
            rows, shares, i = state
            return (rows.at[i].set(batch), shares.at[i].set(done), i + 1), {}

        steps = epochs * (n // batch_size)
        start = jnp.zeros((steps, batch_size)), jnp.zeros(steps), jnp.zeros((), int)
        (rows, shares, taken), *_ = run_epochs(
            compiled_epoch(note), start, np.arange(n), Rules(batch_size),
            epochs=epochs, seed=0, what="rows",
        )  # fmt: skip
        assert int(taken) == steps
        return np.asarray(rows), np.asarray(shares)

    check_epochs_of(shown)

    def with_replacement(n, batch_size, epochs):  # the twin
        rows = np.random.default_rng(0).integers(0, n, (epochs * (n // batch_size), batch_size))
        return rows, np.arange(len(rows)) / len(rows)

    def last_batch_dropped(*about):
        rows, done = shown(*about)
        rows = rows.reshape(3, 3, 4).copy()
        rows[:, 2] = rows[:, 1]
        return rows, done

    for twin in (with_replacement, last_batch_dropped):
        with pytest.raises(AssertionError):
            check_epochs_of(twin)
