"""Exact and entropic transport at n points each: ours (POT), POT's log-domain loop, geomloss and
OTT-JAX where they are installed.

Every entropic solver is given the iterations it needs until the marginal error, measured by one and
the same function, is below the tolerance; then that run is timed, compilation excluded.

    .venv/bin/python benchmarks/transport.py

The peers are not part of the project: pip install geomloss ott-jax.
"""

import argparse
import contextlib
import time
import warnings

import numpy as np
import ot

from genlab import transport

# of squared distances between standard normal clouds in the plane, a distance of one apart
EPSILON = 0.1
TOLERANCE = 3e-3  # Σ|P1 - a| + Σ|Pᵀ1 - b|


def timed(work):
    """(seconds, result) of the second call: the first compiles."""
    work()
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def error_of(f, g, cost) -> float:
    """Marginal error of the plan that the potentials f (n,), g (m,) stand for, uniform weights."""
    n, m = cost.shape
    plan = np.exp((np.asarray(f)[:, None] + np.asarray(g) - cost) / EPSILON) / (n * m)
    return transport.marginal_error(plan, np.full(n, 1 / n), np.full(m, 1 / m))


def ours(x, y, cost, iterations):
    found = transport.sinkhorn(cost, epsilon=EPSILON, tolerance=0.0, max_iterations=iterations)
    return found.f, found.g


def pot_log(x, y, cost, iterations):
    n, m = cost.shape
    uniform = np.full(n, 1 / n), np.full(m, 1 / m)
    _, log = ot.bregman.sinkhorn_log(
        *uniform, cost, EPSILON, numItermax=iterations, stopThr=0, log=True, warn=False
    )
    return EPSILON * (log["log_u"] + np.log(n)), EPSILON * (log["log_v"] + np.log(m))


def ott_jax(x, y, cost, iterations):
    from ott.geometry.pointcloud import PointCloud
    from ott.solvers import linear

    problem = PointCloud(x, y, epsilon=EPSILON)
    out = linear.solve(problem, threshold=0.0, max_iterations=iterations, min_iterations=iterations)
    n, m = cost.shape
    f, g = (np.asarray(p.block_until_ready(), np.float64) for p in (out.f, out.g))
    return f + EPSILON * np.log(n), g + EPSILON * np.log(m)


def geomloss(x, y, cost, scaling):
    """geomloss has no iteration count: `scaling` in (0, 1) is how slowly ε falls;
    its cost is |x-y|²/2."""
    import torch
    from geomloss import SamplesLoss

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


SETTINGS = {
    "ours": (ours, (20, 50, 100, 200, 400, 800, 1600, 3200, 6400)),
    "POT, log domain": (pot_log, (20, 50, 100, 200, 400, 800, 1600)),
    "OTT-JAX": (ott_jax, (20, 50, 100, 200, 400, 800, 1600, 3200, 6400)),
    "geomloss": (geomloss, (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998)),
}


def main(sizes: list[int]) -> None:
    rng = np.random.default_rng(0)
    for n in sizes:
        x, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + np.array([1, 0])
        cost = transport.squared_distances(x, y)
        exact, plan = timed(lambda cost=cost: transport.emd(cost))
        print(f"n = {n}\n  {'EMD (exact)':16s} {exact:8.3f} s, gap {plan.gap:.0e}")
        reference = None
        for name, (solve, settings) in SETTINGS.items():
            with contextlib.suppress(ImportError):  # an optional peer
                for setting in settings:
                    potentials = solve(x, y, cost, setting)
                    if error_of(*potentials, cost) <= TOLERANCE:
                        seconds, _ = timed(lambda s=solve, a=(x, y, cost, setting): s(*a))
                        reference = reference or seconds
                        print(
                            f"  {name:16s} {seconds:8.3f} s, {seconds / reference:6.2f} of ours, "
                            f"setting {setting}"
                        )
                        break
                else:
                    print(
                        f"  {name:16s} did not reach {TOLERANCE:g}: "
                        f"{error_of(*potentials, cost):.1e} at {setting}"
                    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000, 5000])
    main(parser.parse_args().sizes)
