"""Training of RBMs by contrastive divergence, persistent chains and parallel tempering, one
compiled program per epoch.

The gradient of the log-likelihood is <v hᵀ> over data minus <v hᵀ> over the model
(Hinton 2002, eq. 5).  The methods differ only in where the model's average comes from:

- "cd": k Gibbs steps from the data (Hinton 2002); with `k_last` k rises linearly over the training;
- "pcd": k Gibbs steps from where the chains of the last update stopped (Tieleman 2008);
- "pt": as "pcd", with replicas at `temperatures` inverse temperatures that exchange states
  (Desjardins et al. 2010).
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid

from genlab import checks
from genlab.boltzmann.rbm import (
    RBM,
    hidden_given_visible,
    hidden_input,
    init_rbm,
    sample_bits,
    sample_visible,
    visible_given_hidden,
)
from genlab.streams import stream
from genlab.training import Trained, check_epochs
from genlab.training.jax import check_ascent, compiled_epoch, run_epochs

METHODS = ("cd", "pcd", "pt")
OFFSET_RATE = 0.01  # of the centred gradient's offsets (Melchior, Fischer & Wiskott 2016, §6)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "k",
        "k_last",
        "lr",
        "lr_last",
        "momentum",
        "weight_decay",
        "sparsity_target",
        "sparsity_cost",
    ],
    meta_fields=["method", "centred", "temperatures", "doubled", "batch_size"],
)
@dataclass(frozen=True)
class Rules:
    """How an update is made.

    lr and momentum of gradient ascent; `lr` falls linearly to `lr_last`.  `centred`: the gradient
    of the machine whose units are measured from their means, in the parameters of the ordinary one
    (Melchior, Fischer & Wiskott 2016, eq. 16-18).  `weight_decay`: λ of -λ‖W‖²/2.  `sparsity_cost`
    times (sparsity_target - mean activity) moves the hidden biases (Hinton 2010, §11).  `doubled`:
    "up" if the hidden units see the visible layer twice, "down" the other way round:
    greedy pre-training of a DBM (Salakhutdinov & Hinton 2009, §3.2).
    """

    method: str = "pcd"
    k: int = 1
    k_last: int | None = None
    lr: float = 0.05
    lr_last: float = 0.0
    momentum: float = 0.5
    centred: bool = True
    weight_decay: float = 0.0
    sparsity_target: float = 0.1
    sparsity_cost: float = 0.0
    temperatures: int = 10
    doubled: str = "no"
    batch_size: int = 100

    def check(self) -> None:
        """ValueError for a rule that makes no sense, with the value and the range."""
        checks.one_of(self.method, "method", METHODS)
        k = checks.count(self.k, "k")
        if self.k_last is not None:
            checks.count(self.k_last, "k_last", k, hint=f", no smaller than k={k}")
        if self.method == "pt":
            checks.count(self.temperatures, "temperatures", 2, hint=" for parallel tempering")
        checks.one_of(self.doubled, "doubled", ("no", "up", "down"))
        checks.number(self.sparsity_target, "sparsity_target", "in [0, 1]")
        checks.number(self.sparsity_cost, "sparsity_cost", "at least 0")
        check_ascent(self.lr, self.lr_last, self.momentum, self.weight_decay)


class State(NamedTuple):
    """rbm; velocity of the ascent; chains, hidden states (n, n_hidden) or with tempering
    (temperatures, n, n_hidden); means: offsets of the centred gradient, of v (n_visible,)
    and h (n_hidden,)."""

    rbm: RBM
    velocity: RBM
    chains: jax.Array
    means: tuple[jax.Array, jax.Array]


def train_rbm(
    data: np.ndarray,
    *,
    n_hidden: int,
    epochs: int,
    seed: int,
    rules: Rules,
    s: np.ndarray | None = None,
    start: Trained | None = None,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Train an RBM by `update` on `data` (n, n_visible): probabilities in [0, 1], from which new
    bits are drawn in every epoch.

    With `s` (n_visible,) the visible units are Gaussian and the data are used as they are.
    `start`: an earlier training to go on from, with its parameters and its chains.  The chains
    (batch_size, n_visible) are the model's own states at the end; history: "activity", the mean of
    p(h|v) over data.  Raises ValueError for data that are not binary or a rule out of range,
    Diverged.
    """
    rules.check()
    batch_size = rules.batch_size
    width = None if start is None else len(start.model.b)
    if (s if start is None else start.model.s) is None:
        data = checks.probabilities(data, "data", width)
    else:
        data = checks.points(1, dtype=None, data=data)[0]
        checks.shape(data, "data", (len(data), width or data.shape[1]))
    if s is not None:
        s = checks.shape(checks.numbers(s, "s", None), "s", data.shape[1:], ": one a unit")
        if s.min() <= 0:
            raise ValueError(f"s down to {s.min()} must be positive: standard deviations")
    check_epochs(epochs, batch_size, len(data))
    key = jax.random.key(stream(seed, "init"))
    rbm = (
        start.model if start else init_rbm(data.shape[1], n_hidden, key=key, mean=data.mean(0), s=s)
    )
    rbm = RBM(*(None if x is None else jnp.array(x, jnp.float32) for x in rbm))
    replicas = (rules.temperatures, batch_size) if rules.method == "pt" else (batch_size,)
    p = (
        hidden_given_visible(rbm, np.resize(start.chains, (batch_size, len(rbm.b))))
        if start
        else 0.5
    )
    first = first_state(rbm, data.mean(0), replicas, p, key=key)
    # k_last=None would be another program to the compiler than a number.
    rules = rules if rules.k_last else replace(rules, k_last=rules.k)
    what = f"RBM {len(rbm.c)} ({rules.method})"
    about = dict(epochs=epochs, seed=seed, until=until, resume=resume)
    state, history, rest = run_epochs(EPOCH, first, data, rules, what=what, **about)
    hidden_states = state.chains[-1] if rules.method == "pt" else state.chains
    mean = visible_given_hidden(state.rbm, hidden_states)
    chains = sample_visible(state.rbm, mean, key=jax.random.key(stream(seed, "sample")))
    return Trained(state.rbm, history, np.asarray(chains), rest)


