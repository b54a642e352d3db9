"""Compiled trainings: so many steps (`train`), or epochs over the rows of data (`run_epochs`).

A training is a function ``step(state, key, *about) -> (state, logs)``: state is any pytree
(parameters, optimiser state, chains), logs a dict of small arrays.  The loop below runs it inside
XLA; Python only sees chunk boundaries.  To train several data sets at once, `jax.vmap` the step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab import checks, threefry  # noqa: F401  (random bits that compile faster)
from genlab.streams import stream
from genlab.training import Diverged, Interrupted, Trained, left, progress

State = Any
Step = Callable[..., tuple[State, dict[str, jax.Array]]]


def train(
    step: Step,
    state: State,
    *,
    steps: int,
    key: jax.Array,
    about: tuple = (),
    start: int = 0,
    until: int | None = None,
    chunks: int = 100,
    what: str = "training",
    snapshot: Callable[[State], jax.Array] | None = None,
) -> tuple[State, dict[str, np.ndarray]]:
    """Run `step` from step `start` on, up to `until` (default: the end) of a training of `steps`.
    Step i gets ``jax.random.fold_in(key, i)``, so the result does not depend on `chunks`, nor on
    where a training was interrupted.  about: what every step sees and none changes, as its data;
    no constants of the program, which other data and seeds share.

    Returns the last state and the history: ``history["step"]`` (chunks,), the number of steps done
    at the end of each chunk, for every log its mean over the chunk, shape (chunks, ...), and with
    `snapshot` its value of the state at the end of each chunk as ``history["snapshot"]``.
    Raises Diverged at the first step whose logs or new state are not finite, with the state before
    it; ValueError for fewer than one step.
    """
    steps, chunks = checks.count(steps, "steps"), checks.count(chunks, "chunks")
    start = checks.count(start, "start", 0, steps - 1, ", the last step")
    until = steps if until is None else checks.count(until, "until", start + 1, steps)
    shapes = jax.eval_shape(step, state, key, *about)[1]

    # A dynamic trip count, so that chunks of unequal length share one compilation; the state is
    # updated in place.
    @partial(jax.jit, donate_argnums=0)
    def run(state, first, last, key, about):
        def body(i, carry):
            state, sums = carry
            state, logs = step(state, jax.random.fold_in(key, i), *about)
            return state, jax.tree.map(jnp.add, sums, logs)

        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        state, sums = jax.lax.fori_loop(first, last, body, (state, zeros))
        return state, jax.tree.map(lambda s: s / (last - first), sums)

    @jax.jit
    def again(state, first, last, key, about):
        return until_divergence(
            lambda state, i: step(state, jax.random.fold_in(key, i), *about), state, first, last
        )

    # A copy: `run` consumes its argument, the caller's state stays valid.
    state = jax.tree.map(jnp.array, state)
    bounds = np.linspace(0, steps, min(chunks, steps) + 1).round().astype(int)
    bounds = np.unique([start, *bounds[(bounds > start) & (bounds < until)], until])
    rows = []
    for i in progress(len(bounds) - 1, what):
        first, last = int(bounds[i]), int(bounds[i + 1])
        before = jax.tree.map(jnp.copy, state)
        state, logs = run(state, first, last, key, about)
        if not all_finite((state, logs), np):
            at, good = again(before, first, last, key, about)
            raise Diverged(what, int(at), jax.tree.map(np.asarray, good))
        if snapshot is not None:
            logs = logs | {"snapshot": snapshot(state)}
        rows.append(jax.tree.map(np.asarray, logs))
    history = {"step": bounds[1:]} | {
        name: np.stack([row[name] for row in rows]) for name in rows[0]
    }
    return state, history


def all_finite(tree: Any, xp: Any = jnp) -> jax.Array | np.bool_:
    """Whether all floats of a pytree are finite; xp: NumPy outside of compiled programs."""
    floating = (x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact))
    return xp.all(xp.array([xp.isfinite(x).all() for x in floating]))


def until_divergence(step: Callable, state: State, first, last) -> tuple[jax.Array, State]:
    """The first i in [first, last) at which ``step(state, i) -> (state, logs)`` gives a number that
    is not finite, and the state before it.

    Steps that diverged are made once more with a look at each: looking always would cost every
    training.
    """

    def body(carry):
        i, state, _ = carry
        after, logs = step(state, i)
        good = all_finite((after, logs))
        return i + good, jax.tree.map(lambda a, b: jnp.where(good, a, b), after, state), good

    going = lambda carry: (carry[0] < last) & carry[2]  # noqa: E731
    return jax.lax.while_loop(going, body, (jnp.asarray(first), state, jnp.array(True)))[:2]


def train_stack(
    update: Callable,
    state: State,
    data: jax.Array,
    held_out: jax.Array,
    *,
    rules: Any,
    steps: int,
    seed: int,
    resume: Trained | None = None,
    **how,
) -> tuple[State, dict[str, np.ndarray], Interrupted | None]:
    """`train` one model per data set by `rules`, all in one compiled program; returns also what
    `resume` goes on from, if `until` stopped it.

    ``update(state, data (n, 2), held_out (m, 2), key=...) -> (state, logs)`` is one step of one of
    them; state (sets, ...), data (sets, n, 2), held_out (sets, m, 2).  `resume`: what an
    interrupted training returned, from where this one goes on.  `how`: the rest of `train`'s
    arguments.
    """

    def step(state, key, data, held_out):
        one = lambda state, data, held_out, key: update(state, data, held_out, key=key)  # noqa: E731
        return jax.vmap(one)(state, data, held_out, jax.random.split(key, len(data)))

    start = 0
    if resume is not None:
        state, start = resume.interrupted(rules, seed, steps)
    key = jax.random.key(stream(seed, "train"))
    how |= dict(steps=steps, key=key, about=(data, held_out), start=start)
    state, history = train(step, state, **how)
    state = jax.tree.map(np.asarray, state)
    return state, history, left(state, history, rules, seed, steps)


def floats(x: Any) -> jax.Array | np.ndarray:
    """`x` as an array of floats: integers and booleans, in which a difference wraps around, and
    half precision become single.  Floats of NumPy stay NumPy's, and so do its products of them."""
    if isinstance(x, np.ndarray) and x.dtype in (np.float32, np.float64):
        return x
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


