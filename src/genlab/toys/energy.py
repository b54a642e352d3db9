"""Energy-based models of the plane: p(x) ∝ exp(-E(x)) with E an MLP, trained by the contrast of
data and model samples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab import checks
from genlab.streams import stream
from genlab.toys import langevin
from genlab.toys.networks import fourier_mlp, init_fourier_mlp, of_each
from genlab.training import Trained
from genlab.training import jax as training
from genlab.training.jax import Weights, adam, descend, minibatch, start_weights, train_stack

SCALE = 2.0  # typical data units per network unit
BANDWIDTH = 3.0  # of the random Fourier features, radians per network unit


def energy(params, x: jax.Array, *, base_sd: float, activation: str = "swish") -> jax.Array:
    """E(x) = MLP(x / SCALE) + |x|²/(2 base_sd²), (n, 2) -> (n,).

    The second term makes exp(-E) a tilt of a Gaussian, hence normalisable whatever the network does
    far from the data; base_sd = inf leaves it out, as the sources do.
    """
    return fourier_mlp(params, x / SCALE, activation)[..., 0] + jnp.sum(x**2, axis=-1) / (
        2 * base_sd**2
    )


def contrastive_loss(e_data: jax.Array, e_model: jax.Array) -> jax.Array:
    """mean E(data) - mean E(model samples): its gradient is that of the negative log-likelihood
    (LeCun et al. 2006; Hinton 2002)."""
    return e_data.mean() - e_model.mean()


def absolute_loss(e_data: jax.Array, e_model: jax.Array) -> jax.Array:
    """|mean E(data) - mean E(model samples)|, the loss as source A words it.
    Zero for every flat energy."""
    return jnp.abs(contrastive_loss(e_data, e_model))


LOSSES = {"contrastive": contrastive_loss, "absolute": absolute_loss}


def negative_sampler(
    log_density, *, sampler: str, step_size, jumps: int, box: float
) -> langevin.Kernel:
    """The kernel that moves the negative samples: "langevin" or "mala", followed by `jumps` global
    moves."""
    jumps = checks.count(jumps, "jumps", 0)
    checks.one_of(sampler, "sampler", ("langevin", "mala"))
    if sampler == "langevin":
        local = langevin.unadjusted_langevin(langevin.score_of(log_density), step_size)
    else:
        local = langevin.mala(log_density, step_size)
    return langevin.alternate(local, *[langevin.uniform_jump(log_density, box)] * jumps)


@dataclass(frozen=True)
class Rules(training.Rules):
    """How an energy is trained.

    The negative samples: `n_chains` chains, moved in each step by `langevin_steps` of the kernel
    (`sampler`, `step_size`, `jumps`, `box`) from where the last step left them (`persistent`,
    Tieleman 2008) or from noise N(0, SCALE² I).  The loss: a name in LOSSES + l2 (mean E(data)² +
    mean E(negatives)²) (Du & Mordatch 2019, section 3.2).  The network: `hidden` layers over
    `n_waves` random Fourier features, and the Gaussian base of `energy`.  Noise of sd `data_noise`
    is added to each batch, as in source B.
    """

    hidden: tuple[int, ...]
    n_chains: int = 512
    l2: float = 0.0
    loss: str = "contrastive"
    persistent: bool = True
    sampler: str = "mala"
    langevin_steps: int = 1
    step_size: float = 0.02
    jumps: int = 1
    base_sd: float = 4.0
    box: float = 5.0
    activation: str = "swish"
    n_waves: int = 32
    data_noise: float = 0.0

    def check(self) -> None:
        """ValueError for a rule that cannot be followed."""
        super().check()
        checks.one_of(self.loss, "loss", LOSSES)
        checks.count(self.n_chains, "n_chains")
        checks.count(self.langevin_steps, "langevin_steps")
        checks.number(self.l2, "l2", "at least 0")
        checks.number(self.data_noise, "data_noise", "at least 0")


class State(NamedTuple):
    """weights: of the network.  chains (n_chains, 2): the negative samples of the last step.
    repairs: what never changes, see `energy_repairs`."""

    weights: Weights
    chains: jax.Array
    repairs: Any = None


def network(rules: Any, *, key: jax.Array):
    """The network's parameters before its training."""
    sizes = (2, *rules.hidden, 1)
    return init_fourier_mlp(sizes, rules.n_waves, bandwidth=BANDWIDTH, key=key)


