"""The deep Boltzmann machine of two hidden layers (Salakhutdinov & Hinton 2009).

E(v, h₁, h₂) = -vᵀW₁h₁ - h₁ᵀW₂h₂ - b·v - c₁·h₁ - c₂·h₂, undirected between neighbouring layers,
so that each hidden layer hears from below and from above.  Training: mean field for the data's
average, persistent chains for the model's.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid, softplus

from genlab import checks
from genlab.boltzmann.likelihood import AIS, base_log_odds, summary, walk
from genlab.boltzmann.rbm import RBM, of_units, sample_bits
from genlab.boltzmann.training import OFFSET_RATE
from genlab.streams import stream
from genlab.training import Trained, check_epochs
from genlab.training.jax import check_ascent, compiled_epoch, floats, run_epochs


class DBM(NamedTuple):
    """W1 (n_visible, n_1), W2 (n_1, n_2), biases b (n_visible,), c1 (n_1,), c2 (n_2,)."""

    W1: jax.Array
    W2: jax.Array
    b: jax.Array
    c1: jax.Array
    c2: jax.Array


class MeanField(NamedTuple):
    """q1 (n, n_1) and q2 (n, n_2), the factorial posterior; residual (n,), the largest last change
    of a unit."""

    q1: jax.Array
    q2: jax.Array
    residual: jax.Array


def from_rbms(lower: RBM, upper: RBM) -> DBM:
    """The DBM of two RBMs trained with doubled input, the lower one ``doubled="up"``, the upper one
    ``doubled="down"``.

    Each layer's weights were learnt with the help of a second copy, which the other layer now
    replaces; the two biases of h₁ are averaged.
    """
    if lower.W.shape[1] != upper.W.shape[0]:
        raise ValueError(
            f"the lower RBM has {lower.W.shape[1]} hidden units, "
            f"the upper one {upper.W.shape[0]} visible ones"
        )
    return DBM(lower.W, upper.W, lower.b, (lower.c + upper.b) / 2, upper.c)


def above(rbm: RBM, n_2: int, *, key: jax.Array, scale: float = 0.01) -> DBM:
    """The DBM of `rbm` and `n_2` units above it with weights from N(0, scale²): as scale → 0 it is
    the RBM, and mean field is exact."""
    n_1 = rbm.W.shape[1]
    return DBM(rbm.W, scale * jax.random.normal(key, (n_1, n_2)), rbm.b, rbm.c, jnp.zeros(n_2))


def energy(dbm: DBM, v: jax.Array, h1: jax.Array, h2: jax.Array) -> jax.Array:
    """E(v, h₁, h₂), shape (...)."""
    v, h1, h2 = map(floats, (v, h1, h2))
    coupling = ((v @ dbm.W1) * h1).sum(-1) + ((h1 @ dbm.W2) * h2).sum(-1)
    return -coupling - v @ dbm.b - h1 @ dbm.c1 - h2 @ dbm.c2


def mean_field(dbm: DBM, v: jax.Array, *, steps: int) -> MeanField:
    """Coordinate ascent q₁ ← σ(vW₁ + q₂W₂ᵀ + c₁), q₂ ← σ(q₁W₂ + c₂), `steps` times from
    a bottom-up guess.

    Each coordinate update raises the bound.  Converged where `residual` is small: the caller
    decides how small.
    """
    v = floats(v)
    below = v @ dbm.W1 + dbm.c1
    # h₁ hears nothing from above yet: counting the input from below twice makes up for it.
    q1 = sigmoid(v @ dbm.W1 * 2 + dbm.c1)
    q2 = sigmoid(q1 @ dbm.W2 + dbm.c2)

    def body(_, carry):
        q1, q2, _ = carry
        new1 = sigmoid(below + q2 @ dbm.W2.T)
        new2 = sigmoid(new1 @ dbm.W2 + dbm.c2)
        return new1, new2, jnp.maximum(jnp.abs(new1 - q1).max(-1), jnp.abs(new2 - q2).max(-1))

    return MeanField(*jax.lax.fori_loop(0, steps, body, (q1, q2, jnp.ones(len(v)))))


def entropy(q: jax.Array) -> jax.Array:
    """Entropy of independent bits with means q, summed over the last axis [nats]."""
    # 0 log 0 would be NaN.
    q = jnp.clip(q, 1e-7, 1 - 1e-7)
    return -(q * jnp.log(q) + (1 - q) * jnp.log1p(-q)).sum(-1)


@of_units
@partial(jax.jit, static_argnames=("steps", "batch_size"))
def elbo(dbm: DBM, v: jax.Array, log_z: float, *, steps: int = 50, batch_size: int = 500):
    """E_q[-E] + H(q) - log Z ≤ log p(v) of v (n, n_visible), and the mean-field residual, both of
    shape (n,) [nats]."""

    def one(v):
        q1, q2, residual = mean_field(dbm, v[None], steps=steps)
        return (-energy(dbm, v[None], q1, q2) + entropy(q1) + entropy(q2))[0], residual[0]

    value, residual = jax.lax.map(one, v, batch_size=batch_size)
    return value - log_z, residual


def gibbs_step(dbm: DBM, h1: jax.Array, *, key: jax.Array):
    """One sweep h₁ → (v, h₂) → h₁'; v and h₂ are independent given h₁.  Returns
    (v, h₁', h₂, E[v|h₁])."""
    key_v, key_2, key_1 = jax.random.split(key, 3)
    h1 = floats(h1)
    mean = sigmoid(h1 @ dbm.W1.T + dbm.b)
    v = sample_bits(mean, key=key_v)
    h2 = sample_bits(sigmoid(h1 @ dbm.W2 + dbm.c2), key=key_2)
    return v, sample_bits(sigmoid(v @ dbm.W1 + h2 @ dbm.W2.T + dbm.c1), key=key_1), h2, mean


@jax.jit
def gibbs_chain(
    dbm: DBM, h1: jax.Array, *, steps: int, key: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`steps` sweeps from h₁ (n, n_1); the last v, h₁ and E[v|h₁]."""

    def sweep(i, carry):
        v, h1, _, mean = gibbs_step(dbm, carry[1], key=jax.random.fold_in(key, i))
        return v, h1, mean

    h1 = floats(h1)
    empty = jnp.zeros((len(h1), len(dbm.b)))
    return jax.lax.fori_loop(0, steps, sweep, (empty, h1, empty))


def ais(dbm: DBM, *, mean: np.ndarray, inv_temps: np.ndarray, chains: int, key: jax.Array) -> AIS:
    """log Z by walks of h₁ from independent pixels with `mean` (n_visible,) to the DBM, v and h₂
    summed out (Salakhutdinov & Hinton 2009, §3.3, with a base model that knows the pixels' means):

        log f_β(h₁) = β c₁·h₁ + Σ softplus((1-β)a + β(b + W₁h₁)) + Σ softplus(β(c₂ + h₁W₂)).
    """
    inv_temps, chains = checks.inv_temps(inv_temps), checks.count(chains, "chains")
    a = base_log_odds(mean, len(dbm.b))
    n1, n2 = dbm.W2.shape
    # At β = 0 every hidden unit is a fair coin: log 2 each.
    log_z0 = float(np.sum(np.logaddexp(0, np.asarray(a, np.float64)))) + (n1 + n2) * np.log(2)
    key_start, key_walk = jax.random.split(key)
    h1 = sample_bits(jnp.full((chains, n1), 0.5), key=key_start)
    stretch = partial(_stretch, dbm, a)
    _, log_w = walk(stretch, h1, inv_temps, key=key_walk, what="AIS of the DBM")
    return summary(log_w, log_z0)


@jax.jit
def _stretch(dbm: DBM, a: jax.Array, h1: jax.Array, pairs: jax.Array, key: jax.Array):
    """Steps of AIS along pairs (n, 2) of inverse temperatures."""

    def body(carry, inputs):
        h1, log_w = carry
        (old, new), step_key = inputs
        key_v, key_2, key_1 = jax.random.split(step_key, 3)
        x, y = h1 @ dbm.W1.T + dbm.b, h1 @ dbm.W2 + dbm.c2
        log_w += (new - old) * (h1 @ dbm.c1) + (softplus(new * y) - softplus(old * y)).sum(-1)
        log_w += (softplus((1 - new) * a + new * x) - softplus((1 - old) * a + old * x)).sum(-1)
        v = sample_bits(sigmoid((1 - new) * a + new * x), key=key_v)
        h2 = sample_bits(sigmoid(new * y), key=key_2)
        h1 = sample_bits(sigmoid(new * (v @ dbm.W1 + h2 @ dbm.W2.T + dbm.c1)), key=key_1)
        return (h1, log_w), None

    return jax.lax.scan(
        body, (h1, jnp.zeros(len(h1))), (pairs, jax.random.split(key, len(pairs)))
    )[0]  # fmt: skip


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["k", "lr", "lr_last", "momentum", "weight_decay"],
    meta_fields=["field_steps", "centred", "batch_size"],
)
@dataclass(frozen=True)
class Rules:
    """How an update is made: `field_steps` of mean field, `k` sweeps of the persistent chains,
    gradient ascent with `lr` falling linearly to `lr_last` and `momentum`; `centred` as for the RBM
    (Montavon & Müller 2012); `weight_decay`."""

    field_steps: int = 8
    k: int = 1
    lr: float = 0.005
    lr_last: float = 0.0
    momentum: float = 0.5
    centred: bool = True
    weight_decay: float = 0.0
    batch_size: int = 100

    def check(self) -> None:
        """ValueError for a rule out of range."""
        checks.count(self.field_steps, "field_steps")
        checks.count(self.k, "k")
        check_ascent(self.lr, self.lr_last, self.momentum, self.weight_decay)


class State(NamedTuple):
    """dbm; velocity of the ascent; chains (batch_size, n_1), hidden states h₁; means: offsets of
    the centred gradient, one array a layer."""

    dbm: DBM
    velocity: DBM
    chains: jax.Array
    means: tuple[jax.Array, ...]


def train_dbm(
    start: DBM,
    data: np.ndarray,
    *,
    epochs: int,
    seed: int,
    rules: Rules,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Train all layers together by `update` from `start` on `data` (n, n_visible), probabilities
    from which bits are drawn.

    The chains (batch_size, n_1) are hidden states h₁; history: "residual", that of mean field.
    Raises ValueError for bad data or rules, Diverged.
    """
    rules.check()
    data = checks.probabilities(data, "data", len(start.b))
    check_epochs(epochs, rules.batch_size, len(data))
    dbm = DBM(*(jnp.array(x, jnp.float32) for x in start))
    mean, first = (
        jnp.asarray(data.mean(0), jnp.float32),
        jnp.asarray(data[: rules.batch_size], jnp.float32),
    )
    chains = sample_bits(
        jax.jit(mean_field, static_argnames="steps")(dbm, first, steps=1).q1,
        key=jax.random.key(stream(seed, "init")),
    )
    means = mean, jnp.full(len(dbm.c1), 0.5), jnp.full(len(dbm.c2), 0.5)
    start = State(dbm, jax.tree.map(jnp.zeros_like, dbm), chains, means)
    about = dict(epochs=epochs, seed=seed, until=until, resume=resume)
    state, history, rest = run_epochs(EPOCH, start, data, rules, what="DBM", **about)
    return Trained(state.dbm, history, np.asarray(state.chains), rest)


def update(
    state: State, batch: jax.Array, done: jax.Array, rules: Rules, *, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One step of ascent from `batch` (n, n_visible) when the share `done` of the training is over;
    logs the mean-field residual."""
    dbm, velocity, chains, means = state
    key_v, key_chain = jax.random.split(key)
    v = sample_bits(batch, key=key_v)
    field = mean_field(dbm, v, steps=rules.field_steps)

    def sweep(i, carry):
        return gibbs_step(dbm, carry[1], key=jax.random.fold_in(key_chain, i))[:3]

    # The statistics pair every layer with the one sampled from it: v and h₂ with the h₁ that came
    # out of them.
    dream = jax.lax.fori_loop(1, rules.k, sweep, sweep(0, (None, chains, None)))
    gradient, means = centred_gradient((v, field.q1, field.q2), dream, means, centred=rules.centred)
    gradient = gradient._replace(
        W1=gradient.W1 - rules.weight_decay * dbm.W1, W2=gradient.W2 - rules.weight_decay * dbm.W2
    )
    lr = rules.lr + (rules.lr_last - rules.lr) * done
    velocity = jax.tree.map(lambda m, g: rules.momentum * m + lr * g, velocity, gradient)
    dbm = jax.tree.map(jnp.add, dbm, velocity)
    return State(dbm, velocity, dream[1], means), {"residual": field.residual.mean()}


EPOCH = compiled_epoch(update)


def centred_gradient(data, model, means, *, centred: bool) -> tuple[DBM, tuple]:
    """Gradient from the layers (v, h₁, h₂) under data and under the model, and the offsets moved
    towards the data's means.

    With offsets μ, λ₁, λ₂ and Δ for an average over data minus the same over the model:
    dW₁ = Δ(v-μ)(h₁-λ₁)ᵀ, dW₂ = Δ(h₁-λ₁)(h₂-λ₂)ᵀ, db = Δv - dW₁λ₁, dc₁ = Δh₁ - dW₁ᵀμ - dW₂λ₂,
    dc₂ = Δh₂ - dW₂ᵀλ₁.
    """
    x = [jnp.concatenate([p / len(p), -q / len(q)]) for p, q in zip(data, model, strict=True)]
    dv, d1, d2 = (a.sum(0) for a in x)
    plain = [jnp.concatenate([p, q]) for p, q in zip(data, model, strict=True)]
    dW1, dW2 = x[0].T @ plain[1], x[1].T @ plain[2]
    if not centred:
        return DBM(dW1, dW2, dv, d1, d2), means
    mu, l1, l2 = means = tuple(
        m + OFFSET_RATE * (p.mean(0) - m) for m, p in zip(means, data, strict=True)
    )
    dW1 = dW1 - jnp.outer(mu, d1) - jnp.outer(dv, l1)
    dW2 = dW2 - jnp.outer(l1, d2) - jnp.outer(d1, l2)
    return DBM(dW1, dW2, dv - dW1 @ l1, d1 - mu @ dW1 - dW2 @ l2, d2 - l1 @ dW2), means
