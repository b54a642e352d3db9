"""Optimal transport with its certificates: what POT (Flamary et al. 2021) solves, with weights
checked and optimality measured.

Cost matrices are C (n, m), weights a (n,) and b (m,) that sum to one, plans P (n, m) >= 0 with row
sums a and column sums b.  Every solver says how far its answer is from the truth: the error of the
marginals and the gap between primal and dual.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import ot
from PIL import Image, UnidentifiedImageError
from scipy.special import logsumexp, xlogy
from sklearn.datasets import load_sample_image

SAMPLES = ("china.jpg", "flower.jpg")  # the two pictures that scikit-learn brings along


class Plan(NamedTuple):
    """plan (n, m).  cost: <P, C>.  f (n,), g (m,): dual potentials.  value: of the problem that was
    solved, a·f + b·g.  marginal_error: Σ|P1 - a| + Σ|Pᵀ1 - b|.  gap: primal minus dual objective,
    0 at the optimum.  converged; iterations."""

    plan: np.ndarray
    cost: float
    f: np.ndarray
    g: np.ndarray
    value: float
    marginal_error: float
    gap: float
    converged: bool
    iterations: int


def check_weights(w, n: int, name: str) -> np.ndarray:
    """Weights (n,) as float64, uniform for None.  ValueError if they are not n finite numbers >= 0
    that sum to one."""
    if w is None:
        return np.full(n, 1 / n)
    w = np.asarray(w, dtype=np.float64)
    if w.shape != (n,):
        raise ValueError(f"{name} of shape {w.shape} must hold one weight for each of {n} points")
    if not np.isfinite(w).all() or (w < 0).any():
        bad = int(np.argmax(~(w >= 0) | ~np.isfinite(w)))
        raise ValueError(f"{name}[{bad}]={w[bad]} must be finite and not negative")
    if abs(w.sum() - 1) > 1e-8:
        raise ValueError(f"{name} sums to {w.sum():.9g}, it must sum to 1: divide it by its sum")
    return w


def check_cost(cost, a, b) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cost (n, m) and weights, checked.  ValueError names what is wrong."""
    cost = np.asarray(cost, dtype=np.float64)
    if cost.ndim != 2 or not cost.size:
        raise ValueError(f"cost of shape {cost.shape} must be a matrix (n, m)")
    if not np.isfinite(cost).all():
        raise ValueError(f"cost holds {np.sum(~np.isfinite(cost))} values that are not finite")
    return cost, check_weights(a, cost.shape[0], "a"), check_weights(b, cost.shape[1], "b")


def check_epsilon(epsilon: float) -> None:
    """ValueError unless epsilon > 0."""
    if not (np.isfinite(epsilon) and epsilon > 0):
        raise ValueError(f"epsilon={epsilon} must be positive; for epsilon = 0 use emd")


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """C_ij = |x_i - y_j|², shape (n, m), for x (n, d) and y (m, d), in squared units of x.
    ValueError if not finite."""
    x, y = (np.asarray(p, dtype=np.float64) for p in (x, y))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"points of shapes {x.shape} and {y.shape} must be (n, d) and (m, d)")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("points must be finite: drop or clip those that are not")
    return ot.dist(x, y, metric="sqeuclidean")


