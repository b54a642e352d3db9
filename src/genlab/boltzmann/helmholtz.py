"""The Helmholtz machine: a sigmoid belief net with recognition weights, trained by wake-sleep
(Hinton et al. 1995).

One hidden layer h ~ σ(a) generates v ~ σ(hWᵀ + b); q(h|v) = σ(vR + r) guesses the causes.  With up
to 20 hidden units the likelihood is exact, so what wake-sleep does to it can be seen.
"""

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


def train_helmholtz(
    data: np.ndarray,
    *,
    n_hidden: int,
    steps: int,
    seed: int,
    lr: float = 0.1,
    batch_size: int = 100,
    chunks: int = 20,
) -> tuple[Helmholtz, dict[str, np.ndarray]]:
    """Wake-sleep on binary `data` (n, n_visible).  Returns the machine and its history: "step",
    "log_likelihood" and "bound", mean over the first 500 rows, each (chunks,).

    Wake: h ~ q(h|v) of data teaches a, W, b to generate v.  Sleep: dreams v ~ p teach R,
    r to recover their h.
    """
    data = checks.probabilities(data, "data")
    n_hidden = checks.count(n_hidden, "n_hidden")
    batch_size, chunks = checks.count(batch_size, "batch_size"), checks.count(chunks, "chunks")
    steps = checks.count(steps, "steps", chunks, hint=f", one for each of chunks={chunks}")
    checks.number(lr, "lr", "positive")
    key = jax.random.key(stream(seed, "init"))
    d = data.shape[1]
    W, R = 0.1 * jax.random.normal(key, (2, d, n_hidden))
    machine = Helmholtz(jnp.zeros(n_hidden), W, jnp.zeros(d), R, jnp.zeros(n_hidden))
    data, judged = jnp.asarray(data, jnp.float32), jnp.asarray(data[:500], jnp.float32)

    @partial(jax.jit, static_argnums=2)
    def run(machine, key, steps):
        def body(machine, step_key):
            key_row, key_step = jax.random.split(step_key)
            row = jax.random.randint(key_row, (batch_size,), 0, len(data))
            return wake_sleep_step(machine, data[row], lr, key=key_step), None

        return jax.lax.scan(body, machine, jax.random.split(key, steps))[0]

    key, history = jax.random.key(stream(seed, "train")), []
    for i in range(chunks):
        machine = run(machine, jax.random.fold_in(key, i), steps // chunks)
        history.append(
            [float(log_likelihood(machine, judged).mean()), float(bound(machine, judged).mean())]
        )
    curves = np.array(history).T
    return machine, {
        "step": steps // chunks * np.arange(1, chunks + 1),
        "log_likelihood": curves[0],
        "bound": curves[1],
    }


def wake_sleep_step(machine: Helmholtz, v: jax.Array, lr: float, *, key: jax.Array) -> Helmholtz:
    """One wake and one sleep update from v (n, n_visible), each a delta rule: what happened minus
    what was expected."""
    key_wake, key_h, key_v = jax.random.split(key, 3)
    a, W, b, R, r = machine
    n = len(v)
    h = sample_bits(sigmoid(v @ R + r), key=key_wake)
    surprise = v - sigmoid(h @ W.T + b)
    dream_h = sample_bits(jnp.broadcast_to(sigmoid(a), h.shape), key=key_h)
    dream_v = sample_bits(sigmoid(dream_h @ W.T + b), key=key_v)
    missed = dream_h - sigmoid(dream_v @ R + r)
    return Helmholtz(
        a + lr * (h - sigmoid(a)).mean(0),
        W + lr * surprise.T @ h / n,
        b + lr * surprise.mean(0),
        R + lr * dream_v.T @ missed / n,
        r + lr * missed.mean(0),
    )
