"""The statistics of the regression gate: is a fresh result a draw from what this code used to give?

The baseline holds a quantity's values over n seeds, the fresh runs its values over k others.  On
the scale of its kind (`noise`), under unchanged code,

    t = (mean(fresh) - mean(baseline)) / (s̃ sqrt(1/n + 1/k))

follows about Student's t, so mean ± t_quantile · s̃ sqrt(1/n + 1/k) is a prediction interval (Hahn &
Meeker 1991, chapter 4).  s² is the spread on the side in question, or the two-sided one if that is
larger; a seed beyond the first is worth three quarters of a degree of freedom; s̃² is s² shrunk
towards the book's (Smyth 2004).  Several fresh runs also tell their own spread: it is looked at
twice, with s² of the baseline alone and of both together, and the smaller p counts double, so that
a fault that scatters the fresh runs is not hidden by the spread that it makes.

The error rate is that of one alarm anywhere in the book: the levels are Holm's (1979), step-down
over all quantities that some seed might move, which holds for any dependence between them.  A
number that no seed moves is compared exactly and takes no share of the level.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from genlab.pipeline.gate import noise

ALARM_RATE = 0.01  # chance of one false alarm or more in a check of the whole book


@dataclass(frozen=True)
class Judgement:
    """One quantity against its baseline."""

    name: str | tuple[str, str]  # or (section, name)
    better: str  # "lower" | "higher" | "target"
    baseline: tuple[float, ...]
    fresh: tuple[float, ...]
    low: float  # the prediction interval; infinite on the side where better lies
    high: float
    shift: float  # of the fresh mean, in standard errors of a prediction; infinite without spread
    p: float  # of a result so bad
    verdict: str  # "ok" | "worse" | "better" | "changed" | "seed ignored"

    @property
    def alarm(self) -> bool:
        return self.verdict in ("worse", "changed", "seed ignored")


@dataclass(frozen=True)
class Known:
    """A baseline on the scale of its kind, and what it tells of fresh values."""

    x: np.ndarray
    kind: str = "plain"
    prior: noise.Prior = noise.NOTHING

    @cached_property
    def spreads(self) -> dict[int, float]:
        """The variance above and below the mean, not less than rounding allows."""
        least = noise.floor(self.kind, self.x)
        return {side: max(noise.variance(self.x, side), least) for side in (-1, 1)}

    def looks(self, k: int, squares: float, side: int) -> Iterator[tuple[float, float]]:
        """Standard error and degrees of freedom for k fresh values on that side, of the baseline
        alone, then with the sum of squared deviations of the fresh ones."""
        freedom, n = noise.WORTH * (len(self.x) - 1), len(self.x)
        total = freedom * self.spreads[side]
        for more in (0.0, noise.WORTH * (k - 1))[: 1 + (k > 1)]:
            d = freedom + more
            s2, d = noise.shrunk((total + (more > 0) * noise.WORTH * squares) / d, d, self.prior)
            yield np.sqrt(s2 * (1 / n + 1 / k)), d

    def reach(self, k: int, squares: float, side: int, level: float) -> float:
        """How far on that side the mean of k fresh values may lie, at a one-sided level."""
        looks = list(self.looks(k, squares, side))
        return float(min(-special.stdtrit(d, level / len(looks)) * se for se, d in looks))

    def tail(self, fresh: np.ndarray, side: int) -> float:
        """Chance of a fresh mean so far on that side."""
        shift = side * (fresh.mean() - self.x.mean())
        looks = list(self.looks(len(fresh), _squares(fresh), side))
        return min(1.0, len(looks) * min(float(special.stdtr(d, -shift / se)) for se, d in looks))


def _squares(x: np.ndarray) -> float:
    """Sum of squared deviations of the finite ones."""
    x = x[np.isfinite(x)]
    return float(np.var(x) * len(x)) if len(x) else 0.0


def p_value(told: Known, fresh: np.ndarray, better: str) -> float:
    """Chance, under unchanged code, of a fresh mean as bad as this one; as far off either way for
    better="target"."""
    above, below = told.tail(fresh, 1), told.tail(fresh, -1)
    return {"lower": above, "higher": below, "target": min(1.0, 2 * min(above, below))}[better]


def interval(told: Known, fresh: np.ndarray, better: str, level: float) -> tuple[float, float]:
    """Prediction interval for the mean of the fresh values; one-sided, at `level`, where only worse
    matters."""
    level, centre = level / 2 if better == "target" else level, float(told.x.mean())
    low, high = (
        centre + side * told.reach(len(fresh), _squares(fresh), side, level) for side in (-1, 1)
    )
    return (-np.inf if better == "lower" else low, np.inf if better == "higher" else high)


def smallest_visible(told: Known, k: int, better: str, level: float) -> float:
    """The shift to the bad side, on its scale, that raises an alarm every other time: the reach of
    k fresh values that scatter as the baseline's do.  Of a target the larger of both sides."""
    sides = {"lower": (1,), "higher": (-1,), "target": (1, -1)}[better]
    level = level / 2 if better == "target" else level
    squares = (k - 1) * noise.variance(told.x)
    return max(told.reach(k, squares, side, level) for side in sides)