def update(
    state: State,
    data: jax.Array,
    held_out: jax.Array,
    *,
    rules: Rules,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
) -> tuple[State, dict[str, jax.Array]]:
    """Move the negative samples, then descend the loss between them and a batch of `data` (n, 2).
    Held-out points (m, 2) only judge."""
    key_data, key_blur, key_noise, _, key_chain, key_held_out = jax.random.split(key, 6)
    x, params = minibatch(data, rules.batch_size, key=key_data), state.weights.params
    if rules.data_noise:
        x = x + rules.data_noise * jax.random.normal(key_blur, x.shape)
    start = state.chains if rules.persistent else noise_like(state.chains, key=key_noise)
    E = partial(energy, base_sd=rules.base_sd, activation=rules.activation)
    kernel = negative_sampler(
        lambda y: -E(params, y),
        sampler=rules.sampler, step_size=rules.step_size, jumps=rules.jumps, box=rules.box,
    )  # fmt: skip
    negatives, _, _ = langevin.run_chain(kernel, start, steps=rules.langevin_steps, key=key_chain)

    def objective(p):
        e_data, e_model = E(p, x), E(p, negatives)
        size = jnp.mean(e_data**2) + jnp.mean(e_model**2)
        return LOSSES[rules.loss](e_data, e_model) + rules.l2 * size, (
            e_data.mean(),
            e_model.mean(),
        )

    (_, (e_data, e_model)), gradient = jax.value_and_grad(objective, has_aux=True)(params)
    weights = descend(state.weights, gradient, optimizer, ema_decay=rules.ema_decay)
    unseen = E(weights.params, minibatch(held_out, VALIDATION_BATCH, key=key_held_out)).mean()
    return State(weights, negatives), {
        "train_loss": e_data - e_model,
        "validation_loss": unseen - e_model,
        "energy_data": e_data,
        "energy_model": e_model,
    }


VALIDATION_BATCH = 128


def noise_like(x: jax.Array, *, key: jax.Array) -> jax.Array:
    """Points from N(0, SCALE² I), as many as x has."""
    return SCALE * jax.random.normal(key, x.shape)


