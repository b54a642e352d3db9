"""The scorecard of a generator on a known density: every measure at one n, and the same measures
for real against real."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from genlab import checks
from genlab.data.toy import Density
from genlab.metrics import distances
from genlab.metrics.chains import mode_shares

# Of the MMD kernels, data units: a detail of the densities, and their overall shape.
BANDWIDTHS = (0.25, 1.0)
LEAST = 10  # points: fewer leave too little to fit a kernel density and to score others by it

# How to read each measure: unit and which way is better; everything else is in the null
# distribution.
MEASURES: dict[str, tuple[str, str]] = {
    "c2st_accuracy": ("", "lower"),
    "w2": ("data units", "lower"),
    "sliced_w2": ("data units", "lower"),
    "mmd2_0p25": ("", "lower"),
    "mmd2_1p0": ("", "lower"),
    "energy_distance": ("data units", "lower"),
    "coverage": ("", "higher"),
    "density": ("", "target"),
    "kde_log_density": ("nats", "target"),
    "kde_gap": ("nats", "target"),
    "modes": ("modes", "higher"),
    "high_quality": ("", "higher"),
    "reverse_kl": ("nats", "lower"),
}


def mode_scores(x: np.ndarray, centres: np.ndarray, sd: float) -> dict[str, float]:
    """Modes found, share of high-quality points and reverse KL, as in PacGAN
    (Lin et al. 2018, section 4.1).

    A point is of high quality within 3 sd of its nearest centre; a mode is found if a high-quality
    point is nearest to it; reverse KL is KL(generated || uniform) of the nearest-centre histogram
    of the high-quality points, in nats. With no such point at all it is log k, its largest value.
    """
    x, centres = checks.points(1, x=x, centres=centres)
    sd = checks.number(sd, "sd", "positive")
    distance = np.linalg.norm(x[:, None, :] - centres, axis=-1)
    nearest, close = distance.argmin(axis=1), distance.min(axis=1) <= 3 * sd
    counts = np.bincount(nearest[close], minlength=len(centres))
    p = counts[counts > 0] / max(counts.sum(), 1)
    kl = np.sum(p * np.log(p * len(centres))) if len(p) else np.log(len(centres))
    return {
        "modes": float(np.sum(counts > 0)),
        "high_quality": float(close.mean()),
        "reverse_kl": float(kl),
    }


def reverse_kl_of_all(x: np.ndarray, centres: np.ndarray) -> float:
    """KL(generated || uniform) of the nearest-centre histogram of *all* points x (n, d), in nats:
    from 0 to log k for k centres (k, d).

    Unlike `mode_scores`, which leaves out points of low quality, it rests on n points whatever
    their quality.  n points that fill k modes evenly have about (k - 1)/2n by chance.
    """
    p = mode_shares(x, centres)
    p = p[p > 0]
    return float(np.sum(p * np.log(p * len(centres))))


def scorecard(
    samples: np.ndarray, density: Density, *, n: int, rng: np.random.Generator
) -> dict[str, float]:
    """Every measure of the first n generated points against n fresh real ones: {measure: value}.

    kde_gap is the kernel log-density of the generated points minus that of as many real points
    under the same fit. Points further than 1,000 from the origin are moved there (a diverged chain
    must not stop the comparison). ValueError for fewer than n samples or values that are not
    finite.
    """
    x, real = _equally_many(samples, density, n, rng)
    n = len(x)
    fitted = int(distances.FITTED_SHARE * n)
    kde = distances.kde_log_density(x[fitted:], real[:fitted])
    share, coverage = distances.density_and_coverage(real, x)
    scores = {
        "c2st_accuracy": distances.c2st_accuracy(x, real, rng=rng),
        "w2": distances.w2(x, real),
        "sliced_w2": distances.sliced_w2(x, real),
        "mmd2_0p25": distances.mmd2(x, real, BANDWIDTHS[0]),
        "mmd2_1p0": distances.mmd2(x, real, BANDWIDTHS[1]),
        "energy_distance": distances.energy_distance(x, real),
        "coverage": coverage,
        "density": share,
        "kde_log_density": kde,
        "kde_gap": kde - distances.kde_log_density(real[fitted:], real[:fitted]),
    }
    return scores | (
        mode_scores(x, density.centres, density.centre_sd) if density.centres is not None else {}
    )


def _equally_many(
    samples: np.ndarray, density: Density, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The first n generated points, none further than 1,000 from the origin along an axis, and n
    fresh real ones."""
    samples = checks.points(1, samples=samples)[0]
    n = checks.count(n, "n", LEAST)
    if len(samples) < n:
        raise ValueError(f"n={n} points asked for, samples hold {len(samples)}")
    real = density.sample(n, rng=rng).astype(np.float64)
    return np.clip(samples[:n], -1e3, 1e3), real


LOWEST = -30.0  # nats: log-densities below, and that of no density at all, count as this


def informed_accuracy(
    samples: np.ndarray, density: Density, *, n: int, rng: np.random.Generator
) -> float:
    """Accuracy of boosted trees that see, beside the place of a point, its true log-density, on the
    first n generated points and n fresh real ones.

    Of its own knowledge it can use what a two-sample test cannot: points where the density is low.
    Points further than 1,000 from the origin are moved there.  ValueError for fewer than n samples
    or values that are not finite.
    """
    x, real = (
        np.column_stack([c, np.maximum(density.log_prob(c), LOWEST)])
        for c in _equally_many(samples, density, n, rng)
    )
    return distances.boosted_accuracy(x, real, rng=rng)


def null_scorecards(
    density: Density, *, n: int, draws: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """The scorecard of real samples against real samples, `draws` times: {measure: (draws,)}.
    ValueError for draws < 2."""
    draws = checks.count(draws, "draws", 2, hint=" to show a spread")
    cards = [scorecard(density.sample(n, rng=rng), density, n=n, rng=rng) for _ in range(draws)]
    return {name: np.array([card[name] for card in cards]) for name in cards[0]}


def measured(
    case: str, cards: Sequence[dict[str, float]], null: dict[str, np.ndarray], *, n: int
) -> list[dict[str, Any]]:
    """Arguments of `section.record` for every measure of `case`: the scorecards of one model, or of
    one training at each seed.

    The limit of a measure is the mean of its null draws (draws,).  ValueError for no card.
    """
    if not cards:
        raise ValueError(f"{case}: no scorecard")
    seeds = {"over": "seeds"} if len(cards) > 1 else {}
    return [
        {
            "name": f"{case}/{name}",
            "values": [card[name] for card in cards] if seeds else cards[0][name],
            "unit": MEASURES[name][0],
            "better": MEASURES[name][1],
            "limit": float(null[name].mean()),
            "limit_is": "real against real, mean of the draws",
            "null": null[name],
            "n": n,
        }
        | seeds
        for name in cards[0]
    ]


def stored_null(arrays, case: str) -> dict[str, np.ndarray]:
    """The null distributions {measure: (draws,)} of one density from the arrays
    `<case>_null_<measure>` of `toy_data`."""
    prefix = f"{case}_null_"
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