def holm_levels(p: Sequence[float], alarm_rate: float, tests: int) -> np.ndarray:
    """The level each p-value must stay above to pass, of `tests` tests in the book (p may hold only
    some of them).

    Holm: the j-th smallest is compared with alarm_rate / (tests - j), j = 0, 1, …, as long as all
    before it were rejected.
    """
    p = np.asarray(p, dtype=float)
    levels = np.empty(len(p))
    rejected = 0
    for i in np.argsort(p):
        levels[i] = alarm_rate / (tests - rejected)
        rejected += bool(p[i] <= levels[i])
    return levels


def seed_ignored(baseline: Sequence[float], fresh: Sequence[float]) -> bool:
    """Whether other seeds gave the very same fractional number although the baseline's seeds did
    not."""
    constant = len(fresh) > 1 and len(set(fresh)) == 1
    fractional = not all(map(noise.is_whole, baseline))
    return constant and fractional and len(set(baseline)) == len(baseline)


def judge(
    metrics: dict, *, alarm_rate: float = ALARM_RATE, tests: int, priors: noise.Priors | None = None
) -> list[Judgement]:
    """Judge all quantities {name: (better, baseline values, fresh values)} together; a name may be
    (section, name).

    tests: number of quantities in the whole book over which the alarm rate is split, without those
    compared exactly.  priors: what the book shows for each kind.  A fresh value that is not finite
    is worse than anything.  Raises ValueError for a baseline of fewer than three values.
    """
    for name, (_, baseline, _) in metrics.items():
        if len(baseline) < 3:
            raise ValueError(f"{name}: {len(baseline)} baseline values, a spread needs at least 3")
    told = {
        name: known(name, better, values, priors or {}, fresh)
        for name, (better, values, fresh) in metrics.items()
        if not noise.exact(_short(name), better, values, fresh)
    }
    chances = [_p(told[name], metrics[name][2], metrics[name][0]) for name in told]
    levels = holm_levels(chances, alarm_rate, max(tests, len(told)))
    judged = dict(zip(told, zip(chances, levels, strict=True), strict=True))
    return [
        _verdict(name, *about, told[name], *judged[name])
        if name in told
        else _compared(name, *about)
        for name, about in metrics.items()
    ]


def _short(name: str | tuple[str, str]) -> str:
    return name if isinstance(name, str) else name[-1]


def known(name, better, baseline, priors: noise.Priors, fresh: Sequence[float] = ()) -> Known:
    """A baseline on the scale of its kind, of which the fresh values also tell."""
    finite = [f for f in fresh if np.isfinite(f)]
    kind = noise.kind_of(_short(name), better, baseline, finite)
    return Known(noise.to_scale(kind, baseline), kind, priors.get(kind, noise.NOTHING))


def _p(told: Known, fresh: Sequence[float], better: str) -> float:
    if not np.all(np.isfinite(fresh)):
        return 0.0
    return p_value(told, noise.to_scale(told.kind, fresh), better)


def _verdict(name, better, baseline, fresh, told: Known, p: float, level: float) -> Judgement:
    y = noise.to_scale(told.kind, np.where(np.isfinite(fresh), fresh, np.nan))
    opposite = {"lower": "higher", "higher": "lower"}.get(better)
    if p <= level:
        verdict = "changed" if better == "target" else "worse"
    elif seed_ignored(baseline, fresh):
        verdict = "seed ignored"
    elif opposite and p_value(told, y, opposite) <= level:
        verdict = "better"
    else:
        verdict = "ok"
    shift = y.mean() - told.x.mean()
    se, _ = next(told.looks(len(y), 0.0, 1 if shift > 0 else -1))
    low, high = (noise.from_scale(told.kind, v) for v in interval(told, y, better, level))
    return Judgement(
        name, better, tuple(baseline), tuple(fresh), low, high, float(shift / se), p, verdict
    )


def _compared(name, better, baseline, fresh) -> Judgement:
    """Of a number that no seed moves: the same but for rounding, or not."""
    first, margin = baseline[0], 10 * noise.ROUNDING * (abs(baseline[0]) or 0.1)
    off = np.asarray(fresh, dtype=float) - first
    worst = off[np.argmax(np.where(np.isfinite(off), np.abs(off), np.inf))]
    moved = not abs(worst) <= margin
    good = {"lower": worst < 0, "higher": worst > 0}.get(better, False)
    bad = "changed" if better == "target" else "worse"
    verdict = "ok" if not moved else "better" if good else bad
    low = -np.inf if better == "lower" else first - margin
    high = np.inf if better == "higher" else first + margin
    shift = float(np.copysign(np.inf, worst)) if moved else 0.0
    p = float(not moved or good)
    return Judgement(name, better, tuple(baseline), tuple(fresh), low, high, shift, p, verdict)
