"""The restricted Boltzmann machine: free energy, conditionals, block Gibbs,
pseudo-likelihood.

Binary units have the energy E(v, h) = -vᵀWh - b·v - c·h (Smolensky 1986).  Gaussian visible units
with standard deviations s have E(v, h) = Σ(v - b)²/2s² - (v/s²)ᵀWh - c·h (Cho, Ilin & Raiko 2011,
eq. 2).  Both kinds share the functions below; an RBM is a tuple of arrays, so it passes through
`jax.jit`, `vmap` and `scan` as it is.
"""

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import threefry_2x32
from jax.nn import log_sigmoid, sigmoid, softplus

from genlab import checks
from genlab.training.jax import floats


class RBM(NamedTuple):
    """W (n_visible, n_hidden), visible bias b (n_visible,), hidden bias c (n_hidden,);
    s (n_visible,) if v is Gaussian."""

    W: jax.Array
    b: jax.Array
    c: jax.Array
    s: jax.Array | None = None


def init_rbm(
    n_visible: int, n_hidden: int, *, key: jax.Array, mean: np.ndarray | None = None, s=None
) -> RBM:
    """Weights from N(0, 0.01²), hidden biases zero, visible biases such that the empty model has
    the `mean` of the data.

    A binary mean is kept within [0.001, 0.999], so pixels that are never on start at a log-odds of
    -6.9 (Hinton 2010, §8).
    """
    n_visible, n_hidden = checks.count(n_visible, "n_visible"), checks.count(n_hidden, "n_hidden")
    mean = np.full(n_visible, 0.5) if mean is None else mean
    if not checks.traced(mean):
        mean = checks.shape(checks.numbers(mean, "mean", None), "mean", (n_visible,))
    if s is None:
        mean = np.clip(mean, 1e-3, 1 - 1e-3)
        mean = np.log(mean / (1 - mean))
    W = 0.01 * jax.random.normal(key, (n_visible, n_hidden))
    return RBM(
        W,
        jnp.asarray(mean, W.dtype),
        jnp.zeros(n_hidden),
        None if s is None else jnp.asarray(s, W.dtype),
    )


def hidden_input(rbm: RBM, v: jax.Array) -> jax.Array:
    """What each hidden unit receives, (..., n_hidden): vW + c, for Gaussian v (v/s²)W + c."""
    v = floats(v)
    return (v if rbm.s is None else v / rbm.s**2) @ rbm.W + rbm.c


def visible_energy(rbm: RBM, v: jax.Array) -> jax.Array:
    """The part of the energy that no hidden unit changes: -b·v, for Gaussian v Σ(v - b)²/2s²."""
    v = floats(v)
    return -v @ rbm.b if rbm.s is None else 0.5 * (((v - rbm.b) / rbm.s) ** 2).sum(-1)


def free_energy(rbm: RBM, v: jax.Array) -> jax.Array:
    """F(v) = -log Σ_h exp(-E(v, h)), so that p(v) = exp(-F(v)) / Z; shape (...)."""
    return visible_energy(rbm, v) - softplus(hidden_input(rbm, v)).sum(-1)


def hidden_given_visible(rbm: RBM, v: jax.Array) -> jax.Array:
    """p(h_j = 1 | v) = σ((vW + c)_j), shape (..., n_hidden)."""
    return sigmoid(hidden_input(rbm, v))


def visible_given_hidden(rbm: RBM, h: jax.Array) -> jax.Array:
    """E[v | h], shape (..., n_visible): σ(Wh + b) for binary v, where it is p(v_i = 1 | h);
    Wh + b for Gaussian v."""
    mean = floats(h) @ rbm.W.T + rbm.b
    return sigmoid(mean) if rbm.s is None else mean


