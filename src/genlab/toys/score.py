"""Denoising score matching on the plane at one noise level, as in the sources, and the exact
blurred densities to judge it by.

Many levels are `diffusion` seen from the other side: σ² times the loss below is the loss of
a noise predictor.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.ndimage import distance_transform_edt

from genlab import checks
from genlab.data.toy import Density, grid
from genlab.streams import stream
from genlab.toys import langevin
from genlab.toys.networks import init_mlp, mlp, of_each
from genlab.training import Trained
from genlab.training import jax as training
from genlab.training.jax import Weights, descend, minibatch, train_averaged

SCALE = 2.0  # typical data units per network unit
PER_UNIT = 40  # cells per data unit of the exact tables, a quarter of the sources' σ


def score(params, x: jax.Array, activation: str = "swish") -> jax.Array:
    """s(x), the network's estimate of the gradient of log p_sigma, (n, 2) -> (n, 2)."""
    return mlp(params, x / SCALE, activation)


def dsm_loss(s_noisy: jax.Array, noise: jax.Array, sigma: jax.Array | float) -> jax.Array:
    """‖s(x + σ ε) + ε/σ‖², summed over dimensions, mean over the batch
    (Vincent 2011, eq. 11, with its 1/2 left out).

    `s_noisy` (n, 2) is the network at x + σ ε and `noise` (n, 2) is ε ~ N(0, I).  Its minimiser is
    the score of the data blurred by N(0, σ² I), and its minimum is not zero: see `loss_floor`.
    """
    return jnp.mean(jnp.sum((s_noisy + noise / sigma) ** 2, axis=-1))


@dataclass(frozen=True, kw_only=True)
class Rules(training.Rules):
    """How a score network is trained: one noise level, `hidden` layers, Adam at a constant rate and
    no average, as in sources A and B."""

    sigma: float
    hidden: tuple[int, ...]
    batch_size: int = 128
    lr: float = 1e-3
    ema_decay: float = 0.0
    decay_lr: bool = False
    activation: str = "swish"

    def check(self) -> None:
        """ValueError for a rule that cannot be followed."""
        super().check()
        checks.number(self.sigma, "sigma", "positive")


def init(rules: Rules, *, key: jax.Array):
    """Parameters of the network before its training."""
    return init_mlp((2, *rules.hidden, 2), key=key)


VALIDATION_BATCH = 64


def update(
    weights: Weights,
    data: jax.Array,
    held_out: jax.Array,
    *,
    rules: Rules,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
) -> tuple[Weights, dict[str, jax.Array]]:
    """Descend the loss on a batch of `data` (n, 2).  Held-out points (m, 2) only judge."""
    keys = jax.random.split(key, 4)

    def loss_at(params, x, key):
        noise = jax.random.normal(key, x.shape)
        noisy = x + rules.sigma * noise
        return dsm_loss(score(params, noisy, rules.activation), noise, rules.sigma)

    loss, gradient = jax.value_and_grad(loss_at)(
        weights.params, minibatch(data, rules.batch_size, key=keys[0]), keys[1]
    )
    unseen = minibatch(held_out, VALIDATION_BATCH, key=keys[2])
    logs = {"train_loss": loss, "validation_loss": loss_at(weights.params, unseen, keys[3])}
    return descend(weights, gradient, optimizer, ema_decay=rules.ema_decay), logs


