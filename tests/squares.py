"""A deep Boltzmann machine of 4 × 4 pixels, four first-layer units and two second-layer ones, small
enough to write down every state: 2¹⁶ pictures times 2⁶ hidden states.  NumPy in double precision;
shares no code with what it judges."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.special import expit, logsumexp

from genlab.boltzmann import dbm, shape
from genlab.boltzmann.exact import states

SIDE, N_1, N_2 = 4, 4, 2
V = states(SIDE * SIDE)
H1, H2 = (np.repeat(states(N_1), 2**N_2, 0), np.tile(states(N_2), (2**N_1, 1)))


class Table(NamedTuple):
    """log_z; log_v (2¹⁶,), log p(v); hidden (2¹⁶, 2⁶), p(h | v)."""

    log_z: float
    log_v: np.ndarray
    hidden: np.ndarray


def machine(where: shape.Layout, *, seed: int = 3, scale: float = 1.0) -> dbm.DBM:
    """A random machine of that layout."""
    rng = np.random.default_rng(seed)
    sizes = ((16, N_1), (N_1, N_2), 16, N_1, N_2)
    parts = [jnp.asarray(scale * rng.normal(size=s), jnp.float32) for s in sizes]
    return dbm.DBM(shape.alike(parts[0], where), *parts[1:])


def table(m: dbm.DBM) -> Table:
    """The whole distribution of a machine."""
    W1, W2, b, c1, c2 = (np.asarray(x, np.float64) for x in m)
    minus_energy = (V @ W1 + c1) @ H1.T + ((H1 @ W2 + c2) * H2).sum(1) + (V @ b)[:, None]
    per_v = logsumexp(minus_energy, axis=1)
    log_z = logsumexp(per_v)
    return Table(float(log_z), per_v - log_z, np.exp(minus_energy - per_v[:, None]))


def index(v: np.ndarray) -> np.ndarray:
    """Where pictures (n, 16) stand in V."""
    return np.asarray(v).astype(int) @ (1 << np.arange(15, -1, -1))


def gradient(m: dbm.DBM, data: np.ndarray) -> list[np.ndarray]:
    """Gradient of the mean log p(v) over data (n, 16), in the parameters of an untied machine."""
    found = table(m)
    share = np.bincount(index(data), minlength=len(V)) / len(data)
    weight = (share - np.exp(found.log_v))[:, None] * found.hidden
    by_h, by_v = weight.sum(0), weight.sum(1)
    return [V.T @ (weight @ H1), (H1 * by_h[:, None]).T @ H2, V.T @ by_v, by_h @ H1, by_h @ H2]


def kernel(m: dbm.DBM) -> np.ndarray:
    """p(h₁' | h₁) of one sweep h₁ → (v, h₂) → h₁', (2⁴, 2⁴)."""
    W1, W2, b, c1, c2 = (np.asarray(x, np.float64) for x in m)
    h1, h2 = states(N_1), states(N_2)

    def p(bits, mean):  # of every row of bits under every row of means
        return np.exp(np.log(mean) @ bits.T + np.log1p(-mean) @ (1 - bits).T)

    to_v, to_2 = p(V, expit(h1 @ W1.T + b)), p(h2, expit(h1 @ W2 + c2))
    return sum(
        to_2[:, [j]] * (to_v @ p(h1, expit(V @ W1 + h2[j] @ W2.T + c1))) for j in range(len(h2))
    )


def first_layer(m: dbm.DBM) -> np.ndarray:
    """p(h₁), (2⁴,)."""
    found = table(m)
    return (np.exp(found.log_v) @ found.hidden).reshape(2**N_1, -1).sum(1)
