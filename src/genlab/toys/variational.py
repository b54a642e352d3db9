"""A variational autoencoder of the plane, its bound and the importance-weighted one
(Kingma & Welling 2014; Burda et al. 2016).

z ~ N(0, I), x | z ~ N(mean(z), sd(z)²), and an encoder q(z | x) of the same form.  Encoder and
decoder are functions (n, d) -> (mean, log_sd), (n, d') each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab import checks
from genlab.toys.networks import fourier_mlp, init_fourier_mlp, of_each
from genlab.training import Trained
from genlab.training import jax as training
from genlab.training.jax import Weights, descend, minibatch, train_averaged

Coder = Callable[[jax.Array], tuple[jax.Array, jax.Array]]

BANDWIDTH = 3.0  # of the random Fourier features of points and codes
LOG_SD = 4.0  # log standard deviations stay within ± this
# Where they begin.  Near 0, a decoder can do without the code, and learns to.
START_LOG_SD = -3.0
VALIDATION_BATCH = 64  # held-out points per training step


@dataclass(frozen=True)
class Rules(training.Rules):
    """How an autoencoder is trained.

    Codes of `latent` numbers; encoder and decoder have `hidden` layers over `n_waves` random
    Fourier features.  The importance-weighted bound of `samples` codes a point is climbed, which
    for one is the evidence lower bound.
    """

    hidden: tuple[int, ...]
    latent: int = 2
    samples: int = 1
    n_waves: int = 16
    data_sd: float = 2.0

    def check(self) -> None:
        """ValueError for a rule that cannot be followed."""
        super().check()
        for name in ("latent", "samples"):
            checks.count(getattr(self, name), name)
        checks.number(self.data_sd, "data_sd", "positive")


def init(rules: Rules, start_log_sd: float | jax.Array = START_LOG_SD, *, key: jax.Array):
    """Parameters before the training: {"encode": network, "decode": network}, both with standard
    deviations near e^`start_log_sd`."""
    sides = {"encode": (2, 2 * rules.latent), "decode": (rules.latent, 4)}

    def one(d, out, key):
        sizes = (d, *rules.hidden, out)
        B, layers = init_fourier_mlp(sizes, rules.n_waves, bandwidth=BANDWIDTH, key=key)
        W, b = layers[-1]
        return B, [*layers[:-1], (W, b.at[out // 2 :].add(start_log_sd))]

    keys = jax.random.split(key)
    return {name: one(*sides[name], k) for name, k in zip(sides, keys, strict=True)}


def normal(network, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and log standard deviation (n, d') that a network gives for x (n, d)."""
    mean, log_sd = jnp.split(fourier_mlp(network, x), 2, axis=-1)
    return mean, LOG_SD * jnp.tanh(log_sd / LOG_SD)


def coders(params) -> tuple[Coder, Coder]:
    """Encoder and decoder of a model, in units of data_sd."""
    return partial(normal, params["encode"]), partial(normal, params["decode"])


def log_normal(x: jax.Array, mean: jax.Array, log_sd: jax.Array) -> jax.Array:
    """log N(x; mean, e^(2 log_sd)), summed over the last axis."""
    scaled = (x - mean) * jnp.exp(-log_sd)
    return -jnp.sum(scaled**2 / 2 + log_sd + jnp.log(2 * jnp.pi) / 2, axis=-1)


def log_weights(encode: Coder, decode: Coder, x: jax.Array, noise: jax.Array) -> jax.Array:
    """log p(x | z) + log p(z) - log q(z | x) at z = mean + sd · noise of the encoder; x (n, 2),
    noise (samples, n, latent) -> (samples, n)."""
    mean, log_sd = encode(x)
    z = mean + jnp.exp(log_sd) * noise
    return (
        log_normal(x, *decode(z))
        + log_normal(z, jnp.zeros(()), jnp.zeros(z.shape[-1]))
        - log_normal(z, mean, log_sd)
    )


