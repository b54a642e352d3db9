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

from genlab import checks
from genlab.streams import stream
from genlab.training import Diverged, progress

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
    steps, chunks = checks.count(steps, "steps"), checks.count(chunks, "chunks")
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


def floats(x: Any) -> jax.Array | np.ndarray:
    """`x` as an array of floats: integers and booleans, in which a difference wraps around, and
    half precision become single.  Floats of NumPy stay NumPy's, and so do its products of them."""
    if isinstance(x, np.ndarray) and x.dtype in (np.float32, np.float64):
        return x
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def minibatch(data: jax.Array, batch_size: int, *, key: jax.Array) -> jax.Array:
    """`batch_size` rows of `data` (n, d), drawn with replacement."""
    return data[jax.random.randint(key, (batch_size,), 0, len(data))]


def check_ascent(lr: float, lr_last: float, momentum: float, weight_decay: float) -> None:
    """ValueError for a rule of gradient ascent that is out of range."""
    checks.number(lr, "lr", "positive")
    checks.number(lr_last, "lr_last", "at least 0")
    checks.number(momentum, "momentum", "in [0, 1)")
    checks.number(weight_decay, "weight_decay", "at least 0")


def where_finite(value: jax.Array, params) -> jax.Array:
    """`value`, or NaN if any of the arrays `params` holds a number that is not finite."""
    return jnp.where(jnp.isfinite(sum(x.sum() for x in jax.tree.leaves(params))), value, jnp.nan)


def compiled_epoch(step: Callable) -> Callable:
    """One epoch of ``step(state, batch, done, settings, key) -> (state, value)``, compiled;
    the state is overwritten in place.

    Takes (state, data, rows (steps, batch), settings, first step, total steps, key), data being one
    array or several of as many rows.  Step i of the epoch sees `data` at rows[i], the share of the
    whole training that is done, and fold_in(key, i).  `settings` are numbers to the compiler,
    not constants, so that trainings which differ in a rate share one program.  Returns the state
    and values (steps,).
    """

    @partial(jax.jit, donate_argnums=0)
    def run(state, data, rows, settings, first, total, key):
        def body(state, inputs):
            i, row = inputs
            batch = jax.tree.map(lambda x: x[row], data)
            return step(state, batch, (first + i) / total, settings, jax.random.fold_in(key, i))

        return jax.lax.scan(body, state, (jnp.arange(len(rows)), rows))

    return run


def run_epochs(
    run: Callable,
    state: tuple,
    data: Any,
    settings: Any,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    what: str,
) -> tuple[tuple, dict[str, np.ndarray]]:
    """`epochs` times ``run``, a `compiled_epoch`, each over all rows of `data` in a new order;
    state[0] are the parameters.

    Returns the last state and the history: "step" and the mean "value" of every epoch, each
    (epochs,).  Raises Diverged when `value`, which `where_finite` makes NaN in time, is not finite.
    """
    # Labels stay integers; all else is single precision.
    data = jax.tree.map(
        lambda x: jnp.asarray(x, None if jnp.issubdtype(x.dtype, jnp.integer) else jnp.float32),
        data,
    )
    # A copy: `run` consumes its argument, the caller's arrays stay valid.
    state = jax.tree.map(jnp.array, state)
    n = len(jax.tree.leaves(data)[0])
    steps = n // batch_size
    key, order, means = (
        jax.random.key(stream(seed, "train")),
        np.random.default_rng(stream(seed, "data")),
        [],
    )
    for epoch in progress(epochs, what):
        rows = order.permutation(n)[: steps * batch_size].reshape(steps, batch_size)
        # A copy for `Diverged`: `run` overwrites the state.
        good = jax.tree.map(np.array, state[0])
        state, values = run(
            state,
            data,
            rows,
            settings,
            epoch * steps,
            epochs * steps,
            jax.random.fold_in(key, epoch),
        )
        values = np.asarray(values)
        if not np.isfinite(values).all():
            raise Diverged(what, epoch * steps + int(np.isfinite(values).argmin()), good)
        means.append(values.mean())
    return state, {"step": steps * np.arange(1, epochs + 1), "value": np.array(means)}
