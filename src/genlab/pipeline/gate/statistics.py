"""The statistics of the regression gate: is a fresh result a draw from what this code used to give?

The baseline holds a metric's values over n seeds, the fresh run its values over k other seeds.
Under unchanged code

    t = (mean(fresh) - mean(baseline)) / (s sqrt(1/n + 1/k))

follows about Student's t, so mean ± t_quantile · s sqrt(1/n + 1/k) is a prediction interval (Hahn &
Meeker 1991, chapter 4). Metrics are skewed, distances and errors to the bad side, and with that
formula as it stands skewed metrics raise three times the stated alarms (tests/gate_faults.py
measures it).  Hence two precautions.  Positive quantities are compared as logarithms, for their
noise is relative.  And s is the spread on the side in question, s² = 2 Σ (x - mean)²/(n - 1) over
the values there, or the two-sided one if that is larger, with the degrees of freedom of half a
sample, (n - 1)/2. The error rate is that of one alarm anywhere in the book: the levels are Holm's
(1979), step-down over all metrics, which holds for any dependence between them.
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
        baseline, fresh, _ = on_scale(self.baseline, self.fresh)
        shift = fresh.mean() - baseline.mean()
        return float(shift / _standard_error(baseline, len(fresh), 1 if shift > 0 else -1))


def on_scale(
    baseline: Sequence[float], fresh: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Both as logarithms, and True, if all are positive and not all counts; else as they are."""
    b, f = np.asarray(baseline, dtype=float), np.asarray(fresh, dtype=float)
    logarithmic = bool(np.all(b > 0) and np.all(f > 0) and not np.all(b == np.round(b)))
    return (np.log(b), np.log(f), True) if logarithmic else (b, f, False)


def spread(x: np.ndarray, side: int = 0) -> float:
    """Standard deviation over seeds; with `side` +1 or -1 the larger of it and the spread above or
    below the mean.  With a floor:

    a whole number (modes found) cannot be known better than its rounding, 1/√12 (Sheppard), and 25
    of 25 in each of n seeds does not prove that 24 never happens; a number that no seed moves may
    still differ in rounding.
    """
    deviation = x - x.mean()
    beyond = np.clip(side * deviation, 0, None)
    variance = max(np.sum(deviation**2), 2 * np.sum(beyond**2)) / (len(x) - 1)
    floor = 1 / np.sqrt(12) if np.all(x == np.round(x)) else TINY * max(1.0, float(np.abs(x).max()))
    return max(float(np.sqrt(variance)), floor, np.finfo(float).tiny)


def _standard_error(baseline: np.ndarray, k: int, side: int) -> float:
    return spread(baseline, side) * np.sqrt(1 / len(baseline) + 1 / k)


def _freedom(baseline: np.ndarray) -> float:
    return (len(baseline) - 1) / 2


def p_value(baseline: np.ndarray, fresh: np.ndarray, better: str) -> float:
    """Chance, under unchanged code, of a fresh mean as bad as this one; as far off either way for
    better="target"."""
    shift = np.mean(fresh) - np.mean(baseline)

    def tail(side: int) -> float:
        return float(
            special.stdtr(
                _freedom(baseline), -side * shift / _standard_error(baseline, len(fresh), side)
            )
        )

    return {"lower": tail(1), "higher": tail(-1), "target": 2 * min(tail(1), tail(-1))}[better]


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


def interval(baseline: np.ndarray, k: int, better: str, level: float) -> tuple[float, float]:
    """Prediction interval for the mean of k fresh values; one-sided, at `level`, where only worse
    matters."""
    t = -special.stdtrit(_freedom(baseline), level / 2 if better == "target" else level)
    centre = float(np.mean(baseline))
    low = centre - t * _standard_error(baseline, k, -1)
    high = centre + t * _standard_error(baseline, k, 1)
    return (-np.inf if better == "lower" else low, np.inf if better == "higher" else high)


def seed_ignored(baseline: Sequence[float], fresh: Sequence[float]) -> bool:
    """Whether other seeds gave the very same fractional number although the baseline's seeds did
    not."""
    constant = len(fresh) > 1 and len(set(fresh)) == 1
    varied = len(set(baseline)) == len(baseline) and not all(
        float(x).is_integer() for x in baseline
    )
    return constant and varied


def judge(
    metrics: dict[str, tuple[str, Sequence[float], Sequence[float]]],
    *,
    alarm_rate: float = ALARM_RATE,
    tests: int,
) -> list[Judgement]:
    """Judge all metrics {name: (better, baseline values, fresh values)} together.

    tests: number of metrics in the whole book, over which the alarm rate is split.  A fresh value
    that is not finite is worse than anything.  Raises ValueError for a baseline of fewer than three
    values.
    """
    names = list(metrics)
    for name in names:
        if len(metrics[name][1]) < 3:
            raise ValueError(
                f"{name}: {len(metrics[name][1])} baseline values, a spread needs at least 3"
            )
    scaled = [on_scale(baseline, fresh) for _, baseline, fresh in metrics.values()]
    betters = [better for better, _, _ in metrics.values()]
    p = [
        p_value(b, f, better) if np.all(np.isfinite(f)) else 0.0
        for (b, f, _), better in zip(scaled, betters, strict=True)
    ]
    levels = holm_levels(p, alarm_rate, max(tests, len(names)))
    judged = []
    for name, p_worse, level, (b, f, logarithmic) in zip(names, p, levels, scaled, strict=True):
        better, baseline, fresh = metrics[name]
        low, high = interval(b, len(f), better, level)
        if logarithmic:
            low, high = (float(np.exp(v)) if np.isfinite(v) else v for v in (low, high))
        opposite = {"lower": "higher", "higher": "lower"}.get(better)
        if p_worse <= level:
            verdict = "changed" if better == "target" else "worse"
        elif seed_ignored(baseline, fresh):
            verdict = "seed ignored"
        elif opposite and p_value(b, f, opposite) <= level:
            verdict = "better"
        else:
            verdict = "ok"
        judged.append(
            Judgement(name, better, tuple(baseline), tuple(fresh), low, high, p_worse, verdict)
        )
    return judged