def bound(weights: jax.Array) -> jax.Array:
    """The importance-weighted bound log mean_k w_k on log p(x) (Burda et al. 2016, eq. 8) of log
    weights (samples, n) -> (n,); of one sample the evidence lower bound."""
    return jax.nn.logsumexp(weights, axis=0) - jnp.log(len(weights))


def update(
    weights: Weights,
    data: jax.Array,
    held_out: jax.Array,
    *,
    rules: Rules,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
) -> tuple[Weights, dict[str, jax.Array]]:
    """Climb the bound on a batch of `data` (n, 2).  Held-out points (m, 2) only judge."""
    key_batch, key_noise, key_held_out, key_judge = jax.random.split(key, 4)

    def loss(params, x, key):
        noise = jax.random.normal(key, (rules.samples, len(x), rules.latent))
        at = log_weights(*coders(params), x / rules.data_sd, noise)
        return 2 * jnp.log(rules.data_sd) - bound(at).mean()

    batch = minibatch(data, rules.batch_size, key=key_batch)
    value, gradient = jax.value_and_grad(loss)(weights.params, batch, key_noise)
    weights = descend(weights, gradient, optimizer, ema_decay=rules.ema_decay)
    unseen = minibatch(held_out, VALIDATION_BATCH, key=key_held_out)
    return weights, {
        "train_loss": value,
        "validation_loss": loss(weights.average, unseen, key_judge),
    }


def train_vae(
    data: np.ndarray,
    held_out: np.ndarray,
    *,
    rules: Rules,
    steps: int,
    seed: int,
    start_log_sd: Sequence[float] | None = None,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Train one autoencoder per data set by `update`, all sets in one compiled loop.

    data (sets, n, 2), held_out (sets, m, 2), start_log_sd (sets,): see `init`.  The model: averaged
    parameters, a pytree (sets, ...).
    History: `train_loss`, `validation_loss` (chunks, sets), nats.  Raises Diverged, ValueError.
    """
    sets = len(checks.sets(data=data)[0])
    start = [START_LOG_SD] * sets if start_log_sd is None else start_log_sd
    start = checks.shape(checks.numbers(start, "start_log_sd", None), "start_log_sd", (sets,))
    about = dict(rules=rules, steps=steps, seed=seed, until=until, resume=resume, starts=(start,))
    return train_averaged(update, init, data, held_out, what="variational autoencoder", **about)


def sample_stack(params, key, *, n: int, latent: int, data_sd: float) -> jax.Array:
    """n points of every set, (sets, n, 2): codes from the prior, then points from the decoder."""
    n, latent = checks.count(n, "n"), checks.count(latent, "latent")

    def drawn(params, key):
        key_code, key_point = jax.random.split(key)
        mean, log_sd = coders(params)[1](jax.random.normal(key_code, (n, latent)))
        return data_sd * (mean + jnp.exp(log_sd) * jax.random.normal(key_point, (n, 2)))

    return of_each(drawn, params, key=key)


def log_prob_bounds_stack(
    params, x: np.ndarray, key, *, samples: int, latent: int, data_sd: float
) -> tuple[jax.Array, jax.Array]:
    """Two lower bounds on every set's log density at x (sets, n, 2), (sets, n) each, nats: the
    evidence lower bound, a mean over `samples` codes, and the importance-weighted one."""
    x, samples = checks.sets(x=x)[0], checks.count(samples, "samples")

    def bounds(of):
        params, x, key = of
        noise = jax.random.normal(key, (samples, len(x), latent))
        at = log_weights(*coders(params), x / data_sd, noise) - 2 * jnp.log(data_sd)
        return at.mean(axis=0), bound(at)

    # one model after another: the codes of all points of all models need not fit into memory
    keys = jax.random.split(key, len(x))
    return jax.jit(partial(jax.lax.map, bounds))((params, jnp.asarray(x), keys))
