"""A normalizing flow of the plane with an exact density: coupling layers of monotone
rational-quadratic splines (Durkan et al. 2019, neural spline flows).

log q(x) = log N(z; 0, I) + log|det dz/dx| with z = f(x), f a composition of maps that are cheap to
invert.  A layer moves one coordinate by a spline whose knots a network reads off the other one.
"""

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

BOX = 4.0  # the splines bend [-BOX, BOX], in units of data_sd; beyond they are the identity
BANDWIDTH = 3.0  # of the random Fourier features of the coordinate that is read
LEAST = 1e-3  # share of the box that a bin has at least, and its least slope
VALIDATION_BATCH = 64  # held-out points per training step


@dataclass(frozen=True)
class Rules(training.Rules):
    """How a flow is trained.

    `layers` couplings of splines with `bins` bins; the network of each has `hidden` layers over
    `n_waves` random Fourier features of the coordinate that it reads.
    """

    hidden: tuple[int, ...]
    layers: int = 6
    bins: int = 16
    n_waves: int = 16
    data_sd: float = 2.0

    def check(self) -> None:
        """ValueError for a rule that cannot be followed."""
        super().check()
        checks.count(self.layers, "layers", 2)
        checks.count(self.bins, "bins", 2, int(0.5 / LEAST))
        checks.number(self.data_sd, "data_sd", "positive")


def init(rules: Rules, *, key: jax.Array):
    """Parameters of the networks before their training, stacked over the layers; widths and slopes
    of all bins start nearly equal, so that the flow starts near the identity."""

    def one(key):
        sizes = (1, *rules.hidden, 3 * rules.bins - 1)
        B, layers = init_fourier_mlp(sizes, rules.n_waves, bandwidth=BANDWIDTH, key=key)
        W, b = layers[-1]
        return B, [*layers[:-1], (0.1 * W, 0.1 * b)]

    return jax.vmap(one)(jax.random.split(key, rules.layers))