class Weights(NamedTuple):
    """Parameters while they are trained: as they are, their exponential average, and the moments
    that the optimiser keeps."""

    params: Any
    average: Any
    moments: Any


def start_weights(params: Any, optimizer: optax.GradientTransformation) -> Weights:
    """The weights of a training that begins at `params`."""
    return Weights(params, params, optimizer.init(params))


def descend(
    weights: Weights, gradient: Any, optimizer: optax.GradientTransformation, *, ema_decay: float
) -> Weights:
    """One step of the optimiser down the gradient; the average moves towards where that led."""
    updates, moments = optimizer.update(gradient, weights.moments)
    params = optax.apply_updates(weights.params, updates)
    return Weights(params, ema(weights.average, params, ema_decay), moments)


def ema(average: Any, params: Any, decay: float) -> Any:
    """Exponential moving average of a pytree: decay * average + (1 - decay) * params."""
    return jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, average, params)


def adam(lr: float, steps: int, *, decay_lr: bool, b1: float = 0.9, b2: float = 0.999):
    """Adam (Kingma & Ba 2015), with `decay_lr` at a rate that falls from lr to zero over `steps` by
    a cosine."""
    return optax.adam(optax.cosine_decay_schedule(lr, steps) if decay_lr else lr, b1=b1, b2=b2)


def minibatch(data: jax.Array, batch_size: int, *, key: jax.Array) -> jax.Array:
    """`batch_size` rows of `data` (n, d), drawn with replacement."""
    return data[jax.random.randint(key, (batch_size,), 0, len(data))]


def check_ascent(lr: float, lr_last: float, momentum: float, weight_decay: float) -> None:
    """ValueError for a rule of gradient ascent that is out of range."""
    checks.number(lr, "lr", "positive")
    checks.number(lr_last, "lr_last", "at least 0")
    checks.number(momentum, "momentum", "in [0, 1)")
    checks.number(weight_decay, "weight_decay", "at least 0")


class Epoch(NamedTuple):
    """One epoch, compiled: `run` makes it and overwrites the state in place, `again` says where it
    diverged (see `until_divergence`).

    Both take (state, data, rows (steps, batch), rules, first step, total steps, key), data being
    one array or several of as many rows.  `run` returns the state and the logs of every step.
    """

    run: Callable
    again: Callable


def compiled_epoch(update: Callable) -> Epoch:
    """An epoch of ``update(state, batch, done, rules, key=...) -> (state, logs)``.

    Step i sees `data` at rows[i], the share of the whole training that is done, and fold_in(key,
    i).  Numbers in `rules` are numbers to the compiler, not constants, so that trainings which
    differ in a rate share one program.
    """

    def step(state, i, data, rows, rules, first, total, key):
        batch = jax.tree.map(lambda x: x[rows], data)
        return update(state, batch, (first + i) / total, rules, key=jax.random.fold_in(key, i))

    @partial(jax.jit, donate_argnums=0)
    def run(state, data, rows, *about):
        def body(state, inputs):
            i, row = inputs
            return step(state, i, data, row, *about)

        return jax.lax.scan(body, state, (jnp.arange(len(rows)), rows))

    @jax.jit
    def again(state, data, rows, *about):
        return until_divergence(
            lambda state, i: step(state, i, data, rows[i], *about), state, 0, len(rows)
        )

    return Epoch(run, again)


