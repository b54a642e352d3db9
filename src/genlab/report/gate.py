"""The statistics of the regression gate: is a fresh result a draw from what this code used to give?

The baseline holds a metric's values over n seeds, the fresh run its values over k other seeds.  Under unchanged code

    t = (mean(fresh) - mean(baseline)) / (s sqrt(1/n + 1/k)),   s² the baseline's variance,

follows Student's t with n - 1 degrees of freedom for normal values, so [mean ± t_quantile · s sqrt(1/n + 1/k)] is a
prediction interval (Hahn & Meeker 1991, chapter 4).  The error rate is that of one alarm anywhere in the book: the levels are
Holm's (1979), step-down over all metrics, which holds for any dependence between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

ALARM_RATE = 0.01  # chance of one false alarm or more in a check of the whole book
TINY = 1e-6  # relative spread of a number that no seed moves: rounding on another machine


@dataclass(frozen=True)
class Judgement:
    """One metric against its baseline."""

    name: str
    better: str  # "lower" | "higher" | "target"
    baseline: tuple[float, ...]
    fresh: tuple[float, ...]
    low: float  # the prediction interval; infinite on the side where better lies
    high: float
    p: float  # of a result so bad
    verdict: str  # "ok" | "worse" | "better" | "changed" | "seed ignored"

    @property
    def alarm(self) -> bool:
        return self.verdict in ("worse", "changed", "seed ignored")

    @property
    def shift(self) -> float:
        """Distance of the fresh mean from the baseline's, in standard errors of a prediction."""
        return (np.mean(self.fresh) - np.mean(self.baseline)) / _standard_error(self.baseline, len(self.fresh))


def spread(baseline: Sequence[float]) -> float:
    """Standard deviation over seeds, with a floor.

    A whole number (modes found) cannot be known better than its rounding, 1/√12 (Sheppard), and 25 of 25 in each of
    n seeds does not prove that 24 never happens; a number that no seed moves may still differ in rounding.
    """
    x = np.asarray(baseline, dtype=float)
    floor = 1 / np.sqrt(12) if np.all(x == np.round(x)) else 0.0
    return max(float(x.std(ddof=1)), floor, TINY * float(np.abs(x).max()), np.finfo(float).tiny)


def _standard_error(baseline: Sequence[float], k: int) -> float:
    return spread(baseline) * np.sqrt(1 / len(baseline) + 1 / k)


def p_value(baseline: Sequence[float], fresh: Sequence[float], better: str) -> float:
    """Chance, under unchanged code, of a fresh mean as bad as this one; as far off either way for better="target"."""
    t = (np.mean(fresh) - np.mean(baseline)) / _standard_error(baseline, len(fresh))
    beyond = {"lower": t, "higher": -t, "target": abs(t)}[better]
    return float(special.stdtr(len(baseline) - 1, -beyond)) * (2 if better == "target" else 1)


def holm_levels(p: Sequence[float], alarm_rate: float, tests: int) -> np.ndarray:
    """The level each p-value must stay above to pass, of `tests` tests in the book (p may hold only some of them).

    Holm: the j-th smallest is compared with alarm_rate / (tests - j), j = 0, 1, …, as long as all before it were rejected.
    """
    p = np.asarray(p, dtype=float)
    levels = np.empty(len(p))
    rejected = 0
    for i in np.argsort(p):
        levels[i] = alarm_rate / (tests - rejected)
        rejected += bool(p[i] <= levels[i])
    return levels


def interval(baseline: Sequence[float], k: int, better: str, level: float) -> tuple[float, float]:
    """Prediction interval for the mean of k fresh values; one-sided, at `level`, where only worse matters."""
    centre, width = float(np.mean(baseline)), _standard_error(baseline, k)
    t = -special.stdtrit(len(baseline) - 1, level / 2 if better == "target" else level)
    low, high = centre - t * width, centre + t * width
    return (-np.inf if better == "lower" else low, np.inf if better == "higher" else high)


def seed_ignored(baseline: Sequence[float], fresh: Sequence[float]) -> bool:
    """Whether other seeds gave the very same fractional number although the baseline's seeds did not."""
    constant = len(fresh) > 1 and len(set(fresh)) == 1
    varied = len(set(baseline)) == len(baseline) and not all(float(x).is_integer() for x in baseline)
    return constant and varied


def judge(
    metrics: dict[str, tuple[str, Sequence[float], Sequence[float]]], *, alarm_rate: float = ALARM_RATE, tests: int
) -> list[Judgement]:
    """Judge all metrics {name: (better, baseline values, fresh values)} together.

    tests: number of metrics in the whole book, over which the alarm rate is split.  A fresh value that is not finite is
    worse than anything.  Raises ValueError for a baseline of fewer than three values.
    """
    names = list(metrics)
    for name in names:
        if len(metrics[name][1]) < 3:
            raise ValueError(f"{name}: {len(metrics[name][1])} baseline values, a spread needs at least 3")
    p = [p_value(b, f, better) if np.all(np.isfinite(f)) else 0.0 for better, b, f in metrics.values()]
    levels = holm_levels(p, alarm_rate, max(tests, len(names)))
    judged = []
    for name, p_worse, level in zip(names, p, levels, strict=True):
        better, baseline, fresh = metrics[name]
        low, high = interval(baseline, len(fresh), better, level)
        opposite = {"lower": "higher", "higher": "lower"}.get(better)
        if p_worse <= level:
            verdict = "changed" if better == "target" else "worse"
        elif seed_ignored(baseline, fresh):
            verdict = "seed ignored"
        elif opposite and p_value(baseline, fresh, opposite) <= level:
            verdict = "better"
        else:
            verdict = "ok"
        judged.append(Judgement(name, better, tuple(baseline), tuple(fresh), low, high, p_worse, verdict))
    return judged
