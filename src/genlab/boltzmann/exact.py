"""The general Boltzmann machine, small enough to write down every state: what the rest of the
family is checked against.

A machine of d binary units x has the energy E(x) = -xᵀWx/2 - b·x with W symmetric and no diagonal
(Ackley, Hinton & Sejnowski 1985).  NumPy in double precision; nothing here is shared with
the models it judges.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from genlab import checks

MAX_UNITS = 20  # 2^20 states: a second


class Machine(NamedTuple):
    """W (d, d), symmetric with zero diagonal; b (d,)."""

    W: np.ndarray
    b: np.ndarray


def from_layers(weights: list[np.ndarray], biases: list[np.ndarray]) -> Machine:
    """The machine whose units are stacked layers, ``weights[i]`` (n_i, n_{i+1}) between neighbours:
    an RBM or a DBM."""
    sizes = [len(b) for b in biases]
    starts = np.cumsum([0, *sizes])
    W = np.zeros((starts[-1], starts[-1]))
    for i, w in enumerate(weights):
        if np.shape(w) != (sizes[i], sizes[i + 1]):
            raise ValueError(
                f"weights[{i}] of shape {np.shape(w)} must be {(sizes[i], sizes[i + 1])}, "
                "as the biases say"
            )
        W[starts[i] : starts[i + 1], starts[i + 1] : starts[i + 2]] = w
    return Machine(W + W.T, np.concatenate([np.asarray(b, float) for b in biases]))


def states(d: int) -> np.ndarray:
    """All binary vectors of length d, shape (2^d, d), counting up with the first unit slowest.
    ValueError above 20 units."""
    d = checks.count(d, "d", 0, MAX_UNITS, " units can be enumerated")
    return (np.arange(2**d)[:, None] >> np.arange(d)[::-1] & 1).astype(float)


def energy(machine: Machine, x: np.ndarray) -> np.ndarray:
    """E(x) = -xᵀWx/2 - b·x of x (..., d)."""
    x = checks.numbers(x, "x")
    return -0.5 * ((x @ machine.W) * x).sum(-1) - x @ machine.b


def log_z(machine: Machine) -> float:
    """log Σ_x exp(-E(x)), by enumeration [nats]."""
    return float(logsumexp(-energy(machine, states(len(machine.b)))))


def probabilities(machine: Machine) -> np.ndarray:
    """p(x) of every state, in the order of `states`, shape (2^d,)."""
    minus_energy = -energy(machine, states(len(machine.b)))
    return np.exp(minus_energy - logsumexp(minus_energy))


def marginal(machine: Machine, n_visible: int) -> np.ndarray:
    """p(v) of the first `n_visible` units, in the order of ``states(n_visible)``, shape
    (2^n_visible,)."""
    return probabilities(machine).reshape(2**n_visible, -1).sum(1)


def log_likelihood(machine: Machine, v: np.ndarray) -> np.ndarray:
    """log p(v) of the first v.shape[-1] units, the others summed out, shape (n,) for v
    (n, n_visible) [nats]."""
    index, n_visible = _index(machine, v)
    return np.log(marginal(machine, n_visible))[index]


def _index(machine: Machine, v: np.ndarray) -> tuple[np.ndarray, int]:
    """Where the bits v (n, n_visible) stand in ``states(n_visible)``, and n_visible."""
    v = checks.points(1, v=v)[0]
    if not np.isin(v, (0, 1)).all() or v.shape[1] > len(machine.b):
        raise ValueError(f"v of shape {v.shape} must hold zeros and ones, {len(machine.b)} at most")
    return v.astype(int) @ (1 << np.arange(v.shape[1])[::-1]), v.shape[1]


def log_likelihood_gradient(machine: Machine, v: np.ndarray) -> Machine:
    """Gradient of the mean log p(v) over v (n, n_visible): <x xᵀ> with v clamped minus <x xᵀ>
    free, likewise for b.

    The gradient of W counts each pair once, as ∂/∂W_ij of the energy -Σ_{i<j} W_ij x_i x_j;
    its diagonal is zero.
    """
    (index, n_visible), d = _index(machine, v), len(machine.b)
    x, p = states(d), probabilities(machine)
    hidden_given_visible = p.reshape(2**n_visible, -1) / marginal(machine, n_visible)[:, None]
    data = np.bincount(index, minlength=2**n_visible) / len(index)
    difference = (data[:, None] * hidden_given_visible).ravel() - p
    W = (x * difference[:, None]).T @ x
    return Machine(W - np.diag(np.diag(W)), difference @ x)
