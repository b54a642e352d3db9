"""A deep Boltzmann machine of which some pixels are known: samples, and the probability of the
others given these.

log p(v_missing | v_seen) = log Z(all pixels known) - log Z(seen pixels known), where Z(known) sums
exp(-E) over the hidden units and the pixels that are not known.  Both are estimated by annealed
importance sampling of h₁ alone, everything else summed out.  With no pixel known Z is the
partition function, so the same walk gives log p(v).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid, softplus
from jax.scipy.special import logit

from genlab import checks
from genlab.boltzmann import dbm as deep
from genlab.boltzmann.dbm import DBM
from genlab.boltzmann.likelihood import base_log_odds, mean_weight, walk
from genlab.boltzmann.rbm import partly_known, sample_bits

STRETCH = 100  # temperatures of a walk that are one call of the compiled program


def complete(
    machine: DBM, v: jax.Array, known: np.ndarray, *, steps: int, key: jax.Array, burn_in: int = 0
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`steps` sweeps of Gibbs sampling on v (n, n_visible) of which the pixels `known` (n_visible,)
    are held and the others start at random.

    Returns the last v, the last h₁ and the average of E[v | h₁] over the sweeps after `burn_in`,
    known pixels as given.  Raises ValueError unless 0 <= burn_in < steps.
    """
    steps = checks.count(steps, "steps")
    burn_in = checks.count(burn_in, "burn_in", 0, steps - 1, f": of steps={steps}, one must follow")
    v, known = partly_known(machine, v, known)
    return _complete(machine, v, known, steps, burn_in, key)


@jax.jit
def _complete(machine: DBM, v: jax.Array, known: jax.Array, steps, burn_in, key: jax.Array):
    key_v, key_h, key = jax.random.split(key, 3)
    x = jnp.where(known, v, sample_bits(jnp.full(v.shape, 0.5), key=key_v))
    h1 = sample_bits(sigmoid(2 * x @ machine.W1 + machine.c1), key=key_h)

    def body(i, carry):
        x, h1, total = carry
        x, h1, mean = sweep(machine, v, known, h1, key=jax.random.fold_in(key, i))
        return x, h1, total + (i >= burn_in) * mean

    x, h1, total = jax.lax.fori_loop(0, steps, body, (x, h1, jnp.zeros(v.shape)))
    return x, h1, total / (steps - burn_in)


def sweep(machine: DBM, v: jax.Array, known: jax.Array, h1: jax.Array, *, key: jax.Array):
    """One sweep h₁ → (v, h₂) → h₁' with the known pixels of v held; returns v, h₁' and E[v|h₁]."""
    key_v, key_2, key_1 = jax.random.split(key, 3)
    mean = jnp.where(known, v, sigmoid(h1 @ machine.W1.T + machine.b))
    x = jnp.where(known, v, sample_bits(mean, key=key_v))
    h2 = sample_bits(sigmoid(h1 @ machine.W2 + machine.c2), key=key_2)
    h1 = sample_bits(sigmoid(x @ machine.W1 + h2 @ machine.W2.T + machine.c1), key=key_1)
    return x, h1, mean


class Walks(NamedTuple):
    """log_z (n,), the logarithms of the averages over the walks [nats]; se (n,), their standard
    errors by the delta method; ess (n,), effective numbers of walks; ends (n, chains, n_1), where
    the walks stopped, drawn by their weights."""

    log_z: np.ndarray
    se: np.ndarray
    ess: np.ndarray
    ends: np.ndarray


def ais(
    machine: DBM,
    v: np.ndarray,
    known: np.ndarray,
    *,
    mean: np.ndarray,
    inv_temps: np.ndarray,
    chains: int,
    key: jax.Array,
    ends: np.ndarray | None = None,
) -> Walks:
    """log Z(known) of every row of v (n, n_visible), by `chains` walks each along `inv_temps`.

    At β = 0 what is not known is independent: pixels with `mean` μ (n_visible,), second-layer units
    with the means λ that mean field gives them at μ, and h₁ sees these means in place of what they
    stand for.  With known pixels K and missing ones M

        log f_β(h₁) = b_K·v_K + (c₁ + v_K W_K + (1-β)(μ_M W_M + λW₂ᵀ))·h₁
                      + Σ_M softplus((1-β)a + β(b + W₁h₁)) + Σ softplus((1-β)l + β(c₂ + h₁W₂)),

    where a, l are the log-odds of μ, λ.  The walks tend to an estimate that is too low; with `ends`
    (n, chains, n_1), samples of h₁ at β = 1, they go backwards and tend to one that is too high.
    """
    (v, known), beta = partly_known(machine, v, known), checks.inv_temps(inv_temps)
    chains = checks.count(chains, "chains", 2, hint=": one has no standard error")
    a, shape = base_log_odds(mean, len(machine.b)), (len(v), chains, len(machine.c1))
    base = _base(machine, v, jnp.asarray(known), a)
    key_start, key_ends, key = jax.random.split(key, 3)
    if ends is None:
        at_zero = sigmoid(base.field + base.pull)[:, None]
        h1 = sample_bits(jnp.broadcast_to(at_zero, shape), key=key_start)
    else:
        h1, beta = jnp.asarray(checks.shape(ends, "ends", shape), jnp.float32), beta[::-1]
    missing = machine._replace(W1=machine.W1[~known], b=machine.b[~known])
    stretch = partial(_stretch, missing, a[~known], base)
    h1, log_w = walk(stretch, h1, beta, key=key, what="AIS with known pixels", size=STRETCH)
    return _walks(log_w, np.asarray(base.log_z, np.float64), np.asarray(h1), ends, key_ends)


