"""Optimal transport with its certificates: exact by POT (Flamary et al. 2021), entropic by Sinkhorn
with momentum, with weights checked and optimality measured.

Cost matrices are C (n, m), weights a (n,) and b (m,) that sum to one, plans P (n, m) >= 0 with row
sums a and column sums b.  Every solver says how far its answer is from the truth: the error of the
marginals and the gap between primal and dual.
"""

import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import ot
from PIL import Image, UnidentifiedImageError
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, xlogy
from sklearn.datasets import load_sample_image

from genlab import checks

DROWNED = 1e-9  # of the largest square: the distance below which rounding may reach its sixth digit
TINY = np.finfo(float).tiny  # below it a mass is none
FAR = 100  # [ε]: e¹⁰⁰ is far from what overflows, and what e⁻¹⁰⁰ may multiply is none yet
SLOWEST = 4 * 0.95 / 1.95**2  # rate of plain iterations for which ω is 1.95
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


def check_cost(cost, a, b) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cost (n, m) and weights, checked.  ValueError names what is wrong."""
    cost = checks.numbers(cost, "cost")
    if cost.ndim != 2 or not cost.size:
        raise ValueError(f"cost of shape {cost.shape} must be a matrix (n, m)")
    cost = np.ascontiguousarray(cost)  # as POT wants it
    return cost, checks.weights(a, len(cost), "a"), checks.weights(b, cost.shape[1], "b")


def check_epsilon(epsilon: float) -> float:
    """Epsilon as a float; ValueError unless it is positive."""
    return checks.number(epsilon, "epsilon", "positive", "; for epsilon = 0 use emd")


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """C_ij = |x_i - y_j|², shape (n, m), for x (n, d) and y (m, d), in squared units of x.
    ValueError if not finite."""
    x, y = checks.points(1, x=x, y=y)
    cost = ot.dist(x, y, metric="sqeuclidean")
    # It is |x|² - 2 x·y + |y|²: a distance far below these squares drowns in their rounding.
    largest = max(np.einsum("ij,ij->i", p, p).max() for p in (x, y))
    if cost.min() > DROWNED * largest:
        return cost
    direct = cdist(x, y, "sqeuclidean")
    return direct if (np.abs(cost - direct) > 1e-6 * direct)[direct > 0].any() else cost


def marginal_error(plan: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Σ|P1 - a| + Σ|Pᵀ1 - b|: the mass that lies wrong."""
    plan, a, b = _parts(plan, a, b)
    return float(np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum())


