"""Flow matching in the plane: a velocity that carries noise to data (Lipman et al. 2023).

A point of noise x₀ ~ N(0, data_sd² I) and one of data x₁ are joined by x_t = (1 - t) x₀ + t x₁, the
conditional optimal-transport path (eq. 22 with σ_min = 0).  The network learns the mean of
x₁ - x₀ given x_t; the ODE dx/dt = v(x, t) from t = 0 to 1 then has the densities of x_t.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab import checks
from genlab.toys.networks import fourier_features, init_fourier_mlp, mlp, of_each
from genlab.training import Trained
from genlab.training import jax as training
from genlab.training.jax import Weights, descend, minibatch, train_averaged

BANDWIDTH = 3.0  # of the random Fourier features, radians per network unit
LATEST = 0.999  # time at which the network's feature of the noise left stops to grow
VALIDATION_BATCH = 64  # held-out points per training step

Velocity = Callable[[jax.Array, jax.Array], jax.Array]


@dataclass(frozen=True)
class Rules(training.Rules):
    """How a velocity is trained.

    The network: `hidden` layers over `n_waves` random Fourier features of the point and `features`
    of the time (`velocity`).
    """

    hidden: tuple[int, ...]
    features: int = 16
    n_waves: int = 32
    data_sd: float = 2.0

    def check(self) -> None:
        """ValueError for a rule that cannot be followed."""
        super().check()
        checks.number(self.data_sd, "data_sd", "positive")


def init(rules: Rules, *, key: jax.Array):
    """Parameters of the network before its training: (B (2, n_waves), layers)."""
    more, sizes = 1 + rules.features, (2, *rules.hidden, 2)
    return init_fourier_mlp(sizes, rules.n_waves, bandwidth=BANDWIDTH, more=more, key=key)


def velocity(params, x: jax.Array, t: jax.Array, *, data_sd: float, features: int) -> jax.Array:
    """v(x, t), (n, 2) and t () or (n,) -> (n, 2).

    With r² = (1 - t)² + t² it is what is right for Gaussian data of `data_sd`, (2t - 1) x/r², plus
    data_sd F/r: the sd of x₁ - x₀ given x_t is then data_sd/r, so that F is of order one.  The
    network F sees x/(data_sd r), its random Fourier features, and the log of the noise left.
    """
    B, layers = params
    t = jnp.broadcast_to(t, x.shape[:-1])[:, None]
    r = jnp.sqrt((1 - t) ** 2 + t**2)
    at = x / (data_sd * r)
    angles = at @ jax.lax.stop_gradient(B)
    left = jnp.log(1 - jnp.minimum(t, LATEST)) / 4
    waves = fourier_features(left[:, 0], features)
    inputs = [at, jnp.sin(angles), jnp.cos(angles), left, waves]
    return (2 * t - 1) * x / r**2 + data_sd / r * mlp(layers, jnp.concatenate(inputs, axis=-1))


def matching_loss(
    params, x: jax.Array, noise: jax.Array, t: jax.Array, *, data_sd: float, features: int
) -> jax.Array:
    """‖x₁ - x₀ - v(x_t, t)‖² for data x₁ = x and x₀ = data_sd · noise, summed over dimensions, (n,)
    (Lipman et al. 2023, eq. 23)."""
    start, t_ = data_sd * noise, t[:, None]
    found = velocity(params, (1 - t_) * start + t_ * x, t, data_sd=data_sd, features=features)
    return jnp.sum((x - start - found) ** 2, axis=-1)


def draw(points: jax.Array, n: int, *, key: jax.Array):
    """n rows of `points`, as many points of noise, and a time from each of n equal parts of
    [0, 1]."""
    key_x, key_noise, key_time = jax.random.split(key, 3)
    t = (jnp.arange(n) + jax.random.uniform(key_time, (n,))) / n
    return minibatch(points, n, key=key_x), jax.random.normal(key_noise, (n, 2)), t


def update(
    weights: Weights,
    data: jax.Array,
    held_out: jax.Array,
    *,
    rules: Rules,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
) -> tuple[Weights, dict[str, jax.Array]]:
    """Descend the matching loss on a batch of `data` (n, 2).  Held-out points (m, 2) only judge."""
    key_batch, key_held_out = jax.random.split(key)
    loss = partial(matching_loss, data_sd=rules.data_sd, features=rules.features)
    batch = draw(data, rules.batch_size, key=key_batch)
    value, gradient = jax.value_and_grad(lambda p: loss(p, *batch).mean())(weights.params)
    weights = descend(weights, gradient, optimizer, ema_decay=rules.ema_decay)
    unseen = draw(held_out, VALIDATION_BATCH, key=key_held_out)
    return weights, {"train_loss": value, "validation_loss": loss(weights.average, *unseen).mean()}


def train_flow_matching(
    data: np.ndarray,
    held_out: np.ndarray,
    *,
    rules: Rules,
    steps: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Train one velocity per data set by `update`, all sets in one compiled loop.

    data (sets, n, 2), held_out (sets, m, 2).  The model: averaged parameters, a pytree (sets, ...).
    History: `train_loss`, `validation_loss` (chunks, sets).  Raises Diverged, ValueError.
    """
    about = dict(rules=rules, steps=steps, seed=seed, until=until, resume=resume)
    return train_averaged(update, init, data, held_out, what="flow matching", **about)


