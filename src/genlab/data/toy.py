"""Two-dimensional densities with exact samples, log-densities and entropies: what no model can
beat.

The definitions and scales are those of the FFJORD toy set (Grathwohl et al. 2019), whose pinwheel
is the mirror image of ours (it turns row vectors), and, for `grid_25`, of PacGAN (Lin et al. 2018).
Everything is NumPy; points are (n, 2), log-densities (n,) in nats.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import logsumexp, ndtr

from genlab import checks

Sampler = Callable[[int, np.random.Generator], np.ndarray]
LogProb = Callable[[np.ndarray], np.ndarray]

CHUNK = 2_000  # points per block of a numerical density: bounds the memory, not the result


@dataclass(frozen=True)
class Density:
    """A density on the plane.

    `box`: half width of a square around the origin that holds all but a negligible part of the
    mass.  `centres` (k, 2) and `centre_sd`: for mixtures of k equal isotropic Gaussians, else None.
    """

    name: str
    box: float
    draw: Sampler
    log_density: LogProb
    centres: np.ndarray | None = None
    centre_sd: float | None = None

    def sample(self, n: int, *, rng: np.random.Generator) -> np.ndarray:
        """`n` independent points, (n, 2) float32.  Raises ValueError for n < 1."""
        return self.draw(checks.count(n, "n"), rng).astype(np.float32)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """log p(x) in nats, (n, 2) -> (n,); -inf outside the support.  Raises ValueError for
        another shape or points that are not finite."""
        x = checks.points(0, x=x)[0]
        checks.shape(x, "x", (len(x), 2))
        return np.concatenate(
            [self.log_density(x[i : i + CHUNK]) for i in range(0, len(x), CHUNK)] or [np.zeros(0)]
        )

    @cached_property
    def entropy(self) -> float:
        """-E log p in nats, by the midpoint rule on a grid of 240 x 240 over the box
        (closed form: checkerboard)."""
        if self.name == "checkerboard":
            return float(np.log(CHECKERBOARD_AREA))
        points, cell = grid(self.box, 240)
        log_p = self.log_prob(points)
        log_p = log_p[np.isfinite(log_p)]
        return float(-np.sum(np.exp(log_p) * log_p) * cell)


def grid(box: float, bins: int) -> tuple[np.ndarray, float]:
    """Midpoints of `bins` x `bins` equal cells on [-box, box]^2, (bins², 2) with x₁ fastest,
    and a cell's area."""
    box, bins = checks.number(box, "box", "positive"), checks.count(bins, "bins")
    edges = np.linspace(-box, box, bins + 1)
    mid = (edges[1:] + edges[:-1]) / 2
    return np.stack(np.meshgrid(mid, mid), axis=-1).reshape(-1, 2), float((2 * box / bins) ** 2)


# --- checkerboard: uniform on half of the sixteen squares of side 2 that tile [-4, 4]^2 ---

CHECKERBOARD_AREA = 32.0


def _draw_checkerboard(n: int, rng: np.random.Generator) -> np.ndarray:
    x1 = rng.uniform(-2, 2, n)
    x2 = rng.uniform(0, 1, n) - 2 * rng.integers(0, 2, n) + np.floor(x1) % 2
    x = 2 * np.stack([x1, x2], axis=1)
    # Single precision may round up onto the edge of the next square, which is empty.
    single = x.astype(np.float32)
    over = np.floor(single / 2) > np.floor(x / 2)
    return np.where(over, np.nextafter(single, np.float32(-np.inf)), single)


def _log_checkerboard(x: np.ndarray) -> np.ndarray:
    column, row = np.floor(x / 2).T
    inside = (np.abs(x) <= 4).all(axis=1) & ((column + row) % 2 == 0)
    return np.where(inside, -np.log(CHECKERBOARD_AREA), -np.inf)


# --- mixtures of equal isotropic Gaussians ---


def _mixture(name: str, box: float, centres: np.ndarray, sd: float) -> Density:
    def draw(n, rng):
        return centres[rng.integers(0, len(centres), n)] + sd * rng.standard_normal((n, 2))

    def log_density(x):
        squared = ((x[:, None, :] - centres) ** 2).sum(axis=-1)
        return logsumexp(-squared / (2 * sd**2), axis=1) - np.log(len(centres) * 2 * np.pi * sd**2)

    return Density(name, box, draw, log_density, centres, sd)


def _eight_gaussians() -> Density:
    angles = np.arange(8) * np.pi / 4
    return _mixture(
        "eight_gaussians",
        5.0,
        4 / 1.414 * np.stack([np.cos(angles), np.sin(angles)], axis=1),
        0.5 / 1.414,
    )


def _grid_25() -> Density:
    ticks = np.arange(-4.0, 5.0, 2.0)
    return _mixture(
        "grid_25", 5.0, np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2), 0.05
    )


# --- pinwheel: five Gaussians (r, t) around (1, 0), turned by an angle that grows with r ---