def train_score(
    data: np.ndarray,
    held_out: np.ndarray,
    *,
    rules: Rules,
    steps: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Train one score network per data set by `update`, all sets in one compiled loop.

    data (sets, n, 2), held_out (sets, m, 2).  The model: parameters, a pytree (sets, ...).
    History: `train_loss`, `validation_loss`.  Raises Diverged, ValueError.
    """
    about = dict(rules=rules, steps=steps, seed=seed, until=until, resume=resume)
    what = f"DSM (sigma {rules.sigma:g})"
    return train_averaged(update, init, data, held_out, what=what, **about)


def _chains(score_of, models, *, n, steps, step_size, seed, start_at, keep_every):
    """n unadjusted Langevin chains by ``score_of(model, x)`` of each of a stack of models, from
    N(start_at, SCALE² I): their ends (sets, n, 2) and path (sets, kept, n, 2)."""
    checks.number(step_size, "step_size", "positive")
    n, steps = checks.count(n, "n"), checks.count(steps, "steps")

    def run(model, key):
        key_start, key_chain = jax.random.split(key)
        start = jnp.asarray(start_at, jnp.float32) + SCALE * jax.random.normal(key_start, (n, 2))
        kernel = langevin.unadjusted_langevin(partial(score_of, model), step_size)
        x, path, _ = langevin.run_chain(
            kernel, start, steps=steps, key=key_chain, keep_every=keep_every
        )
        return x, path

    drawn = of_each(run, models, key=jax.random.key(stream(seed, "sample")))
    return jax.tree.map(np.asarray, drawn)


def sample_langevin(
    params,
    *,
    n: int,
    steps: int,
    step_size: float,
    seed: int,
    activation: str = "swish",
    start_at: tuple[float, float] = (0.0, 0.0),
    keep_every: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """n points of each score of the stack by unadjusted Langevin from N(start_at, SCALE² I).

    Returns the points (sets, n, 2) and the path (sets, kept, n, 2), a frame per `keep_every` steps
    (default: the last).
    """
    how = dict(n=n, steps=steps, step_size=step_size, seed=seed, start_at=start_at)
    return _chains(partial(score, activation=activation), params, keep_every=keep_every, **how)


# --- the exact answer, by quadrature ---


class Blurred(NamedTuple):
    """A density blurred by N(0, σ² I), on the midpoints of equal cells over
    [-half, half]², x₁ fastest.

    density (b, b); score (b, b, 2), ∇ log p_σ; half: integer half width.
    """

    density: np.ndarray
    score: np.ndarray
    half: int


def cell_masses(density: Density, *, per_unit: int = PER_UNIT) -> np.ndarray:
    """Probability of each of `per_unit`² cells per unit area over the density's box, (m, m),
    by the midpoint rule."""
    per_unit = checks.count(per_unit, "per_unit")
    points, cell = grid(density.box, round(2 * density.box * per_unit))
    masses = np.exp(density.log_prob(points)) * cell
    m = round(len(masses) ** 0.5)
    return masses.reshape(m, m) / masses.sum()


def blur(masses: np.ndarray, sigma: float, *, per_unit: int = PER_UNIT) -> Blurred:
    """The exact density and score of the cells' masses (m, m) blurred by N(0, σ² I), out to
    four σ beyond them.

    score(x) = (E[x₀ | x] - x)/σ² (Vincent 2011, section 4.3); the kernel is a product, so two
    matrix products give each moment.  Where the density underflows the score points to the nearest
    cell with mass, its limit far from the data.  ValueError for sigma <= 0, and for sigma below a
    cell's side: the midpoint rule, right to 5e-9 there, would lose mass or make it.
    """
    sigma, per_unit = checks.number(sigma, "sigma", "positive"), checks.count(per_unit, "per_unit")
    if sigma * per_unit < 1 - 1e-9:
        raise ValueError(
            f"sigma={sigma} is less than a cell of side 1/{per_unit}: raise per_unit to at least "
            f"{np.ceil(1 / sigma):.0f}"
        )
    masses = checks.numbers(masses, "masses")
    if (
        masses.ndim != 2 or not masses.size or len(set(masses.shape)) > 1 or len(masses) % 2
        or masses.min() < 0 or abs(masses.sum() - 1) > 1e-6
    ):  # fmt: skip
        raise ValueError(
            f"masses of shape {masses.shape} with sum {masses.sum():.9g} must be (m, m), m even, "
            "none below 0, and sum to 1: divide them by their sum"
        )
    half = int(np.ceil(len(masses) / (2 * per_unit) + 4 * sigma))
    x = (np.arange(2 * half * per_unit) + 0.5) / per_unit - half
    pad = (len(x) - len(masses)) // 2
    masses = np.pad(masses, pad)
    kernel = np.exp(-((x[:, None] - x) ** 2) / (2 * sigma**2)) / np.sqrt(2 * np.pi * sigma**2)
    p, first, second = (
        kernel @ masses @ kernel.T,
        kernel @ masses @ (kernel * x).T,
        (kernel * x) @ masses @ kernel.T,
    )
    nearest = x[distance_transform_edt(masses <= 0, return_distances=False, return_indices=True)]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(p > 1e-250, np.stack([first, second]) / p, nearest[::-1])
    here = np.stack(np.meshgrid(x, x))
    return Blurred(p, np.moveaxis((mean - here) / sigma**2, 0, -1), half)


def tabulated_score(table: jax.Array, half: int, x: jax.Array) -> jax.Array:
    """The score table (b, b, 2) of a `Blurred` at any points, (n, 2) -> (n, 2): bilinear,
    the nearest edge's value outside."""
    at = (x[:, ::-1] + half) * (len(table) / (2 * half)) - 0.5
    look_up = partial(
        jax.scipy.ndimage.map_coordinates, coordinates=list(at.T), order=1, mode="nearest"
    )
    return jnp.stack([look_up(table[..., 0]), look_up(table[..., 1])], axis=-1)


def sample_blurred(
    blurred: list[Blurred],
    *,
    n: int,
    steps: int,
    step_size: float,
    seed: int,
    start_at: tuple[float, float] = (0.0, 0.0),
    keep_every: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`sample_langevin` with the exact scores in the network's place: what is wrong with these is
    the sampler's fault."""
    if len({(b.half, b.score.shape) for b in blurred}) != 1:
        raise ValueError(f"blurred={[b.half for b in blurred]}: tables of one size, at least one")
    how = dict(n=n, steps=steps, step_size=step_size, seed=seed, start_at=start_at)
    tables = jnp.asarray(np.stack([b.score for b in blurred]), jnp.float32)
    looked_up = lambda table, x: tabulated_score(table, blurred[0].half, x)  # noqa: E731
    return _chains(looked_up, tables, keep_every=keep_every, **how)


def loss_floor(blurred: Blurred, sigma: float) -> float:
    """The smallest reachable `dsm_loss` at σ: 2/σ² - E‖∇ log p_σ‖².

    The target -ε/σ has second moment 2/σ² and, given the noisy point, the mean ∇ log p_σ; what is
    left is the variance of the noise given the point, and no network removes it.
    """
    sigma = checks.number(sigma, "sigma", "positive")
    cell = (2 * blurred.half / len(blurred.density)) ** 2
    return float(2 / sigma**2 - np.sum(blurred.density[..., None] * blurred.score**2) * cell)