def first_state(rbm: RBM, mean: Any, replicas: tuple[int, ...], p: Any = 0.5, *, key) -> State:
    """Where the training of `rbm` begins on data of this mean (n_visible,): so many chains, whose
    hidden units are one with probability `p`."""
    n_hidden = len(rbm.c)
    chains = sample_bits(jnp.broadcast_to(p, (*replicas, n_hidden)), key=jax.random.fold_in(key, 1))
    means = jnp.asarray(mean, jnp.float32), jnp.full(n_hidden, 0.5)
    return State(rbm, jax.tree.map(jnp.zeros_like, rbm), chains, means)


def update(
    state: State, batch: jax.Array, done: jax.Array, rules: Rules, *, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One step of ascent from `batch` (n, n_visible) when the share `done` of the training is over;
    logs the mean activity of the hidden units."""
    rbm, velocity, chains, means = state
    key_v, key_h, key_chain = jax.random.split(key, 3)
    v_pos = sample_bits(batch, key=key_v) if rbm.s is None else batch
    h_pos = sigmoid(hidden_input(_scaled(rbm, rules.doubled == "up"), v_pos))
    start = sample_bits(h_pos, key=key_h) if rules.method == "cd" else chains
    v_neg, h_neg, chains = negative_phase(rbm, start, done, rules, key=key_chain)
    gradient, means = centred_gradient(
        rbm, v_pos, h_pos, v_neg, h_neg, means if rules.centred else None
    )
    gradient = gradient._replace(
        W=gradient.W - rules.weight_decay * rbm.W,
        c=gradient.c + rules.sparsity_cost * (rules.sparsity_target - h_pos.mean(0)),
    )
    lr = rules.lr + (rules.lr_last - rules.lr) * done
    moved = {
        x: rules.momentum * getattr(velocity, x) + lr * getattr(gradient, x)
        for x in ("W", "b", "c")
    }
    rbm = rbm._replace(**{x: getattr(rbm, x) + step for x, step in moved.items()})
    velocity = velocity._replace(**moved)
    return State(rbm, velocity, chains, means or state.means), {"activity": h_pos.mean()}


EPOCH = compiled_epoch(update)


def _scaled(rbm: RBM, twice: bool) -> RBM:
    """The RBM whose weights count twice: one of its layers is seen in two copies."""
    return rbm._replace(W=2 * rbm.W) if twice else rbm


def negative_phase(rbm: RBM, h: jax.Array, done: jax.Array, rules: Rules, *, key: jax.Array):
    """Samples of the model from the hidden states `h`: v (n, n_visible), p(h|v) (n, n_hidden),
    and the next hidden states."""
    k_last = rules.k if rules.k_last is None else rules.k_last
    k = jnp.round(rules.k + (k_last - rules.k) * done).astype(int)
    upward, downward = _scaled(rbm, rules.doubled == "up"), _scaled(rbm, rules.doubled == "down")
    if rules.method == "pt":
        return tempered_phase(rbm, h, k, jnp.linspace(0, 1, rules.temperatures), key=key)

    def body(i, carry):
        key_v, key_h = jax.random.split(jax.random.fold_in(key, i))
        v = sample_visible(rbm, visible_given_hidden(downward, carry[2]), key=key_v)
        p = sigmoid(hidden_input(upward, v))
        return v, p, sample_bits(p, key=key_h)

    return jax.lax.fori_loop(1, k, body, body(0, (None, None, h)))


def tempered_phase(rbm: RBM, h: jax.Array, k, inv_temps: jax.Array, *, key: jax.Array):
    """k steps of parallel tempering of h (temperatures, n, n_hidden): a Gibbs step at every inverse
    temperature, then exchanges between neighbours.

    At inverse temperature β the weights and the hidden biases count β times and the visible biases
    in full, so that β = 0 is the model of independent pixels with bias b.
    Returns as `negative_phase`, at the last inverse temperature.
    """
    beta = inv_temps[:, None, None]

    def body(i, carry):
        key_v, key_h, key_swap = jax.random.split(jax.random.fold_in(key, i), 3)
        v = sample_visible(rbm, visible_given_hidden(rbm, beta * carry[2]), key=key_v)
        x = hidden_input(rbm, v)
        h = sample_bits(sigmoid(beta * x), key=key_h)
        order = exchange(-(x * h).sum(-1), inv_temps, i % 2, key=key_swap)[..., None]
        return tuple(jnp.take_along_axis(a, order, 0) for a in (v, x, h))

    v, x, h = jax.lax.fori_loop(1, k, body, body(0, (None, None, h)))
    return v[-1], sigmoid(beta[-1] * x[-1]), h


def exchange(energy: jax.Array, inv_temps: jax.Array, parity, *, key: jax.Array) -> jax.Array:
    """Which replica each temperature holds after neighbours tried to exchange, with probability
    min(1, exp((β - β')(E - E'))) (Desjardins et al. 2010, eq. 3); indices of shape
    (temperatures, n).

    energy (temperatures, n): what β scales.  parity: pairs (0, 1), (2, 3), … for 0, and
    (1, 2), (3, 4), … for 1.
    """
    rows = jnp.arange(len(inv_temps))
    partner = jnp.clip(jnp.where(rows % 2 == parity, rows + 1, rows - 1), 0, len(rows) - 1)
    log_ratio = (inv_temps - inv_temps[partner])[:, None] * (energy - energy[partner])
    # A pair tosses one coin, so that both partners accept or both refuse.
    coin = jax.random.uniform(key, energy.shape)[jnp.minimum(rows, partner)]
    return jnp.where(jnp.log(coin) < log_ratio, partner[:, None], rows[:, None])


def centred_gradient(rbm: RBM, v_pos, h_pos, v_neg, h_neg, means) -> tuple[RBM, tuple | None]:
    """Gradient of the mean log-likelihood in the parameters of the ordinary RBM, and the
    offsets moved along.

    With offsets μ, λ and Δ for an average over data minus the same over the model:
    dW = Δ(v-μ)(h-λ)ᵀ, db = Δv - dW λ, dc = Δh - dWᵀμ.
    `means` None: μ = λ = 0.  v (n, n_visible), h (n, n_hidden); the offsets follow the data's means
    at a rate of 0.01.
    """
    precision = 1.0 if rbm.s is None else rbm.s**-2
    v = jnp.concatenate([v_pos / len(v_pos), -v_neg / len(v_neg)]) * precision
    dW = v.T @ jnp.concatenate([h_pos, h_neg])  # one product for both averages
    db, dc = v.sum(0), h_pos.mean(0) - h_neg.mean(0)
    if means is None:
        return RBM(dW, db, dc), None
    mu, lam = (
        mean + OFFSET_RATE * (x.mean(0) - mean)
        for mean, x in zip(means, (v_pos, h_pos), strict=True)
    )
    dW = dW - jnp.outer(mu * precision, dc) - jnp.outer(db, lam)
    return RBM(dW, db - dW @ lam, dc - (mu * precision) @ dW), (mu, lam)