@partial(jax.jit, inline=True)
def sample_bits(p: jax.Array, *, key: jax.Array) -> jax.Array:
    """Independent bits that are one with probabilities `p`, as floats.

    A probability counts to the nearest multiple of 2⁻¹⁶: two draws from each 32-bit word take a
    third of the time that `jax.random.bernoulli` does, which was a quarter of a training.
    """
    p = floats(p)
    words = threefry_2x32(jax.random.key_data(key), jnp.arange((p.size + 1) // 2, dtype=jnp.uint32))
    draws = jnp.concatenate([words & 0xFFFF, words >> 16])[: p.size].reshape(p.shape)
    return (draws + 0.5 < p * 2**16).astype(p.dtype)


def sample_visible(rbm: RBM, mean: jax.Array, *, key: jax.Array) -> jax.Array:
    """v given its conditional mean: bits, or N(mean, s²)."""
    return (
        sample_bits(mean, key=key)
        if rbm.s is None
        else mean + rbm.s * jax.random.normal(key, mean.shape)
    )


def gibbs_step(rbm: RBM, v: jax.Array, *, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One block Gibbs step v → h → v'; returns v' and its conditional mean, the picture people
    show."""
    key_h, key_v = jax.random.split(key)
    h = sample_bits(hidden_given_visible(rbm, v), key=key_h)
    mean = visible_given_hidden(rbm, h)
    return sample_visible(rbm, mean, key=key_v), mean


def units(machine: Any, v: Any, name: str = "v") -> jax.Array:
    """Visible units (n, n_visible) of a machine with biases b, as floats.  ValueError unless binary
    ones are within [0, 1] and Gaussian ones finite; inside a compiled program only floats."""
    if checks.traced(v):
        return floats(v)
    width = np.shape(machine.b)[-1]
    if not isinstance(machine, RBM) or machine.s is None:
        return jnp.asarray(checks.probabilities(v, name, width))
    v = checks.points(1, dtype=None, **{name: v})[0]
    return jnp.asarray(checks.shape(v, name, (len(v), width)))


def partly_known(machine: Any, v: Any, known: Any) -> tuple[jax.Array, np.ndarray]:
    """Visible units v (n, n_visible) of a machine of which the pixels `known` (n_visible,) are
    given: what stands in the place of others, NaN perhaps, is zero.  Returns both, checked."""
    known = checks.flags(known, "known", np.shape(machine.b), ": one a pixel")
    return units(machine, np.where(known, checks.real(v, "v"), np.zeros((), np.float32))), known


def of_units(f: Callable) -> Callable:
    """f(machine, v, ...) whose visible units v have passed `units`."""

    @wraps(f)
    def checked(*args, **options):
        call = inspect.signature(f).bind(*args, **options)
        call.arguments["v"] = units(next(iter(call.arguments.values())), call.arguments["v"])
        for name in call.arguments.keys() & {"steps", "batch_size"}:
            call.arguments[name] = checks.count(call.arguments[name], name)
        return f(*call.args, **call.kwargs)

    return checked


def binary(rbm: RBM, what: str) -> None:
    """ValueError for Gaussian visible units, of which `what` knows nothing."""
    if rbm.s is not None:
        raise ValueError(f"rbm has Gaussian visible units (s is given): {what} is for binary ones")


@of_units
@jax.jit
def gibbs_chain(
    rbm: RBM, v: jax.Array, *, steps: int, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """`steps` Gibbs steps from v (n, n_visible); the last v and its conditional mean."""
    return jax.lax.fori_loop(
        0, steps, lambda i, carry: gibbs_step(rbm, carry[0], key=jax.random.fold_in(key, i)), (v, v)
    )


@of_units
@jax.jit
def gibbs_film(rbm: RBM, v: jax.Array, after: jax.Array, *, key: jax.Array) -> jax.Array:
    """The conditional means of `gibbs_chain` after the numbers of steps `after` (m,), which rise;
    shape (m, n, n_visible)."""

    def body(carry, until):
        v, _, done = carry
        step = lambda i, pair: gibbs_step(  # noqa: E731
            rbm, pair[0], key=jax.random.fold_in(key, i)
        )
        v, mean = jax.lax.fori_loop(done, until, step, (v, v))
        return (v, mean, until), mean

    after = jnp.asarray(after)
    return jax.lax.scan(body, (v, v, jnp.zeros((), after.dtype)), after)[1]


@of_units
@jax.jit
def pseudo_log_likelihood(rbm: RBM, v: jax.Array) -> jax.Array:
    """Σ_i log p(v_i | all other pixels) of binary v (n, n_visible), over all pixels exactly,
    shape (n,) [nats].

    Flipping pixel i changes the free energy to F_i, and log p(v_i | v_-i) = log σ(F_i - F).
    """
    binary(rbm, "the pseudo-likelihood")
    flips = 1 - 2 * v

    def one(v, flip):
        x = hidden_input(rbm, v)
        # -F_i, without the b·v that F_i and F have in common
        flipped = softplus(x + flip[:, None] * rbm.W).sum(-1) + flip * rbm.b
        return log_sigmoid(softplus(x).sum() - flipped).sum()

    return jax.lax.map(lambda pair: one(*pair), (v, flips), batch_size=20)


@of_units
@jax.jit
def one_bit_pseudo_log_likelihood(rbm: RBM, v: jax.Array, *, key: jax.Array) -> jax.Array:
    """scikit-learn's estimate: one pixel of each image is flipped, and its log p times n_visible,
    shape (n,) [nats].

    Unbiased for `pseudo_log_likelihood` with a large variance.
    """
    binary(rbm, "the pseudo-likelihood")
    n, d = v.shape
    i = jax.random.randint(key, (n,), 0, d)
    flipped = v.at[jnp.arange(n), i].set(1 - v[jnp.arange(n), i])
    return d * log_sigmoid(free_energy(rbm, flipped) - free_energy(rbm, v))


def complete(
    rbm: RBM,
    v: jax.Array,
    known: jax.Array,
    *,
    steps: int,
    key: jax.Array,
    burn_in: int = 0,
    clamped: bool = True,
) -> tuple[jax.Array, jax.Array]:
    """`steps` Gibbs steps on v (n, n_visible) of which the pixels `known` (n_visible,) are given
    and the others start at random.

    Returns the last v and the average of E[v | h] over the steps after `burn_in`, known pixels as
    given: with enough steps the posterior mean, the best guess in squared error.  Not `clamped`:
    the known pixels only start the chain and are then free, as in source C.  Raises ValueError
    unless 0 <= burn_in < steps.
    """
    steps = checks.count(steps, "steps")
    burn_in = checks.count(burn_in, "burn_in", 0, steps - 1, f": of steps={steps}, one must follow")
    v, known = partly_known(rbm, v, known)
    return _complete(rbm, v, known, steps=steps, key=key, burn_in=burn_in, clamped=bool(clamped))


@partial(jax.jit, static_argnames=("steps", "burn_in", "clamped"))
def _complete(rbm: RBM, v, known, *, steps: int, key: jax.Array, burn_in: int, clamped: bool):
    key_start, key_walk = jax.random.split(key)
    start = jnp.where(known, v, sample_bits(jnp.full(v.shape, 0.5), key=key_start))

    def body(carry, inputs):
        x, total = carry
        i, step_key = inputs
        x, mean = gibbs_step(rbm, x, key=step_key)
        if clamped:
            x, mean = jnp.where(known, v, x), jnp.where(known, v, mean)
        return (x, total + (i >= burn_in) * mean), None

    keys = jax.random.split(key_walk, steps)
    (x, total), _ = jax.lax.scan(body, (start, jnp.zeros(v.shape)), (jnp.arange(steps), keys))
    return x, total / (steps - burn_in)


def top_rows_known(rows: int, side: int = 28) -> jnp.ndarray:
    """Which of side² pixels are known when the `rows` uppermost rows are removed,
    shape (side²,)."""
    rows = checks.count(rows, "rows", 0, checks.count(side, "side"))
    return jnp.arange(side * side) >= rows * side
