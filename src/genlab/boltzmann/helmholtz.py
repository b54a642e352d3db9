"""The Helmholtz machine: a sigmoid belief net with recognition weights, trained by wake-sleep
(Hinton et al. 1995).

One hidden layer h ~ σ(a) generates v ~ σ(hWᵀ + b); q(h|v) = σ(vR + r) guesses the causes.  With up
to 20 hidden units the likelihood is exact, so what wake-sleep does to it can be seen.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid
from jax.scipy.special import logsumexp

from genlab import checks
from genlab.boltzmann.dbn import log_bernoulli
from genlab.boltzmann.exact import states
from genlab.boltzmann.rbm import of_units, sample_bits
from genlab.streams import stream
from genlab.training import Diverged, Trained, left, progress
from genlab.training.jax import all_finite, until_divergence


class Helmholtz(NamedTuple):
    """Generative a (n_hidden,), W (n_visible, n_hidden), b (n_visible,); recognition R
    (n_visible, n_hidden), r (n_hidden,)."""

    a: jax.Array
    W: jax.Array
    b: jax.Array
    R: jax.Array
    r: jax.Array


@of_units
@jax.jit
def log_likelihood(machine: Helmholtz, v: jax.Array) -> jax.Array:
    """log p(v) = log Σ_h p(h) p(v|h) exactly, shape (n,) for v (n, n_visible) [nats].
    ValueError above 20 hidden units."""
    h = jnp.asarray(states(len(machine.a)), jnp.float32)
    log_prior, logits = log_bernoulli(h, machine.a), h @ machine.W.T + machine.b
    return jax.lax.map(
        lambda row: logsumexp(log_prior + log_bernoulli(row, logits)), v, batch_size=16
    )


@of_units
@jax.jit
def bound(machine: Helmholtz, v: jax.Array) -> jax.Array:
    """E_q[log p(v, h) - log q(h|v)] ≤ log p(v) exactly, shape (n,) [nats]."""
    h = jnp.asarray(states(len(machine.a)), jnp.float32)
    log_prior, logits = log_bernoulli(h, machine.a), h @ machine.W.T + machine.b

    def one(row):
        log_q = log_bernoulli(h, row @ machine.R + machine.r)
        return (jnp.exp(log_q) * (log_prior + log_bernoulli(row, logits) - log_q)).sum()

    return jax.lax.map(one, v, batch_size=16)


@dataclass(frozen=True)
class Rules:
    """How a machine is trained: the rate of all delta rules, the rows an update sees."""

    lr: float = 0.1
    batch_size: int = 100

    def check(self) -> None:
        """ValueError for a rule out of range."""
        checks.number(self.lr, "lr", "positive")
        checks.count(self.batch_size, "batch_size")


def train_helmholtz(
    data: np.ndarray,
    *,
    n_hidden: int,
    steps: int,
    seed: int,
    rules: Rules,
    chunks: int = 20,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Wake-sleep by `update` on binary `data` (n, n_visible).  History: "log_likelihood" and
    "bound", mean over the first 500 rows at the end of each of `chunks` equal parts.  Raises
    Diverged, ValueError."""
    rules.check()
    data = checks.probabilities(data, "data")
    n_hidden, chunks = checks.count(n_hidden, "n_hidden"), checks.count(chunks, "chunks")
    steps = checks.count(steps, "steps", chunks, hint=f", one for each of chunks={chunks}")
    key, d, part = jax.random.key(stream(seed, "init")), data.shape[1], steps // chunks
    W, R = 0.1 * jax.random.normal(key, (2, d, n_hidden))
    machine = Helmholtz(jnp.zeros(n_hidden), W, jnp.zeros(d), R, jnp.zeros(n_hidden))
    data, judged = jnp.asarray(data, jnp.float32), jnp.asarray(data[:500], jnp.float32)

    start = 0
    if resume is not None:
        machine, done = resume.interrupted(rules, seed, part * chunks)
        start = done // part
    until = chunks if until is None else checks.count(until, "until", start + 1, chunks)
    key, rows = jax.random.key(stream(seed, "train")), []
    for i in progress(until - start, "Helmholtz machine"):
        keys = jax.random.split(jax.random.fold_in(key, start + i), part)
        before, machine = machine, _part(machine, data, rules, keys)
        if not all_finite(machine, np):
            at, good = _again(before, data, rules, keys)
            step_ = (start + i) * part + int(at)
            raise Diverged("Helmholtz machine", step_, jax.tree.map(np.asarray, good))
        rows.append([float(f(machine, judged).mean()) for f in (log_likelihood, bound)])
    curves = np.array(rows).T
    history = {"step": part * np.arange(start + 1, until + 1)}
    history |= {"log_likelihood": curves[0], "bound": curves[1]}
    rest = left(machine, history, rules, seed, part * chunks)
    return Trained(machine, history, state=rest)


def _step(machine: Helmholtz, key: jax.Array, data: jax.Array, rules: Rules):
    """`update` from rows that are drawn from the data."""
    key_row, key_step = jax.random.split(key)
    row = jax.random.randint(key_row, (rules.batch_size,), 0, len(data))
    return update(machine, data[row], rules, key=key_step)


@partial(jax.jit, static_argnames="rules")
def _part(machine: Helmholtz, data: jax.Array, rules: Rules, keys: jax.Array) -> Helmholtz:
    """The machine after a step for each of the keys."""
    return jax.lax.scan(lambda m, key: _step(m, key, data, rules), machine, keys)[0]


@partial(jax.jit, static_argnames="rules")
def _again(machine: Helmholtz, data: jax.Array, rules: Rules, keys: jax.Array):
    """Where these steps diverge, and the machine before."""
    step = lambda m, i: _step(m, keys[i], data, rules)  # noqa: E731
    return until_divergence(step, machine, 0, len(keys))


def update(
    machine: Helmholtz, v: jax.Array, rules: Rules, *, key: jax.Array
) -> tuple[Helmholtz, dict[str, jax.Array]]:
    """One wake and one sleep update from v (n, n_visible), each a delta rule: what happened minus
    what was expected.

    Wake: h ~ q(h|v) of data teaches a, W, b to generate v.  Sleep: dreams v ~ p teach R, r to
    recover their h.
    """
    lr = rules.lr
    key_wake, key_h, key_v = jax.random.split(key, 3)
    a, W, b, R, r = machine
    n = len(v)
    h = sample_bits(sigmoid(v @ R + r), key=key_wake)
    surprise = v - sigmoid(h @ W.T + b)
    dream_h = sample_bits(jnp.broadcast_to(sigmoid(a), h.shape), key=key_h)
    dream_v = sample_bits(sigmoid(dream_h @ W.T + b), key=key_v)
    missed = dream_h - sigmoid(dream_v @ R + r)
    machine = Helmholtz(
        a + lr * (h - sigmoid(a)).mean(0),
        W + lr * surprise.T @ h / n,
        b + lr * surprise.mean(0),
        R + lr * dream_v.T @ missed / n,
        r + lr * missed.mean(0),
    )
    return machine, {}
