"""How much a quantity varies over seeds: on which scale, and what all the others tell.

Eight seeds tell a standard deviation within a factor of two, and of a thousand quantities some look
far steadier than they are.  So a variance s² of d degrees of freedom is shrunk towards what the
book shows for the same kind of quantity, s̃² = (d₀ s₀² + d s²)/(d₀ + d), and counts as one of
d₀ + d degrees of freedom (the moderated t of Smyth 2004, made for genes with few repeats).

The kind says on which scale noise is even and comparable: distances and errors as logarithms, for
their noise is relative; shares as arcsin √x; other positive quantities, of which more is better, as
roots, since there a bad seed lies near nought, where a logarithm has no end; whole numbers and
signed quantities as they are.  A figure's likeness and ink are kinds of their own.  So are rank
agreements of a few models, which leap when one of them changes its place, and shares of drawn
shapes that are in one piece, which leap when all chains of a machine draw one broken shape.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

ROUNDING = 1e-6  # relative difference of one computed number on two machines
COUNT = 1 / np.sqrt(12)  # spread of a number that is rounded to a whole one (Sheppard)
SHARE = 0.05  # spread of arcsin √x for a share of 100 things: 1/(2 √100)
RANKS = 0.2  # change (rms) of Spearman's ρ of eight things when one of them goes to any place
INK = 1e-4  # spread of arcsin √x for the ink of one picture, of which five digits are stored
PIECES = 0.1  # change (rms) of a share of shapes in one piece, as this book's machines show it
LEAST = {"count": COUNT, "rank": RANKS, "ink": INK, "pieces": PIECES}  # whatever the values
# Seeds are worth so many degrees of freedom each: 1/(1 + κ/2) (Box 1953) for the mean excess
# kurtosis of this book's quantities on their scales, κ = 0.6.
WORTH = 0.75
# What it shares with louder quantities may at most double the variance of a quiet one: a number a
# thousandth as noisy as its kind is no sign of luck, and Student's t allows for luck already.
MOST = 2.0
# Degrees of freedom that a prior counts at most: where all variances agree it would count hundreds,
# and Student's t would be a normal law, whose tails skewed noise does not have.
TRUSTED = 2.0
AS_THEY_ARE = ("count", "rank", "pieces", "plain")  # kinds
ENOUGH = 10  # quantities of a kind from which a prior is estimated


class Prior(NamedTuple):
    """What the other quantities of a kind tell: a variance s₀² worth d₀ degrees of freedom."""

    freedom: float
    variance: float


NOTHING = Prior(0.0, 0.0)
Priors = Mapping[str, Prior]


def kind_of(name: str, better: str, baseline: Sequence[float], fresh: Sequence[float] = ()) -> str:
    """ "likeness", "ink", "rank", "pieces", "count", "share", "log", "root" or "plain", by name and
    values.

    What is called modes is a count, also where it is a mean over trainings; what is called a share
    is one, also where less is better.
    """
    measure = measure_of(name)
    if is_figure(name):
        return measure
    if measure.startswith("rank_agreement"):
        return "rank"
    if measure == "one_piece":
        return "pieces"
    both = np.array([*baseline, *fresh], dtype=float)
    within = np.all((both >= -ROUNDING) & (both <= 1 + ROUNDING))
    in_unit = within and (better != "lower" or is_share(name))
    if "modes" in measure or (not in_unit and all(map(is_whole, baseline))):
        return "count"
    if in_unit:
        return "share"
    if better == "lower" and np.all(both > 0):
        return "log"
    return "root" if np.all(both >= 0) else "plain"


def is_whole(x: float) -> bool:
    """Whether it is a whole number but for rounding: a mean of ones may be 1.0000001."""
    return bool(np.isfinite(x)) and abs(x - round(x)) <= ROUNDING * abs(x)


def measure_of(name: str) -> str:
    """What is measured, of a name like case/measure."""
    return name.rsplit("/", 1)[-1]


def is_figure(name: str) -> bool:
    """Whether it is the likeness or the ink of a figure."""
    return name.startswith("figure_") and measure_of(name) in ("likeness", "ink")


def is_share(name: str) -> bool:
    """Whether it is called a share."""
    return "share" in measure_of(name)


def to_scale(kind: str, x: Sequence[float]) -> np.ndarray:
    """Values on the scale of their kind."""
    x = np.asarray(x, dtype=float)
    if kind in AS_THEY_ARE:
        return x
    if kind in ("log", "root"):
        return np.log(x) if kind == "log" else np.sqrt(x)
    x = np.where(np.abs(1 - x) <= ROUNDING, 1.0, x)  # arcsin is steep there
    return np.arcsin(np.sqrt(x.clip(0, 1)))


def from_scale(kind: str, x: float) -> float:
    """The value whose place on its scale is x; an infinite x stays."""
    if kind in AS_THEY_ARE or np.isinf(x):
        return float(x)
    if kind in ("log", "root"):
        return float(np.exp(x) if kind == "log" else max(x, 0.0) ** 2)
    return float(np.sin(np.clip(x, 0, np.pi / 2)) ** 2)


def constant(x: Sequence[float]) -> bool:
    """Whether no seed moves it by more than rounding."""
    return bool(np.ptp(x) <= ROUNDING * np.abs(x).max())


def exact(name: str, better: str, baseline: Sequence[float], fresh: Sequence[float] = ()) -> bool:
    """Whether it is compared as it stands, at no level: a computed number that no seed moves.

    Not a whole number: 25 modes of 25 in each of n seeds do not prove that 24 never happen.  But an
    error that was always nought, and of which a fraction is seen, was no count, unless it is called
    a share.
    """
    first = float(baseline[0])
    whole = is_whole(first)
    if first == 0 and better == "lower" and not is_share(name):
        whole = all(map(is_whole, fresh))
    return constant(baseline) and not whole and not is_figure(name)


def variance(x: np.ndarray, side: int = 0) -> float:
    """Variance over seeds, (n - 1) below; with `side` +1 or -1 the larger of it and of twice its
    part above or below the mean, for noise is skewed."""
    deviation = x - x.mean()
    beyond = np.clip(side * deviation, 0, None)
    return float(max(np.sum(deviation**2), 2 * np.sum(beyond**2)) / (len(x) - 1))


def spread(x: Sequence[float]) -> float:
    """Standard deviation over seeds, not less than rounding allows."""
    x = np.asarray(x, dtype=float)
    kind = "count" if np.all(x == np.round(x)) else "plain"
    return float(np.sqrt(max(variance(x), floor(kind, x))))


def floor(kind: str, x: np.ndarray) -> float:
    """The least variance to believe: that of LEAST; of a share that was always 0 or 1 that of a
    hundred things; a computed number's rounding."""
    if kind in LEAST:
        return LEAST[kind] ** 2
    if kind in ("share", "likeness") and np.ptp(x) == 0:
        return SHARE**2
    return max(ROUNDING * float(np.abs(x).max()), 1e-12) ** 2