def _parts(plan, a, b) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A plan (n, m) and masses (n,) and (m,), whatever they sum to."""
    plan, a, b = (checks.numbers(*p) for p in ((plan, "plan"), (a, "a"), (b, "b")))
    checks.shape(plan, "plan", (a.size, b.size), ", as a and b say")
    return plan, checks.shape(a, "a", (len(plan),)), checks.shape(b, "b", (plan.shape[1],))


def emd(cost, a=None, b=None) -> Plan:
    """The exact optimum min <P, C> (Kantorovich 1942) by POT's network simplex, with its dual:
    f_i + g_j <= C_ij, and f_i + g_j = C_ij where mass moves.  `converged` is False if the simplex
    stopped early, or the gap is not small beside the costs.  ValueError for bad weights or costs.

    The simplex takes for nothing what is small beside the largest cost.  So where the gap says that
    it gave up mass to that, costs far above all that were paid are lowered, and it runs again: the
    plan is optimal for the true costs if it moves nothing over a lowered one.
    """
    cost, a, b = check_cost(cost, a, b)
    found = _simplex(cost, cost, a, b)
    paid = np.abs(cost[found.plan > 0]).max()
    if found.gap > _tolerated(found.plan, cost) and 0 < paid < 1e-8 * np.abs(cost).max():
        bounds = (1e3 * paid, 1e6 * paid)
        again = [_simplex(np.clip(cost, -bound, bound), cost, a, b) for bound in bounds]
        found = min((found, *again), key=lambda plan: plan.gap)
    # Equal measures cost nothing: then rounding is small beside the costs that might be paid.
    rounding = _tolerated(found.plan, cost) + 1e-12 * float(np.median(np.abs(cost)))
    return found._replace(converged=found.converged and found.gap <= rounding)


def _tolerated(plan: np.ndarray, cost: np.ndarray) -> float:
    """The gap that rounding explains."""
    return 1e-9 * float((plan * np.abs(cost)).sum())


def _simplex(lowered: np.ndarray, cost: np.ndarray, a: np.ndarray, b: np.ndarray) -> Plan:
    """The plan that is optimal for the `lowered` costs, judged by the true ones."""
    scale = checks.unit_of(lowered)
    plan, log = ot.emd(a, b / b.sum() * a.sum(), lowered / scale, numItermax=10_000_000, log=True)
    f, g = log["u"] * scale, log["v"] * scale
    # What the dual must give up to be feasible.
    slack = max(0.0, float((f[:, None] + g - cost).max()))
    primal, dual = float((plan * cost).sum()), float(a @ f + b @ g)
    error, done = marginal_error(plan, a, b), log["warning"] is None
    return Plan(plan, primal, f, g, dual, error, primal - dual + slack, done, 0)


def _kernel(cost, g, epsilon) -> tuple[np.ndarray, np.ndarray]:
    """f (n,) and K = exp((f + g - C)/ε) with a 1 in every row and nothing above it."""
    kernel = g - cost
    f = -kernel.max(1)
    kernel += f[:, None]
    kernel /= epsilon
    return f, np.exp(kernel, out=kernel)


def relaxation(omega: float, rate: float) -> float:
    """The best ω for an error that falls by `rate` an iteration at `omega`, hence without momentum
    by μ = (rate + ω - 1)²/(rate ω²): 2/(1 + √(1 - μ)), with which it falls by ω - 1 (Young 1954).
    At most 1.95.  `omega` itself where the rate is that already, or none."""
    if not omega - 1 < rate < 1:
        return omega
    plain = min((rate + omega - 1) ** 2 / (rate * omega**2), SLOWEST)
    return float(2 / (1 + np.sqrt(1 - plain)))


@np.errstate(divide="ignore", over="ignore", invalid="ignore")
def ascent(cost, a, b, g, epsilon, tolerance, iterations):
    """Sinkhorn's iteration with momentum from prices g (m,): f and g, their plan, which has the row
    sums a, and the iterations it took until Σ|Pᵀ1 - b| <= tolerance.

    Every f makes the rows right.  Then g rises by ω² times the step ε log(b/Pᵀ1), which would make
    the columns right, and by (ω - 1)² of its last change.  This is over-relaxation by ω (Thibault
    et al. 2021, Lehmann et al. 2022) without its f; `relaxation` finds ω.  The dual value never
    falls: where momentum went too far, the plain step before it is taken instead.
    The kernel is that of prices g0; those that leave it by FAR are absorbed (Schmitzer 2019, §3.1).
    """
    g0, (f0, kernel) = g, _kernel(cost, g, epsilon)
    before, plain, highest, omega, errors = g, 0.0, -np.inf, 1.0, []
    rounding = 1e-14 * max(cost.max(), -cost.min())
    for iteration in itertools.count(1):
        if np.abs(g - g0).max() > FAR * epsilon:
            g0, (f0, kernel) = g, _kernel(cost, g, epsilon)
        # The f that makes the rows right, and what the columns then hold.
        v = b * np.exp((g - g0) / epsilon)
        sums = kernel @ v
        u, f = a / sums, f0 - epsilon * np.log(sums)
        held, value = v * (u @ kernel), a @ f + b @ g
        if iteration <= iterations and not (value >= highest - rounding and held.all()):
            g, highest = before + plain, -np.inf  # momentum went too far
            continue
        plain, highest = epsilon * np.log(b / held), value
        errors.append(np.abs(held - b).sum())
        if errors[-1] <= tolerance or iteration >= iterations:
            kernel *= u[:, None]
            kernel *= v
            return f, g, kernel, iteration
        if len(errors) > 5 and len(errors) % 5 == 0:
            omega = relaxation(omega, (errors[-1] / errors[-6]) ** (1 / 5))
        g, before = g + omega**2 * plain + (omega - 1) ** 2 * (g - before), g


def sinkhorn(
    cost, a=None, b=None, *, epsilon: float, tolerance: float = 1e-7, max_iterations: int = 10_000
) -> Plan:
    """The entropic optimum min <P, C> + ε KL(P | a bᵀ) (Cuturi 2013),
    P = a bᵀ exp((f + g - C)/ε), by Sinkhorn's iteration with momentum (`ascent`).

    Where the costs span more than 200 ε, starts from the prices of larger ε, each a quarter of the
    one before (Schmitzer 2019, §3.2); these iterations count.  Converged:
    `marginal_error` is within `tolerance`.  epsilon in units of cost; `value` is the regularised
    objective, `cost` the bare <P, C>, `gap` what is left between primal and dual.  Not converged
    after `max_iterations`: `converged` is False and `marginal_error` says by how much.
    ValueError for epsilon <= 0.
    """
    epsilon, tolerance = check_epsilon(epsilon), checks.number(tolerance, "tolerance", "positive")
    max_iterations = checks.count(max_iterations, "max_iterations")
    cost, a, b = check_cost(cost, a, b)
    # A point without mass takes no part; its logarithm would spoil the others.
    rows, columns = a > 0, b > 0
    massive = np.ix_(rows, columns)
    inner = cost if rows.all() and columns.all() else cost[massive]
    quarters = np.ceil(np.log(max(np.ptp(inner) / (200 * epsilon), 1)) / np.log(4))
    g, iterations = np.zeros(inner.shape[1]), 0
    for level in epsilon * 4.0 ** np.arange(quarters, -1, -1):
        # Larger ε are only a warm start, for which 20 iterations do; the last has to converge.
        budget = max_iterations - iterations if level == epsilon else 20
        f, g, found, steps = ascent(inner, a[rows], b[columns], g, level, tolerance, budget)
        iterations += steps
    if inner is not cost:
        part, found, prices = found, np.zeros_like(cost), g
        found[massive] = part
        # The formula extends the potentials to points without mass.
        f = -epsilon * logsumexp((g - cost[:, columns]) / epsilon, axis=1, b=b[columns])
        g = -epsilon * logsumexp((f[:, None] - cost)[rows] / epsilon, axis=0, b=a[rows, None])
        g[columns] = prices
    transport, value = float(np.vdot(found, cost)), float(a @ f + b @ g)
    gap = transport + epsilon * _entropy(found, a, b) - value
    error = marginal_error(found, a, b)
    return Plan(found, transport, f, g, value, error, gap, error <= tolerance, iterations)


def _entropy(plan, a, b) -> float:
    """KL(plan | a bᵀ), for which the matrix a bᵀ need not be."""
    logs = np.maximum(plan, TINY)
    own = np.vdot(plan, np.log(logs, out=logs))
    rows, columns = plan.sum(1), plan.sum(0)
    return float(own - xlogy(rows, a).sum() - xlogy(columns, b).sum() - rows.sum() + 1)


def rounded(plan: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The nearest feasible plan of Altschuler, Weed & Rigollet (2017, algorithm 2): rows and
    columns that hold too much are scaled down, what is missing is added as a product.
    Moves at most twice the marginal error."""
    plan, a, b = _parts(plan, a, b)
    plan = plan * np.minimum(1, a / np.maximum(plan.sum(1), TINY))[:, None]
    plan = plan * np.minimum(1, b / np.maximum(plan.sum(0), TINY))
    missing_a, missing_b = a - plan.sum(1), b - plan.sum(0)
    missing = missing_a.sum()
    return plan + np.outer(missing_a, missing_b) / missing if missing > 0 else plan