def run_epochs(
    epoch: Epoch,
    state: State,
    data: Any,
    rules: Any,
    *,
    epochs: int,
    seed: int,
    what: str,
    until: int | None = None,
    resume: Trained | None = None,
) -> tuple[State, dict[str, np.ndarray], Interrupted | None]:
    """`epochs` times the epoch, each over all rows of `data` in a new order, in batches of
    rules.batch_size; with `until` only so many of them, with `resume` those that an interrupted
    training left.

    Returns the last state, the history, "step" and the mean of every log over each epoch, and what
    `resume` goes on from, if `until` stopped it.  Raises Diverged at the first step whose logs or
    new state are not finite, with the state before it.
    """
    # Labels stay integers; all else is single precision.
    data = jax.tree.map(
        lambda x: jnp.asarray(x, None if jnp.issubdtype(x.dtype, jnp.integer) else jnp.float32),
        data,
    )
    n = len(jax.tree.leaves(data)[0])
    steps, batch_size, start = n // rules.batch_size, rules.batch_size, 0
    if resume is not None:
        state, done = resume.interrupted(rules, seed, steps * epochs)
        start = done // steps
    until = epochs if until is None else checks.count(until, "until", start + 1, epochs)
    # A copy: `run` consumes its argument, the caller's arrays stay valid.
    state = jax.tree.map(jnp.array, state)
    key, order = jax.random.key(stream(seed, "train")), np.random.default_rng(stream(seed, "data"))
    for _ in range(start):
        order.permutation(n)
    rows_of_history = []
    for number in progress(until - start, what):
        number += start
        rows = order.permutation(n)[: steps * batch_size].reshape(steps, batch_size)
        about = data, rows, rules, number * steps, epochs * steps, jax.random.fold_in(key, number)
        before = jax.tree.map(jnp.copy, state)
        state, logs = epoch.run(state, *about)
        if not all_finite((state, logs), np):
            at, good = epoch.again(before, *about)
            raise Diverged(what, number * steps + int(at), jax.tree.map(np.asarray, good))
        rows_of_history.append(jax.tree.map(lambda x: np.asarray(x).mean(), logs))
    history = {"step": steps * np.arange(start + 1, until + 1)} | {
        name: np.array([row[name] for row in rows_of_history]) for name in rows_of_history[0]
    }
    return state, history, left(state, history, rules, seed, steps * epochs)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How a model of points is trained: Adam on batches of `batch_size` points at the rate lr,
    which falls to zero by a cosine (`decay_lr`), and the exponential average of the weights
    (`ema_decay` = 0 for none)."""

    batch_size: int = 512
    lr: float = 2e-3
    ema_decay: float = 0.999
    decay_lr: bool = True

    def check(self) -> None:
        """ValueError for a rule that cannot be followed."""
        checks.count(self.batch_size, "batch_size")
        checks.number(self.lr, "lr", "positive")
        checks.number(self.ema_decay, "ema_decay", "in [0, 1)")


def train_averaged(
    update: Callable,
    init: Callable,
    data: np.ndarray,
    held_out: np.ndarray,
    *,
    rules: Rules,
    steps: int,
    seed: int,
    starts: tuple = (),
    **how,
) -> Trained:
    """One model per data set, all in one compiled loop, whose average of the weights comes out.

    ``init(rules, *starts, key=...) -> params`` and ``update(weights, data, held_out, rules=,
    optimizer=, key=) -> (weights, logs)``; data (sets, n, 2), held_out (sets, m, 2).  `starts`:
    arrays (sets, ...), of which `init` gets a row each.  `how`: `until`, `resume` and `what` of
    `train_stack`.  Raises Diverged, ValueError.
    """
    rules.check()
    data, held_out = map(jnp.asarray, checks.sets(data=data, held_out=held_out))
    optimizer = adam(rules.lr, checks.count(steps, "steps"), decay_lr=rules.decay_lr)
    keys = jax.random.split(jax.random.key(stream(seed, "init")), len(data))
    params = jax.vmap(lambda key, *start: init(rules, *start, key=key))(keys, *starts)
    weights = jax.vmap(partial(start_weights, optimizer=optimizer))(params)
    one = partial(update, rules=rules, optimizer=optimizer)
    about = how | dict(rules=rules, steps=steps, seed=seed)
    state, history, rest = train_stack(one, weights, data, held_out, **about)
    return Trained(state.average, history, state=rest)
