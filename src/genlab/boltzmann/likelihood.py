"""The partition function of an RBM: exact for few hidden units, by annealed importance sampling
(AIS) otherwise.

AIS walks from the model of independent pixels at β = 0 to the RBM at β = 1
(Neal 2001; Salakhutdinov & Murray 2008, §4):

    log f_β(v) = ((1-β) a + β b)·v + Σ_j softplus(β (vW + c)_j),
    log Z_0 = Σ softplus(a) + n_hidden log 2,

with a the log-odds of the mean pixels.  Forwards, E[w] = Z_1/Z_0, so log Z is under-estimated on
average and a likelihood flattered; backwards from samples of the model E[w] = Z_0/Z_1, and a
likelihood is under-estimated.  The truth lies between (Burda, Grosse & Salakhutdinov 2015) as far
as the starting samples are the model's own.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid, softplus
from jax.scipy.special import logsumexp

from genlab import checks
from genlab.boltzmann.rbm import (
    RBM,
    binary,
    free_energy,
    hidden_input,
    of_units,
    sample_bits,
    units,
)
from genlab.training import progress

MAX_EXACT_HIDDEN = 20


class AIS(NamedTuple):
    """log_z [nats] and its standard error; ess, the effective sample size of the chains' weights
    (Kong 1992), between 1 and the number of chains; log_weights (chains,).  `se` is the delta
    method on the weights: believe it only if ess is large."""

    log_z: float
    se: float
    ess: float
    log_weights: np.ndarray


def log_z_exact(rbm: RBM) -> float:
    """log Z by summing over all 2^n_hidden hidden states, the visible units in closed form [nats].

    Z = Σ_h exp(c·h + Σ_i softplus((Wh + b)_i)).  Raises ValueError for more than 20 hidden units or
    Gaussian visible units.
    """
    n_hidden = len(rbm.c)
    if n_hidden > MAX_EXACT_HIDDEN or rbm.s is not None:
        raise ValueError(
            f"n_hidden={n_hidden}: an exact log Z needs at most {MAX_EXACT_HIDDEN} hidden and "
            "binary visible units; use ais"
        )
    low = min(n_hidden, 8)
    # The first units are enumerated one state at a time, these last ones all at once.
    inner = _bits(jnp.arange(2**low), low)

    @jax.jit
    def run(rbm):
        def block(i):
            h = jnp.concatenate(
                [jnp.broadcast_to(_bits(i[None], n_hidden - low), (2**low, n_hidden - low)), inner],
                1,
            )
            return logsumexp(h @ rbm.c + softplus(h @ rbm.W.T + rbm.b).sum(1))

        return jax.lax.map(block, jnp.arange(2 ** (n_hidden - low)))

    blocks = np.asarray(run(rbm), np.float64)
    return float(blocks.max() + np.log(np.exp(blocks - blocks.max()).sum()))


def _bits(i: jax.Array, n: int) -> jax.Array:
    """The n lowest binary digits of the integers i (m,), shape (m, n)."""
    return (i[:, None] >> jnp.arange(n) & 1).astype(jnp.float32)


def ais(
    rbm: RBM,
    *,
    mean: np.ndarray,
    inv_temps: np.ndarray,
    chains: int,
    key: jax.Array,
    samples: np.ndarray | None = None,
) -> AIS:
    """Estimate log Z by `chains` walks along `inv_temps` (rising from 0 to 1), from the base model
    with pixel `mean` (n_visible,).

    With `samples` (n, n_visible) of the model itself the walks start from `chains` of them and go
    backwards.  Raises ValueError for temperatures that do not rise from 0 to 1, too few samples,
    or Gaussian visible units.
    """
    binary(rbm, "this walk")
    beta, chains = checks.inv_temps(inv_temps), checks.count(chains, "chains")
    if samples is not None:
        samples = units(rbm, samples, "samples")
        if len(samples) < chains:
            raise ValueError(f"chains={chains} but only {len(samples)} samples to start from")
    a = base_log_odds(mean, len(rbm.b))
    key_start, key_walk, _ = jax.random.split(key, 3)
    log_z0 = float(np.sum(np.logaddexp(0, np.asarray(a, np.float64)))) + len(rbm.c) * np.log(2)
    if samples is None:
        v = sample_bits(jnp.broadcast_to(sigmoid(a), (chains, len(a))), key=key_start)
    else:
        v, beta = samples[:chains].astype(jnp.float32), beta[::-1]
    what = "AIS" if samples is None else "reverse AIS"
    _, log_w = walk(partial(_stretch, rbm, a), v, beta, key=key_walk, what=what)
    return summary(log_w, log_z0, backwards=samples is not None)


def base_log_odds(mean: np.ndarray, n_visible: int) -> jax.Array:
    """Log-odds (n_visible,) of independent pixels with this `mean` (n_visible,)."""
    mean = checks.shape(checks.numbers(mean, "mean", np.float32), "mean", (n_visible,))
    if mean.min() < 0 or mean.max() > 1:
        raise ValueError(f"mean from {mean.min()} to {mean.max()} must be within [0, 1]")
    # A pixel that never changes would have infinite log-odds.
    mean = np.clip(mean, 1e-3, 1 - 1e-3)
    return jnp.log(mean / (1 - mean))


def summary(log_w: np.ndarray, log_z0: float, *, backwards: bool = False) -> AIS:
    """log Z from the log weights of walks from the base model, whose log Z is `log_z0`,
    or backwards from the model."""
    log_w = checks.numbers(log_w, "log_w")
    if log_w.ndim != 1 or not len(log_w):
        raise ValueError(f"log_w of shape {log_w.shape} must be (chains,), at least one")
    log_ratio, se, ess = mean_weight(log_w)
    log_z = log_z0 - log_ratio if backwards else log_z0 + log_ratio
    return AIS(log_z, float(se), float(ess), log_w)


def mean_weight(log_w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The logarithm of the mean weight over the last axis (..., chains), its standard error by the
    delta method, infinite for one chain, and the effective number of weights; (...) each."""
    top, n = log_w.max(-1, keepdims=True), log_w.shape[-1]
    w = np.exp(log_w - top)
    se = w.std(-1, ddof=1) / w.mean(-1) / np.sqrt(n) if n > 1 else np.inf
    return top[..., 0] + np.log(w.mean(-1)), se, w.sum(-1) ** 2 / (w**2).sum(-1)


