"""Noise-contrastive estimation: a classifier between data and known noise learns an energy and its
normalising constant, without a chain."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab import checks
from genlab.toys import energy
from genlab.training import Trained
from genlab.training import jax as training
from genlab.training.jax import Weights, descend, minibatch, train_averaged


class Normalised(NamedTuple):
    """An energy with its normalising constant: log p(x) = -E(x) - log_z.  energy: the parameters of
    the network; log_z: a parameter like them."""

    energy: tuple
    log_z: jax.Array


def log_noise(x: jax.Array, sd: float) -> jax.Array:
    """log density of the noise N(0, sd² I), (n, 2) -> (n,)."""
    return -jnp.sum(x**2, axis=-1) / (2 * sd**2) - jnp.log(2 * jnp.pi * sd**2)


def nce_loss(log_ratio_data: jax.Array, log_ratio_noise: jax.Array) -> jax.Array:
    """Logistic regression of data (1) against noise (0) with the logit log p(x) - log q(x)
    (Gutmann & Hyvärinen 2010, eq. 3, equal numbers of both, sign changed).

    Its minimum is at p = the density of the data, *normalised*, though nothing asks for that.
    """
    return jax.nn.softplus(-log_ratio_data).mean() + jax.nn.softplus(log_ratio_noise).mean()


@dataclass(frozen=True)
class Rules(training.Rules):
    """How an energy is trained by contrast with noise N(0, noise_sd² I); the rest as in
    `energy.Rules`."""

    hidden: tuple[int, ...]
    noise_sd: float = 2.5
    base_sd: float = 4.0
    activation: str = "swish"
    n_waves: int = 32

    def check(self) -> None:
        """ValueError for a rule that cannot be followed."""
        super().check()
        checks.number(self.noise_sd, "noise_sd", "positive")
        checks.number(self.base_sd, "base_sd", "positive")


def init(rules: Rules, *, key: jax.Array) -> Normalised:
    """The model before its training: log Z that of the base alone."""
    network = energy.network(rules, key=key)
    return Normalised(network, jnp.float32(np.log(2 * np.pi * rules.base_sd**2)))


def update(
    weights: Weights,
    data: jax.Array,
    held_out: jax.Array,
    *,
    rules: Rules,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
) -> tuple[Weights, dict[str, jax.Array]]:
    """Descend the loss between a batch of `data` (n, 2) and as much noise.  Held-out points (m, 2)
    only judge."""
    key_data, key_noise, key_held_out = jax.random.split(key, 3)

    def log_ratio(model, x):
        log_p = (
            -energy.energy(model.energy, x, base_sd=rules.base_sd, activation=rules.activation)
            - model.log_z
        )
        return log_p - log_noise(x, rules.noise_sd)

    x = minibatch(data, rules.batch_size, key=key_data)
    noise = rules.noise_sd * jax.random.normal(key_noise, x.shape)
    loss = lambda model, x: nce_loss(log_ratio(model, x), log_ratio(model, noise))  # noqa: E731
    value, gradient = jax.value_and_grad(loss)(weights.params, x)
    unseen = minibatch(held_out, energy.VALIDATION_BATCH, key=key_held_out)
    logs = {"train_loss": value, "validation_loss": loss(weights.params, unseen)}
    return descend(weights, gradient, optimizer, ema_decay=rules.ema_decay), logs


def train_contrast(
    data: np.ndarray,
    held_out: np.ndarray,
    *,
    rules: Rules,
    steps: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Train one energy and its log Z per data set by `update`, all sets in one compiled loop.

    data (sets, n, 2), held_out (sets, m, 2).  The model: `Normalised`, averaged, leaves (sets,
    ...).  History: `train_loss`, `validation_loss`.  Raises Diverged, ValueError.
    """
    about = dict(rules=rules, steps=steps, seed=seed, until=until, resume=resume)
    return train_averaged(update, init, data, held_out, what="EBM by noise contrast", **about)
