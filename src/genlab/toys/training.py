"""One compiled training loop for everything on 2-D data.

A training is a function ``step(state, key) -> (state, logs)``: state is any pytree
(parameters, optimiser state, chains), logs a dict of scalars or small arrays.  The loop below runs
it inside XLA; Python only sees chunk boundaries, where the history is collected and progress
reported.  To train several data sets or seeds at once, `jax.vmap` the step.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from genlab.progress import progress

State = Any
Step = Callable[[State, jax.Array], tuple[State, dict[str, jax.Array]]]


def train(
    step: Step,
    state: State,
    *,
    steps: int,
    key: jax.Array,
    chunks: int = 100,
    what: str = "training",
    snapshot: Callable[[State], jax.Array] | None = None,
) -> tuple[State, dict[str, np.ndarray]]:
    """Run `step` `steps` times.  Step i gets ``jax.random.fold_in(key, i)``, so the result does not
    depend on `chunks`.

    Returns the last state and the history: ``history["step"]`` (chunks,), the number of steps done
    at the end of each chunk, for every log its mean over the chunk, shape (chunks, ...), and with
    `snapshot` its value of the state at the end of each chunk as ``history["snapshot"]``.
    Raises ValueError for fewer than one step.
    """
    if steps < 1:
        raise ValueError(f"steps={steps} must be at least 1")
    shapes = jax.eval_shape(step, state, key)[1]

    # A dynamic trip count, so that chunks of unequal length share one compilation; the state is
    # updated in place.
    @partial(jax.jit, donate_argnums=0)
    def run(state, start, stop):
        def body(i, carry):
            state, sums = carry
            state, logs = step(state, jax.random.fold_in(key, i))
            return state, jax.tree.map(jnp.add, sums, logs)

        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        state, sums = jax.lax.fori_loop(start, stop, body, (state, zeros))
        return state, jax.tree.map(lambda s: s / (stop - start), sums)

    # A copy: `run` consumes its argument, the caller's state stays valid.
    state = jax.tree.map(jnp.array, state)
    bounds = np.linspace(0, steps, min(chunks, steps) + 1).round().astype(int)
    rows = []
    for i in progress(len(bounds) - 1, what):
        state, logs = run(state, int(bounds[i]), int(bounds[i + 1]))
        if snapshot is not None:
            logs = logs | {"snapshot": snapshot(state)}
        rows.append(jax.tree.map(np.asarray, logs))
    history = {"step": bounds[1:]} | {
        name: np.stack([row[name] for row in rows]) for name in rows[0]
    }
    return state, history


def minibatch(data: jax.Array, batch_size: int, *, key: jax.Array) -> jax.Array:
    """`batch_size` rows of `data` (n, d), drawn with replacement."""
    return data[jax.random.randint(key, (batch_size,), 0, len(data))]