def walk(
    stretch: Callable,
    x: jax.Array,
    inv_temps: np.ndarray,
    *,
    key: jax.Array,
    what: str,
    size: int = 500,
) -> tuple[jax.Array, np.ndarray]:
    """Walk x along `inv_temps`, so many of them in each call of the compiled ``stretch(x, pairs (m,
    2), key) -> (x, gained)``; where x ends, and its log weights, summed in double precision."""
    pairs = np.stack([inv_temps[:-1], inv_temps[1:]], 1).astype(np.float32)
    chunks, log_w = [pairs[i : i + size] for i in range(0, len(pairs), size)], 0.0
    for i in progress(len(chunks), what):
        x, gained = stretch(x, chunks[i], jax.random.fold_in(key, i))
        log_w = log_w + np.asarray(gained, np.float64)
    return x, log_w


@jax.jit
def _stretch(rbm: RBM, a: jax.Array, v: jax.Array, pairs: jax.Array, key: jax.Array):
    """Steps of AIS along pairs (n, 2) of inverse temperatures: weigh v by f_new/f_old, then one
    Gibbs step at the new one."""

    def body(carry, inputs):
        v, log_w = carry
        (old, new), step_key = inputs
        key_h, key_v = jax.random.split(step_key)
        x = hidden_input(rbm, v)
        log_w += (new - old) * (v @ (rbm.b - a)) + (softplus(new * x) - softplus(old * x)).sum(-1)
        h = sample_bits(sigmoid(new * x), key=key_h)
        v = sample_bits(sigmoid((1 - new) * a + new * (h @ rbm.W.T + rbm.b)), key=key_v)
        return (v, log_w), None

    return jax.lax.scan(body, (v, jnp.zeros(len(v))), (pairs, jax.random.split(key, len(pairs))))[0]


def schedule(steps: int) -> np.ndarray:
    """Inverse temperatures from 0 to 1, dense where AIS of an RBM needs it: `steps` in all, shares
    1 : 4 : 10 over [0, 0.5), [0.5, 0.9), [0.9, 1] (Salakhutdinov & Murray 2008, §6.1)."""
    steps = checks.count(steps, "steps", 15)
    first, second = steps // 15, 4 * steps // 15
    parts = (
        np.linspace(0, 0.5, first, endpoint=False),
        np.linspace(0.5, 0.9, second, endpoint=False),
    )
    return np.concatenate([*parts, np.linspace(0.9, 1, steps - first - second)])


@of_units
@partial(jax.jit, static_argnames="batch_size")
def log_likelihood(rbm: RBM, v: jax.Array, log_z: float, batch_size: int = 1000) -> jax.Array:
    """log p(v) = -F(v) - log Z of v (n, n_visible), shape (n,) [nats]."""
    return -jax.lax.map(lambda row: free_energy(rbm, row), v, batch_size=batch_size) - log_z