ARMS, RADIAL_SD, TANGENTIAL_SD, RATE = 5, 0.3, 0.1, 0.25


def _pinwheel_angle(r: np.ndarray, arm: np.ndarray) -> np.ndarray:
    return 2 * np.pi * arm / ARMS + RATE * np.exp(r)


def _draw_pinwheel(n: int, rng: np.random.Generator) -> np.ndarray:
    r = 1 + RADIAL_SD * rng.standard_normal(n)
    t = TANGENTIAL_SD * rng.standard_normal(n)
    angle = _pinwheel_angle(r, rng.integers(0, ARMS, n))
    return 2 * np.stack(
        [r * np.cos(angle) - t * np.sin(angle), r * np.sin(angle) + t * np.cos(angle)], axis=1
    )


def _log_pinwheel(x: np.ndarray) -> np.ndarray:
    """Change of variables.  Given x, the pairs (r, t) with 2 R(angle(r)) (r, t) = x are the roots
    r of g(r) = r - [R(-angle(r)) x/2]₁ in [-ρ, ρ], ρ = |x|/2; there
    |det ∂x/∂(r, t)| = 4 |1 - RATE e^r t|."""
    rho = np.hypot(*x.T)[:, None] / 2
    phase = np.arctan2(x[:, 1], x[:, 0])[:, None]
    log_p = np.full(len(x), -np.inf)
    unit = np.linspace(-1, 1, 161)
    for arm in range(ARMS):

        def g(r, arm=arm):
            return r - rho * np.cos(phase - _pinwheel_angle(r, arm))

        r = rho * unit
        values = g(r)
        change = np.signbit(values[:, 1:]) != np.signbit(values[:, :-1])
        point, left = np.nonzero(change)
        low, high = r[point, left], r[point, left + 1]
        rho_p, phase_p = rho[point, 0], phase[point, 0]
        sign = np.sign(values[point, left + 1])
        for _ in range(40):  # bisection to float precision, all roots at once
            middle = (low + high) / 2
            above = sign * (middle - rho_p * np.cos(phase_p - _pinwheel_angle(middle, arm))) > 0
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        root = (low + high) / 2
        t = rho_p * np.sin(phase_p - _pinwheel_angle(root, arm))
        log_root = (
            -(((root - 1) / RADIAL_SD) ** 2 + (t / TANGENTIAL_SD) ** 2) / 2
            - np.log(2 * np.pi * RADIAL_SD * TANGENTIAL_SD * ARMS)
            - np.log(4 * np.abs(1 - RATE * np.exp(root) * t))
        )
        np.logaddexp.at(log_p, point, log_root)
    return log_p


# --- two spirals, Archimedean, of three half turns; width uniform plus a little Gaussian noise ---

SPIRAL_END, SPIRAL_WIDTH, SPIRAL_SD = 540 * 2 * np.pi / 360, 0.5 / 3, 0.1


def _draw_spirals(n: int, rng: np.random.Generator) -> np.ndarray:
    angle = SPIRAL_END * np.sqrt(rng.uniform(size=n))
    width = rng.uniform(0, SPIRAL_WIDTH, (n, 2))
    arm = np.stack([-np.cos(angle) * angle, np.sin(angle) * angle], axis=1) / 3 + width
    return np.where(
        rng.uniform(size=(n, 1)) < 0.5, 1.0, -1.0
    ) * arm + SPIRAL_SD * rng.standard_normal((n, 2))


def _log_spirals(x: np.ndarray) -> np.ndarray:
    """Integral over the angle (density 2 angle / SPIRAL_END²) of two uniform-plus-Gaussian
    densities, midpoint rule."""
    nodes = 400  # 0.04 apart along the arm, well below SPIRAL_SD
    angle = SPIRAL_END * np.sqrt((np.arange(nodes) + 0.5) / nodes)  # equal probability per node
    start = np.stack([-np.cos(angle) * angle, np.sin(angle) * angle], axis=1) / 3

    def arm(points):
        total = np.ones((len(points), nodes))
        for axis in (0, 1):
            offset = points[:, axis, None] - start[:, axis]
            total *= (
                ndtr(offset / SPIRAL_SD) - ndtr((offset - SPIRAL_WIDTH) / SPIRAL_SD)
            ) / SPIRAL_WIDTH
        return total.mean(axis=1)

    with np.errstate(divide="ignore"):
        return np.log((arm(x) + arm(-x)) / 2)


DENSITIES: dict[str, Density] = {
    density.name: density
    for density in (
        Density("checkerboard", 5.0, _draw_checkerboard, _log_checkerboard),
        _eight_gaussians(),
        Density("pinwheel", 5.0, _draw_pinwheel, _log_pinwheel),
        Density("two_spirals", 5.0, _draw_spirals, _log_spirals),
        _grid_25(),
    )
}
# The four sets of sources A and B.
SETS = ("checkerboard", "eight_gaussians", "pinwheel", "two_spirals")