def train_energy(
    data: np.ndarray,
    held_out: np.ndarray,
    *,
    rules: Rules,
    steps: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Train one energy per data set by `update`, all sets in one compiled loop.

    data (sets, n, 2), held_out (sets, m, 2).  The model: averaged parameters, a pytree (sets, ...);
    chains: the last negative samples (sets, n_chains, 2).  History: `train_loss` and
    `validation_loss`, mean E(data) - mean E(negatives) on the batch and on held_out; `energy_data`,
    `energy_model`.  Raises Diverged, ValueError.
    """
    what = f"EBM ({rules.loss}, {rules.sampler})"
    about = dict(rules=rules, steps=steps, seed=seed, until=until, resume=resume)
    return train_chains(update, data, held_out, what=what, **about)


def train_chains(
    update: Callable,
    data: np.ndarray,
    held_out: np.ndarray,
    *,
    rules: Rules,
    steps: int,
    seed: int,
    arms: Sequence[NamedTuple] = (),
    **how,
) -> Trained:
    """`train_energy` by any `update` of a `State`; with `arms` each set is trained once for each of
    them, arm after arm, from the same weights and chains.  `how`: `until`, `resume` and `what` of
    `train_stack`."""
    rules.check()
    data, held_out = map(jnp.asarray, checks.sets(data=data, held_out=held_out))
    optimizer = adam(rules.lr, checks.count(steps, "steps"), decay_lr=rules.decay_lr)
    key, n_sets = jax.random.key(stream(seed, "init")), len(data)
    params = jax.vmap(lambda k: network(rules, key=k))(jax.random.split(key, n_sets))
    chains = noise_like(jnp.zeros((n_sets, rules.n_chains, 2)), key=jax.random.fold_in(key, 1))
    if arms:
        repeat = lambda x: jnp.tile(x, (len(arms), *[1] * (x.ndim - 1)))  # noqa: E731
        params, chains, data, held_out = jax.tree.map(repeat, (params, chains, data, held_out))
    weights = jax.vmap(partial(start_weights, optimizer=optimizer))(params)
    start = State(weights, chains, stacked(arms, n_sets) if arms else None)
    one = partial(update, rules=rules, optimizer=optimizer)
    about = how | dict(rules=rules, steps=steps, seed=seed)
    state, history, rest = train_stack(one, start, data, held_out, **about)
    return Trained(state.weights.average, history, state.chains, rest)


def stacked(arms: Sequence[NamedTuple], sets: int) -> NamedTuple:
    """What each model has, arm after arm: fields (arms * sets,)."""
    columns = zip(*arms, strict=True)
    return type(arms[0])(*(jnp.repeat(jnp.array(column, bool), sets) for column in columns))


class Chains(NamedTuple):
    """points (sets, n, 2), where chains end; path (sets, kept, n, 2); accepted: by the name of each
    kernel, the share of accepted proposals (sets,)."""

    points: np.ndarray
    path: np.ndarray
    accepted: dict[str, np.ndarray]


def run_chains(
    params,
    *,
    n: int,
    steps: int,
    seed: int,
    sampler: str = "mala",
    step_size: float = 0.02,
    jumps: int = 1,
    base_sd: float = 4.0,
    box: float = 5.0,
    activation: str = "swish",
    start_at: tuple[float, float] | np.ndarray = (0.0, 0.0),
    keep_every: int | None = None,
) -> Chains:
    """n chains on each energy of the stack, from N(start_at, SCALE² I), never from data; a frame of
    the path per `keep_every` steps (default: the last).  start_at: one for all, or (sets, 2)."""
    n, steps = checks.count(n, "n"), checks.count(steps, "steps")

    def run(params, start_at, key):
        key_start, key_chain = jax.random.split(key)
        kernel = negative_sampler(
            lambda y: -energy(params, y, base_sd=base_sd, activation=activation),
            sampler=sampler, step_size=step_size, jumps=jumps, box=box,
        )  # fmt: skip
        start = start_at + SCALE * jax.random.normal(key_start, (n, 2))
        x, path, info = langevin.run_chain(
            kernel, start, steps=steps, key=key_chain, keep_every=keep_every
        )
        return x, path, {name: value.mean() for name, value in info.items()}

    key, sets = jax.random.key(stream(seed, "sample")), len(jax.tree.leaves(params)[0])
    start_at = jnp.broadcast_to(jnp.asarray(start_at, jnp.float32), (sets, 2))
    x, path, info = jax.tree.map(np.asarray, of_each(run, params, start_at, key=key))
    names = {"accepted_0": sampler, "accepted_1": "jump"}
    return Chains(x, path, {names.get(k, k): v for k, v in info.items()})


def sample_energy(params, **how) -> tuple[np.ndarray, np.ndarray]:
    """The points (sets, n, 2) and the path (sets, kept, n, 2) of `run_chains`."""
    return run_chains(params, **how)[:2]


@partial(jax.jit, static_argnames="activation")
def _log_density_stack(params, x, base_sd, activation):
    # One model after the other: all at once would need the memory of all.
    one = lambda given: -energy(given[0], given[1], base_sd=given[2], activation=activation)  # noqa: E731
    return jax.lax.map(one, (params, x, base_sd))


def log_density_stack(
    params, x: np.ndarray, *, base_sd: float | np.ndarray, activation: str = "swish"
) -> np.ndarray:
    """-E(x) of every energy of a stack, unnormalised, at its own points: (models, n, 2) ->
    (models, n).  base_sd: one for all, or (models,)."""
    x = checks.sets(x=x)[0]
    base_sd = jnp.broadcast_to(jnp.asarray(base_sd, jnp.float32), len(x))
    return np.asarray(_log_density_stack(params, jnp.asarray(x), base_sd, activation))


def log_density(params, x: np.ndarray, **options) -> np.ndarray:
    """-E(x) of one energy, unnormalised, NumPy (n, 2) -> (n,)."""
    x = checks.points(1, dtype=np.float32, x=x)[0]
    checks.shape(x, "x", (len(x), 2))
    return np.asarray(_energy_jit(params, jnp.asarray(x), **options)) * -1.0


_energy_jit = jax.jit(energy, static_argnames=("base_sd", "activation"))