def fit(variances: Sequence[float], freedoms: Sequence[float]) -> Prior:
    """d₀ and s₀² of variances s² with d degrees of freedom, by the moments of log s²: its mean is
    log s₀² + ψ(d/2) - log(d/2) - ψ(d₀/2) + log(d₀/2), its variance ψ'(d/2) + ψ'(d₀/2)
    (Smyth 2004, section 6.2)."""
    half = np.asarray(freedoms, dtype=float) / 2
    logs = np.log(variances) - special.digamma(half) + np.log(half)
    excess = max(np.var(logs, ddof=1) - np.mean(special.polygamma(1, half)), 0.02)
    from scipy import optimize  # slow to load, and few commands fit anything

    half0 = float(optimize.brentq(lambda h: special.polygamma(1, h) - excess, 1e-4, 1e4))
    centre = np.mean(logs) + special.digamma(half0) - np.log(half0)
    return Prior(2 * half0, float(np.exp(centre)))


def shrunk(s2: float, freedom: float, prior: Prior) -> tuple[float, float]:
    """The variance s² of so many degrees of freedom as the others correct it, and its own."""
    total = prior.freedom + freedom
    mixed = (prior.freedom * prior.variance + freedom * s2) / total
    return min(mixed, MOST * s2), total


def priors(quantities: Iterable[tuple[str, str, Sequence[float]]]) -> dict[str, Prior]:
    """{kind: its prior} from (name, better, values) of all that some seed moves."""
    found: dict[str, list[tuple[float, float]]] = {}
    for name, better, values in quantities:
        if not constant(values):
            kind = kind_of(name, better, values)
            x = to_scale(kind, values)
            pair = (max(variance(x), floor(kind, x)), WORTH * (len(x) - 1))
            found.setdefault(kind, []).append(pair)
    told = {
        kind: fit(*zip(*pairs, strict=True))
        for kind, pairs in found.items()
        if len(pairs) >= ENOUGH
    }
    return {k: prior._replace(freedom=min(prior.freedom, TRUSTED)) for k, prior in told.items()}
