"""The deep belief network: directed sigmoid layers below an RBM (Hinton, Osindero & Teh 2006).

p(v, h₁, …, h_L) = p(v|h₁) … p(h_{L-2}|h_{L-1}) p(h_{L-1}, h_L), the last factor an RBM.  Each
directed layer has recognition weights for q(h|v) and generative weights for p(v|h); they are equal
after greedy training and part ways in up-down training.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid, softplus

from genlab import checks
from genlab.boltzmann.rbm import (
    RBM,
    free_energy,
    gibbs_step,
    hidden_given_visible,
    sample_bits,
    units,
)
from genlab.streams import stream
from genlab.training import Trained, check_epochs
from genlab.training.jax import check_ascent, compiled_epoch, floats, run_epochs


class Layer(NamedTuple):
    """Recognition W_up (n_below, n_above), c (n_above,): q(h|v) = σ(v W_up + c); generative W_down
    (n_below, n_above), b (n_below,): p(v|h) = σ(h W_downᵀ + b)."""

    W_up: jax.Array
    c: jax.Array
    W_down: jax.Array
    b: jax.Array


class DBN(NamedTuple):
    """layers: the directed ones from the pixels up; top: the RBM above them."""

    layers: tuple[Layer, ...]
    top: RBM


def from_rbms(rbms: list[RBM]) -> DBN:
    """The network of greedily trained RBMs, the first on the pixels."""
    return DBN(tuple(Layer(r.W, r.c, r.W, r.b) for r in rbms[:-1]), rbms[-1])


def complementary(rbm: RBM, n_hidden: int, *, key: jax.Array, scale: float = 0.01) -> RBM:
    """An RBM of `n_hidden` units over the hidden units of `rbm` whose marginal of these is p(h) of
    `rbm`: the transposed weights, and further units with weights from N(0, scale²), which change
    nothing as scale → 0.

    With it the bound equals log p(v), so training it further can only raise the bound
    (Hinton, Osindero & Teh 2006, §2.1 and §4).  Raises ValueError for fewer hidden units than
    `rbm` has visible ones.
    """
    n_visible, n_below = rbm.W.shape
    n_hidden = checks.count(n_hidden, "n_hidden")
    if n_hidden < n_visible:
        raise ValueError(
            f"n_hidden={n_hidden}: the complementary prior needs at least {n_visible}, "
            "one for each visible unit"
        )
    further = scale * jax.random.normal(key, (n_below, n_hidden - n_visible))
    W = jnp.concatenate([jnp.asarray(rbm.W).T, further], 1)
    return RBM(
        W,
        jnp.asarray(rbm.c),
        jnp.concatenate([jnp.asarray(rbm.b), jnp.zeros(n_hidden - n_visible)]),
    )


def up(dbn: DBN, v: jax.Array) -> jax.Array:
    """Recognition means of the layer below the top RBM's hidden units, by mean activities,
    (n, n_top_visible)."""
    v = floats(v)
    for layer in dbn.layers:
        v = sigmoid(v @ layer.W_up + layer.c)
    return v


def bound(dbn: DBN, v: jax.Array, log_z_top: float, *, samples: int, key: jax.Array) -> jax.Array:
    """A lower bound on log p(v), shape (n,) for v (n, n_visible) [nats]:

        E_q[Σ log p(v|h) - log q(h|v) - F_top(h)] - log Z_top
        (Hinton, Osindero & Teh 2006, eq. 2.8-2.9)

    averaged over `samples` draws of h ~ q; Jensen's inequality makes each draw's expectation a
    bound, so noise averages out.
    """
    visible = dbn.layers[0] if dbn.layers else dbn.top
    samples = checks.count(samples, "samples")
    return _bound(dbn, units(visible, v), log_z_top, samples=samples, key=key)


@partial(jax.jit, static_argnames="samples")
def _bound(dbn: DBN, v: jax.Array, log_z_top: float, *, samples: int, key: jax.Array) -> jax.Array:

    def one(key):
        x, total = v, jnp.zeros(len(v))
        for i, layer in enumerate(dbn.layers):
            logits = x @ layer.W_up + layer.c
            h = sample_bits(sigmoid(logits), key=jax.random.fold_in(key, i))
            total += log_bernoulli(x, h @ layer.W_down.T + layer.b) - log_bernoulli(h, logits)
            x = h
        return total - free_energy(dbn.top, x)

    return jax.lax.map(one, jax.random.split(key, samples)).mean(0) - log_z_top


def log_bernoulli(x: jax.Array, logits: jax.Array) -> jax.Array:
    """Σ log p(x_i) of independent bits with these log-odds, summed over the last axis [nats]."""
    logits = floats(logits)
    return (floats(x) * logits - softplus(logits)).sum(-1)


def sample(
    dbn: DBN, x: jax.Array, *, steps: int, key: jax.Array, clamped: int = 0
) -> tuple[jax.Array, jax.Array]:
    """Ancestral samples: `steps` Gibbs steps of the top RBM from x (n, n_top_visible), then down
    through the directed layers.

    The last `clamped` units of x, labels, stay as they are.  Returns the pixels' means
    (n, n_visible) and the last x.
    """
    clamped = checks.count(clamped, "clamped", 0, np.shape(dbn.top.b)[-1] - 1)
    return _sample(dbn, units(dbn.top, x, "x"), steps=steps, key=key, clamped=clamped)


@partial(jax.jit, static_argnames="clamped")
def _sample(dbn: DBN, x: jax.Array, *, steps: int, key: jax.Array, clamped: int):
    labels = x[:, x.shape[1] - clamped :]

    key_top, key_down = jax.random.split(key)

    def step(i, x):
        x, _ = gibbs_step(dbn.top, x, key=jax.random.fold_in(key_top, i))
        return x.at[:, x.shape[1] - clamped :].set(labels) if clamped else x

    x = jax.lax.fori_loop(0, steps, step, jnp.asarray(x))
    h = x[:, : x.shape[1] - clamped] if clamped else x
    mean = h
    for i, layer in enumerate(reversed(dbn.layers)):
        mean = sigmoid(h @ layer.W_down.T + layer.b)
        h = sample_bits(mean, key=jax.random.fold_in(key_down, i))
    return mean, x


@partial(jax.tree_util.register_dataclass, data_fields=["lr", "k"], meta_fields=["batch_size"])
@dataclass(frozen=True)
class Rules:
    """How all layers are tuned together: the rate `lr`, which falls linearly to 0, and `k` Gibbs
    steps of the top machine's persistent chains an update."""

    lr: float = 0.01
    k: int = 1
    batch_size: int = 100

    def check(self) -> None:
        """ValueError for a rule out of range."""
        check_ascent(self.lr, 0.0, 0.0, 0.0)
        checks.count(self.k, "k")


