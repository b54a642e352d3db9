"""Whether Markov chains have mixed: agreement between chains, and shares of modes."""

import numpy as np

from genlab import checks


def r_hat(draws: np.ndarray) -> float:
    """Split R̂ of chains `draws` (chains, draws) of one quantity: the spread over all halves of
    chains by that within them (Gelman & Rubin 1992; Gelman et al. 2013, eq. 11.4).

    Near one where no chain can be told from another, and larger where chains stay apart.
    ValueError for fewer than two chains or four draws, and for chains that never move.
    """
    draws = checks.numbers(draws, "draws")
    if draws.ndim != 2 or len(draws) < 2 or draws.shape[1] < 4:
        raise ValueError(f"draws of shape {draws.shape} must be at least (2 chains, 4 draws)")
    n = draws.shape[1] // 2
    halves = np.concatenate([draws[:, :n], draws[:, -n:]])
    within = halves.var(axis=1, ddof=1).mean()
    if not within > 0:
        raise ValueError("draws: no chain moves, so there is no spread within chains")
    between = n * halves.mean(axis=1).var(ddof=1)
    return float(np.sqrt((n - 1) / n + between / (n * within)))


def mode_shares(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Share of the points x (n, d) that are nearest to each of the centres (k, d), (k,)."""
    x, centres = checks.points(1, x=x, centres=centres)
    nearest = np.linalg.norm(x[:, None, :] - centres, axis=-1).argmin(axis=1)
    return np.bincount(nearest, minlength=len(centres)) / len(x)
