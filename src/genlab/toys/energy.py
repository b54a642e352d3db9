"""Energy-based models of the plane: p(x) ∝ exp(-E(x)) with E an MLP, trained by the contrast of
data and model samples."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab import checks
from genlab.streams import stream
from genlab.toys import langevin
from genlab.toys.networks import ema, fourier_mlp, init_fourier_mlp
from genlab.training.jax import minibatch, train

SCALE = 2.0  # typical data units per network unit
BANDWIDTH = 3.0  # of the random Fourier features, radians per network unit


class EnergyModel(NamedTuple):
    """A stack of trained energies, one per data set on axis 0.

    params: pytree (sets, ...).  chains: the last negative samples (sets, n, 2).  history: logs per
    chunk (chunks, sets).
    """

    params: list
    chains: np.ndarray
    history: dict[str, np.ndarray]


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


def train_energy(
    data: np.ndarray,
    held_out: np.ndarray,
    *,
    hidden: tuple[int, ...],
    steps: int,
    seed: int,
    batch_size: int = 512,
    n_chains: int = 512,
    lr: float = 2e-3,
    l2: float = 0.0,
    loss: str = "contrastive",
    persistent: bool = True,
    sampler: str = "mala",
    langevin_steps: int = 1,
    step_size: float = 0.02,
    jumps: int = 1,
    base_sd: float = 4.0,
    box: float = 5.0,
    activation: str = "swish",
    n_waves: int = 32,
    ema_decay: float = 0.999,
    decay_lr: bool = True,
) -> EnergyModel:
    """Train one energy per data set, all sets in one compiled loop.

    data (sets, n, 2), held_out (sets, m, 2).  Each step moves the negative samples by
    `langevin_steps` of the kernel, from where the last step left them (`persistent`) or from noise
    N(0, SCALE² I), and then descends loss(E(data), E(negatives)) + l2 (mean E(data)² +
    mean E(negatives)²) (Du & Mordatch 2019, section 3.2) by Adam.  History: `train_loss` and
    `validation_loss`, mean E(data) - mean E(negatives) on the batch and on held_out;
    `energy_data`, `energy_model`.
    """
    checks.one_of(loss, "loss", LOSSES)
    data, held_out = map(jnp.asarray, checks.sets(data=data, held_out=held_out))
    n_sets, n_chains = len(data), checks.count(n_chains, "n_chains")
    batch_size = checks.count(batch_size, "batch_size")
    checks.number(lr, "lr", "positive")
    checks.number(l2, "l2", "at least 0")
    key_init, key_train = (
        jax.random.key(stream(seed, "init")),
        jax.random.key(stream(seed, "train")),
    )
    params = jax.vmap(
        lambda k: init_fourier_mlp((2, *hidden, 1), n_waves, bandwidth=BANDWIDTH, key=k)
    )(jax.random.split(key_init, n_sets))
    schedule = optax.cosine_decay_schedule(lr, steps) if decay_lr else lr
    optimizer = optax.adam(schedule)
    E = partial(energy, base_sd=base_sd, activation=activation)

    def noise_like(x, key):
        return SCALE * jax.random.normal(key, x.shape)

    def update(state, data, held_out, key):
        params, average, opt_state, chains = state
        key_data, _, key_noise, _, key_chain, key_held_out = jax.random.split(key, 6)
        x = minibatch(data, batch_size, key=key_data)
        start = chains if persistent else noise_like(chains, key_noise)
        kernel = negative_sampler(
            lambda y: -E(params, y), sampler=sampler, step_size=step_size, jumps=jumps, box=box
        )
        negatives, _, _ = langevin.run_chain(kernel, start, steps=langevin_steps, key=key_chain)

        def objective(p):
            e_data, e_model = E(p, x), E(p, negatives)
            return LOSSES[loss](e_data, e_model) + l2 * (
                jnp.mean(e_data**2) + jnp.mean(e_model**2)
            ), (e_data.mean(), e_model.mean())

        (_, (e_data, e_model)), grads = jax.value_and_grad(objective, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        params = optax.apply_updates(params, updates)
        average = ema(average, params, ema_decay)
        validation = E(params, minibatch(held_out, 128, key=key_held_out)).mean() - e_model
        logs = {
            "train_loss": e_data - e_model,
            "validation_loss": validation,
            "energy_data": e_data,
            "energy_model": e_model,
        }
        return (params, average, opt_state, negatives), logs

    def step(state, key):
        return jax.vmap(update)(state, data, held_out, jax.random.split(key, n_sets))

    chains = noise_like(jnp.zeros((n_sets, n_chains, 2)), jax.random.fold_in(key_init, 1))
    state = (params, params, jax.vmap(optimizer.init)(params), chains)
    (_, average, _, chains), history = train(
        step, state, steps=steps, key=key_train, what=f"EBM ({loss}, {sampler})"
    )
    return EnergyModel(jax.tree.map(np.asarray, average), np.asarray(chains), history)


def sample_energy(
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
    keep_every: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """n points of each energy of the stack by chains from noise, never from data: (sets, n, 2) and
    the path (sets, kept, n, 2)."""

    n, steps = checks.count(n, "n"), checks.count(steps, "steps")

    @jax.jit
    @jax.vmap
    def run(params, key):
        key_start, key_chain = jax.random.split(key)
        kernel = negative_sampler(
            lambda y: -energy(params, y, base_sd=base_sd, activation=activation),
            sampler=sampler, step_size=step_size, jumps=jumps, box=box,
        )  # fmt: skip
        start = SCALE * jax.random.normal(key_start, (n, 2))
        x, path, _ = langevin.run_chain(
            kernel, start, steps=steps, key=key_chain, keep_every=keep_every
        )
        return x, path

    keys = jax.random.split(jax.random.key(stream(seed, "sample")), len(jax.tree.leaves(params)[0]))
    return jax.tree.map(np.asarray, run(params, keys))


def log_density(params, x: np.ndarray, **options) -> np.ndarray:
    """-E(x) of one energy, unnormalised, NumPy (n, 2) -> (n,)."""
    x = checks.points(1, dtype=np.float32, x=x)[0]
    checks.shape(x, "x", (len(x), 2))
    return np.asarray(_energy_jit(params, jnp.asarray(x), **options)) * -1.0


_energy_jit = jax.jit(energy, static_argnames=("base_sd", "activation"))