def knots(raw: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Knots (n, bins + 1) in x and in y from -BOX to BOX and slopes there, one at both ends, of any
    numbers (n, 3 bins - 1) (Durkan et al. 2019, section 3.1)."""
    bins = (raw.shape[-1] + 1) // 3

    def places(part):
        share = LEAST + (1 - LEAST * bins) * jax.nn.softmax(part, axis=-1)
        inner = 2 * BOX * jnp.cumsum(share, axis=-1)[:, :-1] - BOX
        return jnp.pad(inner, ((0, 0), (1, 1)), constant_values=((0, 0), (-BOX, BOX)))

    # softplus(log(e - 1)) = 1: a network that says nothing makes the identity.
    slope = LEAST + (1 - LEAST) * jax.nn.softplus(raw[:, 2 * bins :] + jnp.log(jnp.e - 1))
    slope = jnp.pad(slope, ((0, 0), (1, 1)), constant_values=1.0)
    return places(raw[:, :bins]), places(raw[:, bins : 2 * bins]), slope


def spline(x: jax.Array, raw: jax.Array, *, inverse: bool = False) -> tuple[jax.Array, jax.Array]:
    """The monotone rational-quadratic spline of x (n,), and the log of its slope there, (n,);
    `inverse`: the way back, and the log of its slope (Durkan et al. 2019, eqs. 4, 5 and 6 to 8)."""
    at, to, slope = knots(raw)
    inside, safe = jnp.abs(x) < BOX, jnp.clip(x, -BOX, BOX)
    reached = safe[:, None] >= (to if inverse else at)[:, 1:-1]
    # A sum over bins of 0 and 1 is faster than to look a bin up, and its gradient too.
    chosen = jax.nn.one_hot(reached.sum(axis=-1), at.shape[-1] - 1, dtype=x.dtype)
    pick = lambda values: jnp.sum(chosen * values, axis=-1)  # noqa: E731
    x0, y0, d0, d1 = pick(at[:, :-1]), pick(to[:, :-1]), pick(slope[:, :-1]), pick(slope[:, 1:])
    width, height = pick(at[:, 1:]) - x0, pick(to[:, 1:]) - y0
    s = height / width
    bend = d0 + d1 - 2 * s
    if inverse:
        rise = safe - y0
        a, b, c = height * (s - d0) + rise * bend, height * d0 - rise * bend, -s * rise
        u = 2 * c / (-b - jnp.sqrt(jnp.maximum(b**2 - 4 * a * c, 0.0)))
        moved = x0 + u * width
    else:
        u = (safe - x0) / width
        moved = y0 + height * (s * u**2 + d0 * u * (1 - u)) / (s + bend * u * (1 - u))
    log_slope = (
        2 * jnp.log(s)
        + jnp.log(d1 * u**2 + 2 * s * u * (1 - u) + d0 * (1 - u) ** 2)
        - 2 * jnp.log(s + bend * u * (1 - u))
    )
    log_slope = -log_slope if inverse else log_slope
    return jnp.where(inside, moved, x), jnp.where(inside, log_slope, 0.0)


def forward(params, x: jax.Array, *, data_sd: float) -> tuple[jax.Array, jax.Array]:
    """z = f(x) (n, 2) and log|det dz/dx| (n,): layer after layer the second coordinate is moved by
    the first, then the two change places."""

    def layer(carry, network):
        z, log_det = carry
        moved, log_slope = spline(z[:, 1], fourier_mlp(network, z[:, :1]))
        return (jnp.stack([moved, z[:, 0]], axis=1), log_det + log_slope), None

    start = x / data_sd, jnp.full(len(x), -2 * jnp.log(data_sd), x.dtype)
    return jax.lax.scan(layer, start, params)[0]


def backward(params, z: jax.Array, *, data_sd: float) -> jax.Array:
    """x = f⁻¹(z), (n, 2) -> (n, 2): the layers undone, the last one first."""

    def layer(z, network):
        raw = fourier_mlp(network, z[:, 1:])
        return jnp.stack([z[:, 1], spline(z[:, 0], raw, inverse=True)[0]], axis=1), None

    return data_sd * jax.lax.scan(layer, z, params, reverse=True)[0]


def log_prob(params, x: jax.Array, *, data_sd: float) -> jax.Array:
    """log q(x) (n, 2) -> (n,), nats, exact."""
    z, log_det = forward(params, x, data_sd=data_sd)
    return -jnp.sum(z**2, axis=-1) / 2 - jnp.log(2 * jnp.pi) + log_det


def update(
    weights: Weights,
    data: jax.Array,
    held_out: jax.Array,
    *,
    rules: Rules,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
) -> tuple[Weights, dict[str, jax.Array]]:
    """Climb the log-density of a batch of `data` (n, 2).  Held-out points (m, 2) only judge."""
    key_batch, key_held_out = jax.random.split(key)
    loss = lambda params, x: -log_prob(params, x, data_sd=rules.data_sd).mean()  # noqa: E731
    batch = minibatch(data, rules.batch_size, key=key_batch)
    value, gradient = jax.value_and_grad(loss)(weights.params, batch)
    weights = descend(weights, gradient, optimizer, ema_decay=rules.ema_decay)
    unseen = minibatch(held_out, VALIDATION_BATCH, key=key_held_out)
    return weights, {"train_loss": value, "validation_loss": loss(weights.average, unseen)}


def train_flow(
    data: np.ndarray,
    held_out: np.ndarray,
    *,
    rules: Rules,
    steps: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Train one flow per data set by `update`, all sets in one compiled loop.

    data (sets, n, 2), held_out (sets, m, 2).  The model: averaged parameters, a pytree (sets, ...).
    History: `train_loss`, `validation_loss` (chunks, sets), nats.  Raises Diverged, ValueError.
    """
    about = dict(rules=rules, steps=steps, seed=seed, until=until, resume=resume)
    return train_averaged(update, init, data, held_out, what="normalizing flow", **about)


def sample_stack(params, key, *, n: int, data_sd: float) -> jax.Array:
    """n points of every set, (sets, n, 2): normal points carried back through the flow."""
    n = checks.count(n, "n")
    one = lambda p, key: backward(p, jax.random.normal(key, (n, 2)), data_sd=data_sd)  # noqa: E731
    return of_each(one, params, key=key)


def log_prob_stack(params, x: np.ndarray, *, data_sd: float) -> jax.Array:
    """log density of every set's flow at x (sets, n, 2) -> (sets, n), nats."""
    x = checks.sets(x=x)[0]
    return jax.jit(jax.vmap(partial(log_prob, data_sd=data_sd)))(params, x)
