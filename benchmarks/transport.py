"""Exact and entropic transport at n points each: ours, POT's loops, geomloss and OTT-JAX where they
are installed; and what 5,000 points take, in time and memory.

Every entropic solver is given the fewest iterations with which the marginal error, measured by one
and the same function on the potentials it returns, is below the tolerance.  Then all take turns in
one process on one core, compilation excluded; printed are the median seconds, and the median over
rounds of how many times as long as ours each takes.

    .venv/bin/python benchmarks/transport.py

The peers are not part of the project: pip install geomloss ott-jax.
"""

import argparse
import contextlib
import functools
import multiprocessing
import os
import resource
import time
import warnings

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import numpy as np
import ot
from scipy.spatial.distance import cdist

from genlab import transport

# of squared distances between standard normal clouds in the plane, a distance of one apart
EPSILON = 0.1
TOLERANCE = 3e-3  # Σ|P1 - a| + Σ|Pᵀ1 - b|


def points(n: int):
    """Two clouds (n, 2)."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + np.array([1, 0])


def timed(work) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def error_of(f, g, cost) -> float:
    """Marginal error of the plan that the potentials f (n,), g (m,) stand for, uniform weights."""
    n, m = cost.shape
    if not (np.isfinite(f).all() and np.isfinite(g).all()):
        return np.inf
    plan = np.exp((np.asarray(f)[:, None] + np.asarray(g) - cost) / EPSILON) / (n * m)
    return transport.marginal_error(plan, np.full(n, 1 / n), np.full(m, 1 / m))


def ours(x, y, cost, iterations):
    """It stops by itself: what it stops by is what `error_of` measures."""
    found = transport.sinkhorn(
        cost, epsilon=EPSILON, tolerance=TOLERANCE, max_iterations=iterations
    )
    return found.f, found.g


def exact(x, y, cost, setting):
    return transport.emd(cost)


def pot_log(x, y, cost, iterations):
    n, m = cost.shape
    uniform = np.full(n, 1 / n), np.full(m, 1 / m)
    _, log = ot.bregman.sinkhorn_log(
        *uniform, cost, EPSILON, numItermax=iterations, stopThr=0, log=True, warn=False
    )
    return EPSILON * (log["log_u"] + np.log(n)), EPSILON * (log["log_v"] + np.log(m))


def pot_stabilised(x, y, cost, iterations):
    n, m = cost.shape
    uniform = np.full(n, 1 / n), np.full(m, 1 / m)
    _, log = ot.bregman.sinkhorn_stabilized(
        *uniform, cost, EPSILON, numItermax=iterations, stopThr=0, tau=1e50, log=True, warn=False
    )
    return log["alpha"] + EPSILON * np.log(n), log["beta"] + EPSILON * np.log(m)


@functools.cache
def compiled(iterations: int, momentum: float, logarithms: bool):
    """OTT-JAX from points to potentials as one program; its own call is traced anew every time."""
    import jax
    from ott.geometry.pointcloud import PointCloud
    from ott.solvers import linear
    from ott.solvers.linear.acceleration import Momentum

    rules = {"momentum": Momentum(value=momentum), "lse_mode": logarithms, "threshold": 0.0}
    rules |= {"max_iterations": iterations, "min_iterations": iterations}

    @jax.jit
    def run(x, y):
        out = linear.solve(PointCloud(x, y, epsilon=EPSILON), **rules)
        return out.f, out.g

    return run


def ott_jax(x, y, cost, iterations, momentum=1.0, logarithms=True):
    """In single precision, as it comes."""
    n, m = cost.shape
    run = compiled(iterations, momentum, logarithms)
    f, g = (np.asarray(p, np.float64) for p in run(x, y))
    return f + EPSILON * np.log(n), g + EPSILON * np.log(m)


def ott_tuned(x, y, cost, iterations):
    """Over-relaxed by what was found to be best here."""
    return ott_jax(x, y, cost, iterations, momentum=1.7)


def ott_kernel(x, y, cost, iterations):
    """The same without logarithms, for which single precision is too coarse at this ε."""
    import jax

    with jax.enable_x64(True):
        return ott_jax(x, y, cost, iterations, momentum=1.7, logarithms=False)


def geomloss(x, y, cost, scaling):
    """geomloss has no iteration count: `scaling` in (0, 1) is how slowly ε falls;
    its cost is |x-y|²/2."""
    import torch
    from geomloss import SamplesLoss

    torch.set_num_threads(1)
    solve = SamplesLoss(
        "sinkhorn",
        p=2,
        blur=np.sqrt(EPSILON / 2),
        scaling=scaling,
        potentials=True,
        debias=False,
        backend="tensorized",
    )
    f, g = solve(torch.tensor(x), torch.tensor(y))
    return 2 * f.numpy().ravel(), 2 * g.numpy().ravel()


STEPS = tuple(range(10, 400, 10))
SETTINGS = {
    "ours": (ours, (10_000,)),
    "POT, log domain": (pot_log, STEPS),
    "POT, stabilised": (pot_stabilised, STEPS),
    "OTT-JAX": (ott_jax, STEPS),
    "OTT-JAX, tuned": (ott_tuned, STEPS),
    "OTT-JAX, kernel": (ott_kernel, STEPS),
    "geomloss": (geomloss, (0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995)),
}


def smallest(reaches, settings, near: int) -> int | None:
    """Index of the first setting that reaches the tolerance, sought from the index `near`."""
    reached = {}
    while 0 <= near < len(settings):
        reached[near] = reaches(settings[near])
        if reached[near] and (near == 0 or reached.get(near - 1) is False):
            return near
        if not reached[near] and reached.get(near + 1):
            return near + 1
        near += -1 if reached[near] else 1
    return None


def compare(sizes: list[int], rounds: int) -> None:
    """Prints a table for every n."""
    found = {name: len(settings) // 4 for name, (_, settings) in SETTINGS.items()}
    for n in sizes:
        x, y = points(n)
        problem = x, y, transport.squared_distances(x, y)
        works, notes = {"exact": lambda p=problem: exact(*p, None)}, {"exact": ""}
        for name, (solve, settings) in SETTINGS.items():
            errors = {}

            def reaches(setting, solve=solve, problem=problem, errors=errors):
                errors[setting] = error_of(*solve(*problem, setting), problem[2])
                return errors[setting] <= TOLERANCE

            with contextlib.suppress(ImportError):  # an optional peer
                at = smallest(reaches, settings, found[name])
                if at is None:
                    print(f"{name} did not reach {TOLERANCE:g}: {min(errors.values()):.1e}")
                    continue
                found[name], setting = at, settings[at]
                works[name] = lambda s=solve, a=(*problem, setting): s(*a)
                notes[name] = f"error {errors[setting]:.1e}, setting {setting}"
        for work in works.values():
            work()  # compiles
        times = [{name: timed(work) for name, work in works.items()} for _ in range(rounds)]
        steps = transport.sinkhorn(problem[2], epsilon=EPSILON, tolerance=TOLERANCE).iterations
        print(f"n = {n}; ours takes {steps} iterations")
        for name, note in notes.items():
            seconds = np.median([t[name] for t in times])
            ratio = np.median([t[name] / t["ours"] for t in times])
            print(f"  {name:18s} {seconds:8.3f} s, {ratio:6.2f} of ours  {note}", flush=True)


def alone(name: str, n: int) -> None:
    """One solve in a process of its own: seconds, and what memory it adds to the cost matrix."""
    x, y = points(n)
    cost = cdist(x, y, "sqeuclidean")  # which has no peak of its own
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = timed(lambda: {"ours": ours, "exact": exact}[name](x, y, cost, 10_000))
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    size = cost.nbytes / 2**20
    print(f"  {name:18s} {seconds:8.3f} s, {added:6.0f} MiB beside a cost of {size:.0f} MiB")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=[500, 1000, 2000])
    parser.add_argument("--large", type=int, nargs="*", default=[5000])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    compare(given.sizes, given.rounds)
    fresh = multiprocessing.get_context("spawn")
    for n in given.large:
        print(f"n = {n}, each in a process of its own")
        for name in 2 * ("exact", "ours"):
            process = fresh.Process(target=alone, args=(name, n))
            process.start()
            process.join()
