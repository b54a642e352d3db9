"""Mixtures of independent pixels: rivals of a Boltzmann machine whose likelihood and conditionals
are sums over a few components, exactly.

    p(v) = Σ_k w_k Π_i p_ki^v_i (1 - p_ki)^(1 - v_i).

Fitted by expectation-maximisation, or with one component a training shape, each pixel of which is
flipped with a small probability: the nearest neighbour as a distribution.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from genlab import checks


class Mixture(NamedTuple):
    """weights (k,), positive, which sum to one; means (k, n_visible), within (0, 1)."""

    weights: np.ndarray
    means: np.ndarray


def log_joint(mixture: Mixture, v: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """log w_k + log p(v_known | k) of every row of v (n, n_visible) and component, (n, k)."""
    known = _known(mixture, known)
    # What stands in the place of unknown pixels, NaN perhaps, takes no part.
    v = np.where(known, checks.real(v, "v"), np.zeros((), np.float32))
    v = checks.probabilities(v, "v", len(known)).astype(np.float64)[:, known]
    on, off = (np.log(p[:, known]) for p in (mixture.means, 1 - mixture.means))
    return np.log(mixture.weights) + v @ (on - off).T + off.sum(1)


def _known(mixture: Mixture, known: np.ndarray | None) -> np.ndarray:
    known = np.ones(mixture.means.shape[1], bool) if known is None else known
    return checks.flags(known, "known", mixture.means.shape[1:], ": one a pixel")


def log_prob(mixture: Mixture, v: np.ndarray) -> np.ndarray:
    """log p(v) of bits v (n, n_visible), shape (n,) [nats]."""
    return logsumexp(log_joint(mixture, v), axis=1)


def log_conditional(mixture: Mixture, v: np.ndarray, known: np.ndarray) -> np.ndarray:
    """log p(v_missing | v_known) of bits v (n, n_visible), `known` (n_visible,), shape (n,)
    [nats]."""
    seen = logsumexp(log_joint(mixture, v, known), axis=1)
    return log_prob(mixture, v) - seen


def complete(mixture: Mixture, v: np.ndarray, known: np.ndarray) -> np.ndarray:
    """E[v | v_known] of v (n, n_visible), the known pixels as given."""
    joint = log_joint(mixture, v, known)
    share = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    return np.where(_known(mixture, known), checks.real(v, "v"), share @ mixture.means)


def smoothed(shapes: np.ndarray, *, flip: float) -> Mixture:
    """Every row of `shapes` (n, n_visible), bits, as a component of weight 1/n whose pixels are
    flipped with probability `flip`."""
    shapes, flip = checks.probabilities(shapes, "shapes"), checks.number(flip, "flip", "in (0, 1)")
    return Mixture(
        np.full(len(shapes), 1 / len(shapes)), flip + (1 - 2 * flip) * shapes.astype(float)
    )


def fit(
    v: np.ndarray,
    *,
    components: int,
    steps: int = 100,
    prior: float = 0.1,
    rng: np.random.Generator,
) -> Mixture:
    """`steps` of expectation-maximisation on bits v (n, n_visible), from components that each begin
    at a row of its own.

    prior: pixels on and off that every component has seen beside its share of the data, so that no
    mean is 0 or 1; every component has seen as many whole pictures.  Each step raises the
    likelihood times the density of that prior.  Raises ValueError for more components than rows.
    """
    v = checks.probabilities(v, "v").astype(np.float64)
    components = checks.count(components, "components", 1, len(v), f" for {len(v)} rows")
    steps, prior = checks.count(steps, "steps"), checks.number(prior, "prior", "positive")
    start = v[rng.permutation(len(v))[:components]]
    mixture = Mixture(np.full(components, 1 / components), 0.25 + 0.5 * start)
    for _ in range(steps):
        mixture = em_step(mixture, v, prior)
    return mixture


def em_step(mixture: Mixture, v: np.ndarray, prior: float) -> Mixture:
    """One step of expectation-maximisation on v (n, n_visible)."""
    joint = log_joint(mixture, v)
    share = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    count = share.sum(0)
    means = (share.T @ checks.real(v, "v") + prior) / (count + 2 * prior)[:, None]
    return Mixture((count + prior) / (count + prior).sum(), means)
