"""A sigmoid network as a classifier: trained from scratch, or from the weights of a DBN or DBM
(discriminative fine-tuning)."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.nn import sigmoid

from genlab import checks
from genlab.boltzmann.rbm import sample_bits
from genlab.training import Trained, check_epochs
from genlab.training.jax import compiled_epoch, floats, run_epochs

ADAM = optax.scale_by_adam()


class Layer(NamedTuple):
    """W (n_below, n_above), bias c (n_above,); the activity above is σ(xW + c), in the last layer
    the log-odds xW + c.

    With `side` (n_side, n_above) the layer also hears the inputs' side channel: for a DBM,
    what mean field says about h₂.
    """

    W: jax.Array
    c: jax.Array
    side: jax.Array | None = None


def init_layers(sizes: list[int], *, key: jax.Array) -> list[Layer]:
    """Layers of these sizes with weights from N(0, 1/n_below) (Glorot & Bengio 2010, for sigmoids
    times 4 in variance)."""
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        Layer(2 * jax.random.normal(k, (a, b)) / np.sqrt(a), jnp.zeros(b))
        for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def with_output(hidden: list[Layer], n_classes: int = 10) -> list[Layer]:
    """Pre-trained hidden layers below an output layer of zeros."""
    return [*hidden, Layer(jnp.zeros((hidden[-1].W.shape[1], n_classes)), jnp.zeros(n_classes))]


def logits(
    layers: list[Layer],
    x: jax.Array,
    side: jax.Array | None = None,
    *,
    dropout: float = 0.0,
    key=None,
) -> jax.Array:
    """Log-odds of the classes (n, n_classes) for x (n, n_visible); with a `key` each hidden
    activity is kept with 1 - dropout."""
    x = floats(x)
    for i, layer in enumerate(layers):
        x = x @ layer.W + layer.c + (0 if layer.side is None else side @ layer.side)
        if i + 1 < len(layers):
            x = sigmoid(x)
            if key is not None:
                kept = sample_bits(jnp.full(x.shape, 1 - dropout), key=jax.random.fold_in(key, i))
                # Divided, so that the layer above hears as much on average as without dropout.
                x = x * kept / (1 - dropout)
    return x


def rows(layers: list[Layer], x, side=None, name: str = "x"):
    """Inputs x (n, n_visible) of the layers and their side channel, if any, as finite floats."""
    if checks.traced(x):
        return floats(x), side
    x = checks.points(1, dtype=None, **{name: x})[0]
    checks.shape(x, name, (len(x), len(layers[0].W)), ", as the first layer")
    if side is not None:
        side = checks.points(1, dtype=None, side=side)[0]
        checks.shape(side, "side", (len(x), side.shape[1]), f", a row for each of {name}")
    return x, side


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["lr", "dropout", "weight_decay"],
    meta_fields=["batch_size"],
)
@dataclass(frozen=True)
class Rules:
    """How a classifier is trained: Adam, its rate falling linearly from `lr` to 0; `dropout` of the
    hidden activities; decoupled `weight_decay` (Loshchilov & Hutter 2019)."""

    lr: float = 1e-3
    dropout: float = 0.0
    weight_decay: float = 0.0
    batch_size: int = 100

    def check(self) -> None:
        """ValueError for a rule out of range."""
        checks.number(self.dropout, "dropout", "in [0, 1)")
        checks.number(self.lr, "lr", "positive")
        checks.number(self.weight_decay, "weight_decay", "at least 0")


class State(NamedTuple):
    """The layers, and what Adam remembers of their gradients."""

    layers: list[Layer]
    moments: optax.OptState


def train_classifier(
    layers: list[Layer],
    data: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int,
    seed: int,
    rules: Rules,
    side: np.ndarray | None = None,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Minimise the cross-entropy by `update`.  data (n, n_visible), labels (n,) from 0; `side` as
    in `Layer`.

    History: the mean "loss" of every epoch.  Raises Diverged, ValueError for labels out of range.
    """
    rules.check()
    data, side = rows(layers, data, side, "data")
    n = len(data)
    labels = checks.labels(labels, "labels", n, len(layers[-1].c))
    check_epochs(epochs, rules.batch_size, n)
    layers = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), list(layers))
    start, seen = State(layers, ADAM.init(layers)), (data, labels, side)
    about = dict(epochs=epochs, seed=seed, until=until, resume=resume)
    state, history, rest = run_epochs(EPOCH, start, seen, rules, what="classifier", **about)
    return Trained(state.layers, history, state=rest)


def update(
    state: State, batch: tuple, done: jax.Array, rules: Rules, *, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One step of Adam on the cross-entropy with decoupled weight decay, when the share `done` of
    the training is over."""

    def loss(layers):
        x, y, side = batch
        z = logits(layers, x, side, dropout=rules.dropout, key=key)
        return optax.softmax_cross_entropy_with_integer_labels(z, y).mean()

    value, gradient = jax.value_and_grad(loss)(state.layers)
    direction, moments = ADAM.update(gradient, state.moments)
    rate = rules.lr * (1 - done)
    layers = jax.tree.map(
        lambda x, d: x - rate * (d + rules.weight_decay * x), state.layers, direction
    )
    return State(layers, moments), {"loss": value}


EPOCH = compiled_epoch(update)


def predict(
    layers: list[Layer], x: jax.Array, side: jax.Array | None = None, *, batch_size: int = 1000
) -> jax.Array:
    """The likeliest class of every row of x (n, n_visible), shape (n,)."""
    return _predict(layers, *rows(layers, x, side), checks.count(batch_size, "batch_size"))


@partial(jax.jit, static_argnames="batch_size")
def _predict(layers: list[Layer], x: jax.Array, side: jax.Array | None, batch_size: int):
    return jax.lax.map(
        lambda pair: logits(layers, *pair).argmax(), (x, side), batch_size=batch_size
    )