def entropic_gap_bound(epsilon: float, n: int, m: int) -> float:
    """ε log(nm), above which <P, C> - OT of a feasible entropic plan cannot lie
    (Altschuler et al. 2017, lemma 7 with min(n, m) <= nm)."""
    return float(check_epsilon(epsilon) * np.log(checks.count(n, "n") * checks.count(m, "m")))


def self_cost(
    x, a=None, *, epsilon: float, tolerance: float = 1e-7, max_iterations: int = 10_000
) -> float:
    """OT_ε(x, x) with squared distances: one potential, f ← (f + T(f))/2, which converges in a few
    steps where the alternating iteration takes thousands (Feydy et al. 2019, §3.1).  RuntimeError
    if max |f - T(f)| stays above tolerance · ε."""
    epsilon, tolerance = check_epsilon(epsilon), checks.number(tolerance, "tolerance", "positive")
    max_iterations = checks.count(max_iterations, "max_iterations")
    cost, a, _ = check_cost(squared_distances(x, x), a, a)
    massive = a > 0
    kernel, a = np.exp(-cost[np.ix_(massive, massive)] / epsilon), a[massive]
    f = np.zeros(len(a))
    for _ in range(max_iterations):
        # Its diagonal is 1, so that a scaling a exp(f/ε) neither grows nor vanishes.
        new = -epsilon * np.log(kernel @ (a * np.exp(f / epsilon)))
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
    t = checks.number(t, "t", "in [0, 1]")
    x, y = checks.points(1, dtype=None, x=x, y=y)
    plan = checks.shape(checks.numbers(plan, "plan"), "plan", (len(x), len(y)))
    i, j = np.nonzero(plan)
    return (1 - t) * x[i] + t * y[j], plan[i, j]


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
    pixels = checks.numbers(pixels, "pixels", None)
    checks.shape(pixels, "pixels", (*pixels.shape[:2], 3))
    if min(pixels.shape) < 2:
        raise ValueError(f"pixels of shape {pixels.shape} must have neighbours: 2 x 2 at least")
    down, across = np.diff(pixels, axis=0), np.diff(pixels, axis=1)
    return float(np.linalg.norm(down, axis=-1).mean() + np.linalg.norm(across, axis=-1).mean())