class State(NamedTuple):
    """dbn; chains (batch_size, n_top_visible) of the top machine."""

    dbn: DBN
    chains: jax.Array


def train_up_down(
    dbn: DBN,
    data: np.ndarray,
    *,
    epochs: int,
    seed: int,
    rules: Rules,
    labels: np.ndarray | None = None,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Fine-tune all layers together by `update`, contrastive wake-sleep (Hinton, Osindero & Teh
    2006, App. B), on `data` (n, n_visible), probabilities.

    `labels` (n, n_labels), one-hot, join the top RBM's visible units, whose states at the end are
    the chains.  History: "activity", the mean of the top hidden units.  Raises Diverged,
    ValueError.
    """
    rules.check()
    data = checks.probabilities(data, "data")
    check_epochs(epochs, rules.batch_size, len(data))
    if labels is None:
        labels = np.zeros((len(data), 0), np.float32)
    else:
        labels = checks.probabilities(labels, "labels")
        checks.shape(labels, "labels", (len(data), labels.shape[1]), ": one-hot, a row each")
    seen = jnp.asarray(data[: rules.batch_size], jnp.float32)
    first = jnp.concatenate([up(dbn, seen), labels[: rules.batch_size]], 1)
    chains = sample_bits(first, key=jax.random.key(stream(seed, "init")))
    about = dict(epochs=epochs, seed=seed, until=until, resume=resume)
    state, history, rest = run_epochs(
        EPOCH, State(dbn, chains), (data, labels), rules, what="DBN (up-down)", **about
    )
    return Trained(state.dbn, history, np.asarray(state.chains), rest)


def update(
    state: State,
    batch: tuple[jax.Array, jax.Array],
    done: jax.Array,
    rules: Rules,
    *,
    key: jax.Array,
) -> tuple[State, dict[str, jax.Array]]:
    """One update from v (n, n_visible) and labels (n, n_labels).

    Up: bits h ~ q(h|v) teach the generative weights to predict what they came from.  Top:
    persistent chains of k Gibbs steps, as for any RBM.  Down: what the chains dream teaches the
    recognition weights to recover its causes.
    """
    (dbn, chains), (v, labels), lr, k = state, batch, rules.lr * (1 - done), rules.k
    keys = jax.random.split(key, 2 * len(dbn.layers) + 2)
    x, layers = sample_bits(v, key=keys[0]), []
    # Wake: learn to generate what was seen.
    for layer, layer_key in zip(dbn.layers, keys[1:], strict=False):
        h = sample_bits(sigmoid(x @ layer.W_up + layer.c), key=layer_key)
        error = x - sigmoid(h @ layer.W_down.T + layer.b)
        layers.append(
            layer._replace(
                W_down=layer.W_down + lr * error.T @ h / len(x), b=layer.b + lr * error.mean(0)
            )
        )
        x = h
    top = dbn.top
    x = jnp.concatenate([x, labels], 1)
    h_pos = hidden_given_visible(top, x)
    chains = jax.lax.fori_loop(
        0, k, lambda i, c: gibbs_step(top, c, key=jax.random.fold_in(keys[-1], i))[0], chains
    )
    h_neg = hidden_given_visible(top, chains)
    n, m = len(x), len(chains)
    top = top._replace(
        W=top.W + lr * (x.T @ h_pos / n - chains.T @ h_neg / m),
        b=top.b + lr * (x.mean(0) - chains.mean(0)),
        c=top.c + lr * (h_pos.mean(0) - h_neg.mean(0)),
    )
    h = chains[:, : x.shape[1] - labels.shape[1]]
    for i in reversed(range(len(layers))):  # sleep: learn to recover the causes of what was dreamt
        layer = dbn.layers[i]
        below = sample_bits(sigmoid(h @ layer.W_down.T + layer.b), key=keys[len(layers) + 1 + i])
        error = h - sigmoid(below @ layer.W_up + layer.c)
        layers[i] = layers[i]._replace(
            W_up=layer.W_up + lr * below.T @ error / m, c=layer.c + lr * error.mean(0)
        )
        h = below
    return State(DBN(tuple(layers), top), chains), {"activity": h_pos.mean()}


EPOCH = compiled_epoch(update)