class Base(NamedTuple):
    """field (n, n_1): what h₁ hears from the known pixels; pull (n_1,): what it hears at β = 0 from
    the means of all else; l (n_2,): log-odds of λ; log_z (n,), log Z at β = 0."""

    field: jax.Array
    pull: jax.Array
    l: jax.Array  # noqa: E741
    log_z: jax.Array


@jax.jit
def _base(machine: DBM, v: jax.Array, known: jax.Array, a: jax.Array) -> Base:
    mean = sigmoid(a)
    q2 = jnp.clip(deep.mean_field(machine, mean[None], steps=20).q2[0], 1e-3, 1 - 1e-3)
    field = machine.c1 + v @ machine.W1
    pull = jnp.where(known, 0, mean) @ machine.W1 + machine.W2 @ q2
    alone = jnp.where(known, 0, softplus(a)).sum() + softplus(logit(q2)).sum()
    log_z = v @ machine.b + softplus(field + pull).sum(-1) + alone
    return Base(field, pull, logit(q2), log_z)


@jax.jit
def _stretch(missing: DBM, a: jax.Array, base: Base, h1: jax.Array, pairs: jax.Array, key):
    """Steps along pairs (m, 2) of inverse temperatures: weigh h₁ by f_new/f_old, then sweep at the
    new one.  `missing`: the machine without its known pixels."""

    def body(carry, inputs):
        h1, log_w = carry
        (old, new), step_key = inputs
        key_v, key_2, key_1 = jax.random.split(step_key, 3)
        x, y = h1 @ missing.W1.T + missing.b, h1 @ missing.W2 + missing.c2
        at = lambda beta: ((1 - beta) * a + beta * x, (1 - beta) * base.l + beta * y)  # noqa: E731
        summed = lambda beta: sum(softplus(odds).sum(-1) for odds in at(beta))  # noqa: E731
        log_w += summed(new) - summed(old) - (new - old) * (h1 @ base.pull)
        v, h2 = (
            sample_bits(sigmoid(odds), key=k)
            for odds, k in zip(at(new), (key_v, key_2), strict=True)
        )
        heard = (1 - new) * base.pull + new * (v @ missing.W1 + h2 @ missing.W2.T)
        h1 = sample_bits(sigmoid(base.field[:, None] + heard), key=key_1)
        return (h1, log_w), None

    keys = jax.random.split(key, len(pairs))
    return jax.lax.scan(body, (h1, jnp.zeros(h1.shape[:2])), (pairs, keys))[0]


def _walks(log_w: np.ndarray, log_z0: np.ndarray, h1: np.ndarray, backwards, key) -> Walks:
    """The estimates from the log weights (n, chains) of walks from log Z at β = 0 or back."""
    log_ratio, se, ess = mean_weight(log_w)
    if backwards is not None:
        return Walks(log_z0 - log_ratio, se, ess, h1)
    odds = jnp.asarray(log_w - log_w.max(1, keepdims=True))
    drawn = np.asarray(jax.random.categorical(key, odds, shape=log_w.T.shape)).T
    return Walks(log_z0 + log_ratio, se, ess, np.take_along_axis(h1, drawn[..., None], 1))


class Both(NamedTuple):
    """Walks of `ais` forwards, and back from where those ended."""

    forward: Walks
    back: Walks


def both_ways(
    machine: DBM,
    v: np.ndarray,
    known: np.ndarray,
    *,
    sweeps: int,
    key: jax.Array,
    start: np.ndarray | None = None,
    **walk,
) -> Both:
    """Walks of `ais` (whose arguments are `walk`) in both directions for the rows of v
    (n, n_visible) with the pixels `known`.

    The walks back start `sweeps` sweeps behind `start` (n, chains, n_1), by default where those
    forwards ended, drawn by their weights: they err to their side only as far as these are samples
    of the machine.  What the walks forwards did not find those back from their ends miss too; a
    start at data tells.
    """
    (v, known), sweeps = partly_known(machine, v, known), checks.count(sweeps, "sweeps", 0)
    key_there, key_sweeps, key_back = jax.random.split(key, 3)
    there = ais(machine, v, known, key=key_there, **walk)
    start = there.ends if start is None else checks.shape(start, "start", there.ends.shape)
    start = jnp.asarray(start, jnp.float32)
    ends = np.asarray(_sweeps(machine, v, known, start, sweeps, key_sweeps))
    return Both(there, ais(machine, v, known, key=key_back, ends=ends, **walk))


@jax.jit
def _sweeps(machine: DBM, v: jax.Array, known, h1: jax.Array, steps, key: jax.Array) -> jax.Array:
    """h₁ (n, chains, n_1) after so many sweeps with the known pixels held."""
    walk = lambda i, h1: sweep(  # noqa: E731
        machine, v[:, None], known, h1, key=jax.random.fold_in(key, i)
    )[1]
    return jax.lax.fori_loop(0, steps, walk, h1)


class Conditional(NamedTuple):
    """log p(v_missing | v_seen) [nats] of every row, (n,): forward, by walks forwards; low and
    high, what it lies between as far as each walk errs to its side; ess (n,), the smallest
    effective number of walks of the four."""

    forward: np.ndarray
    low: np.ndarray
    high: np.ndarray
    ess: np.ndarray


def conditional(whole: Both, seen: Both) -> Conditional:
    """The log-probability of the missing pixels given those seen, from the walks with every pixel
    known and those with the seen ones known; log p(v) if nothing is seen, of one row or of n."""
    n = len(whole.forward.log_z)
    ess = [np.broadcast_to(walks.ess, n) for both in (whole, seen) for walks in both]
    return Conditional(
        whole.forward.log_z - seen.forward.log_z,
        whole.forward.log_z - seen.back.log_z,
        whole.back.log_z - seen.forward.log_z,
        np.min(ess, axis=0),
    )