# --- the ODE, forwards for samples and backwards for the likelihood ---


def times(steps: int) -> jax.Array:
    """steps + 1 times from 0 to 1, closer together at both ends: (1 - cos πu)/2 for equal steps
    of u."""
    u = jnp.arange(checks.count(steps, "steps") + 1) / steps
    return (1 - jnp.cos(jnp.pi * u)) / 2


def flow(velocity_of: Velocity, x: jax.Array, at: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Heun's method for dx/dt = v over the times `at` (levels,), rising or falling, and the change
    of the log-density of a point that is carried along, -∫ div v dt (Chen et al. 2018, theorem 1):
    (n, 2), (n,)."""
    eye = jnp.eye(2, dtype=x.dtype)

    def slope(x, t):
        value, derivative = jax.vmap(
            lambda e: jax.jvp(lambda y: velocity_of(y, t), (x,), (jnp.broadcast_to(e, x.shape),))
        )(eye)
        return value[0], derivative[0, :, 0] + derivative[1, :, 1]

    def step(carry, pair):
        x, change = carry
        t, after = pair
        v, div = slope(x, t)
        v_end, div_end = slope(x + (after - t) * v, after)
        half = (after - t) / 2
        return (x + half * (v + v_end), change - half * (div + div_end)), None

    return jax.lax.scan(step, (x, jnp.zeros(len(x), x.dtype)), (at[:-1], at[1:]))[0]


def sample_stack(params, key, *, n: int, steps: int, features: int, data_sd: float) -> jax.Array:
    """n points of every set, (sets, n, 2), by `steps` steps of Heun's method from noise."""
    n, at = checks.count(n, "n"), times(steps)

    def drawn(params, key):
        field = partial(velocity, params, features=features, data_sd=data_sd)
        return flow(field, data_sd * jax.random.normal(key, (n, 2)), at)[0]

    return of_each(drawn, params, key=key)


def log_prob_stack(
    params, x: np.ndarray, *, steps: int, features: int, data_sd: float
) -> jax.Array:
    """log density of every set's model at x (sets, n, 2) -> (sets, n), nats: back along the ODE to
    the noise."""
    x, at = checks.sets(x=x)[0], times(steps)[::-1]

    @jax.jit
    @jax.vmap
    def carried(params, x):
        field = partial(velocity, params, features=features, data_sd=data_sd)
        start, change = flow(field, x, at)
        normal = -jnp.sum(start**2, axis=-1) / (2 * data_sd**2) - jnp.log(2 * jnp.pi * data_sd**2)
        # From the data to the noise the log-density rises by `change`.
        return normal - change

    return carried(params, x)