def marginal_error(plan: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Σ|P1 - a| + Σ|Pᵀ1 - b|: the mass that lies wrong."""
    return float(np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum())


def emd(cost, a=None, b=None) -> Plan:
    """The exact optimum min <P, C> (Kantorovich 1942) by POT's network simplex, with its dual:
    f_i + g_j <= C_ij, and f_i + g_j = C_ij where mass moves.  `converged` is False if the simplex
    stopped early.  ValueError for bad weights or costs."""
    cost, a, b = check_cost(cost, a, b)
    plan, log = ot.emd(a, b / b.sum() * a.sum(), cost, numItermax=10_000_000, log=True)
    f, g = log["u"], log["v"]
    # What the dual must give up to be feasible.
    slack = max(0.0, float((f[:, None] + g - cost).max()))
    primal, dual = float((plan * cost).sum()), float(a @ f + b @ g)
    return Plan(
        plan,
        primal,
        f,
        g,
        dual,
        marginal_error(plan, a, b),
        primal - dual + slack,
        log["warning"] is None,
        0,
    )


def sinkhorn(
    cost, a=None, b=None, *, epsilon: float, tolerance: float = 1e-7, max_iterations: int = 10_000
) -> Plan:
    """The entropic optimum min <P, C> + ε KL(P | a bᵀ) (Cuturi 2013), by Sinkhorn's iteration,
    stabilised: scalings that grow too large are absorbed into potentials (Schmitzer 2019, §3.1).

    P = a bᵀ exp((f + g - C)/ε).  Stops when one marginal is within `tolerance` of its target
    (2-norm, looked at every tenth iteration).  Starts from the potentials of larger ε, each half of
    the one before (§3.2).  epsilon in units of cost; `value` is the regularised objective, `cost`
    the bare <P, C>, `gap` what is left between primal and dual.  Not converged after
    `max_iterations`: `converged` is False and `marginal_error` says by how much.
    ValueError for epsilon <= 0.
    """
    check_epsilon(epsilon)
    cost, a, b = check_cost(cost, a, b)
    # A point without mass takes no part; its logarithm would spoil the others.
    rows, columns = a > 0, b > 0
    inner = cost[np.ix_(rows, columns)]
    levels = epsilon * 2.0 ** np.arange(
        max(0, np.ceil(np.log2(max(np.ptp(inner), epsilon) / epsilon))), -1, -1
    )
    start, iterations = None, 0
    for level in levels:
        # Larger ε are only a warm start, for which 20 iterations do; the last has to converge.
        budget = max(max_iterations - iterations, 1) if level == levels[-1] else 20
        found, log = ot.bregman.sinkhorn_stabilized(
            a[rows], b[columns], inner, level, tau=1e50, warmstart=start,
            numItermax=budget, stopThr=tolerance, print_period=10, log=True, warn=False,
        )  # fmt: skip
        start, iterations = log["warmstart"], iterations + log["n_iter"] + 1
    plan = np.zeros_like(cost)
    plan[np.ix_(rows, columns)] = found
    g = np.zeros(len(b))
    # POT's potentials hold the weights, P = exp((α + β - C)/ε); ours stand beside them.
    g[columns] = log["beta"] - epsilon * np.log(b[columns])
    # The formula extends the potentials to points without mass.
    f = -epsilon * logsumexp((g - cost)[:, columns] / epsilon, axis=1, b=b[columns])
    g = -epsilon * logsumexp((f[:, None] - cost)[rows] / epsilon, axis=0, b=a[rows, None])
    transport = float((plan * cost).sum())
    primal = transport + epsilon * relative_entropy(plan, np.outer(a, b))
    value = float(a @ f + b @ g)
    converged = bool(log["err"][-1] <= tolerance)
    return Plan(
        plan,
        transport,
        f,
        g,
        value,
        marginal_error(plan, a, b),
        primal - value,
        converged,
        iterations,
    )


def relative_entropy(p: np.ndarray, q: np.ndarray) -> float:
    """KL(p | q) = Σ p log(p/q) - p + q [nats] for arrays p, q >= 0 of one shape,
    p = 0 where q = 0."""
    return float((xlogy(p, p) - xlogy(p, np.where(q > 0, q, 1.0)) - p + q).sum())


def rounded(plan: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The nearest feasible plan of Altschuler, Weed & Rigollet (2017, algorithm 2): rows and
    columns that hold too much are scaled down, what is missing is added as a product.
    Moves at most twice the marginal error."""
    plan = plan * np.minimum(1, a / np.maximum(plan.sum(1), np.finfo(float).tiny))[:, None]
    plan = plan * np.minimum(1, b / np.maximum(plan.sum(0), np.finfo(float).tiny))
    missing_a, missing_b = a - plan.sum(1), b - plan.sum(0)
    missing = missing_a.sum()
    return plan + np.outer(missing_a, missing_b) / missing if missing > 0 else plan


def entropic_gap_bound(epsilon: float, n: int, m: int) -> float:
    """ε log(nm), above which <P, C> - OT of a feasible entropic plan cannot lie
    (Altschuler et al. 2017, lemma 7 with min(n, m) <= nm)."""
    check_epsilon(epsilon)
    return float(epsilon * np.log(n * m))


def self_cost(
    x, a=None, *, epsilon: float, tolerance: float = 1e-7, max_iterations: int = 10_000
) -> float:
    """OT_ε(x, x) with squared distances: one potential, f ← (f + T(f))/2, which converges in a few
    steps where the alternating iteration takes thousands (Feydy et al. 2019, §3.1).  RuntimeError
    if max |f - T(f)| stays above tolerance · ε."""
    check_epsilon(epsilon)
    cost, a, _ = check_cost(squared_distances(x, x), a, a)
    f = np.zeros(len(a))
    for _ in range(max_iterations):
        new = -epsilon * logsumexp((f - cost) / epsilon, axis=1, b=a)
        moved, f = np.abs(new - f).max(), (f + new) / 2
        if moved <= tolerance * epsilon:
            return 2 * float(a @ f)
    raise RuntimeError(
        f"{max_iterations} iterations left a change of {moved:.1e} at epsilon={epsilon}: "
        "raise epsilon"
    )


def sinkhorn_divergence(x, y, a=None, b=None, *, epsilon: float, **rules) -> float:
    """S_ε = OT_ε(x, y) - OT_ε(x, x)/2 - OT_ε(y, y)/2 with squared distances
    (Feydy et al. 2019, eq. 3), in squared units.

    Zero if and only if the two measures are equal; between W₂² (ε → 0) and the squared distance of
    the means (ε → ∞).  `rules`: tolerance and max_iterations.  RuntimeError if an iteration
    does not converge.
    """
    found = sinkhorn(squared_distances(x, y), a, b, epsilon=epsilon, **rules)
    if not found.converged:
        raise RuntimeError(
            f"Sinkhorn stopped after {found.iterations} iterations with marginal error "
            f"{found.marginal_error:.1e}: raise epsilon={epsilon}"
        )
    return (
        found.value
        - (self_cost(x, a, epsilon=epsilon, **rules) + self_cost(y, b, epsilon=epsilon, **rules))
        / 2
    )


def interpolate(
    x: np.ndarray, y: np.ndarray, plan: np.ndarray, t: float
) -> tuple[np.ndarray, np.ndarray]:
    """Displacement interpolation (McCann 1997): points (1-t)x_i + t y_j (k, d) and weights P_ij
    (k,) wherever mass moves."""
    if not 0 <= t <= 1:
        raise ValueError(f"t={t} must be in [0, 1]")
    i, j = np.nonzero(plan)
    return (1 - t) * np.asarray(x)[i] + t * np.asarray(y)[j], plan[i, j]


def picture(name: str | Path) -> np.ndarray:
    """An RGB picture as floats in [0, 1], (height, width, 3): one of SAMPLES, or a file.

    ValueError if the file is missing, is no picture, or has no three colours; one line that names
    it and says what would do.
    """
    if str(name) in SAMPLES:
        return np.asarray(load_sample_image(str(name)), dtype=np.float64) / 255
    path = Path(name)
    if not path.is_file():
        raise ValueError(f"picture {str(name)!r} is no file, nor one of {', '.join(SAMPLES)}")
    try:
        with Image.open(path) as image:
            bands = image.getbands()
            pixels = np.asarray(image.convert("RGB"), dtype=np.float64) / 255
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"picture {str(name)!r} cannot be read: {error}") from None
    if bands[:3] != ("R", "G", "B"):
        raise ValueError(f"picture {str(name)!r} has bands {''.join(bands)}: give an RGB picture")
    return pixels


def roughness(pixels: np.ndarray) -> float:
    """Total variation of a picture (height, width, 3) per pixel: mean |difference| of neighbours,
    down and across."""
    down, across = np.diff(pixels, axis=0), np.diff(pixels, axis=1)
    return float(np.linalg.norm(down, axis=-1).mean() + np.linalg.norm(across, axis=-1).mean())
