"""What a measure can see: values of damaged copies against the null draws of real against real.

A copy is *seen* where its value lies beyond the interval that holds one more real sample in 95 of
100 cases.  Nothing here knows which measure it is, or what the damage.
"""

import numpy as np
from scipy.stats import t

from genlab import checks

ALARMS = 0.05  # share of real samples that are taken for damaged ones


def critical(draws: int) -> float:
    """How many sample standard deviations one more normal draw lies from the mean of `draws`, at
    most, in 1 - ALARMS of the cases: t(1 - ALARMS/2; draws - 1) sqrt(1 + 1/draws).

    2.15 for twenty draws, where the mean and the standard deviation are themselves estimates.
    """
    draws = checks.count(draws, "draws", 2, hint=" to show a spread")
    return float(t.ppf(1 - ALARMS / 2, draws - 1) * np.sqrt(1 + 1 / draws))


def effect(values: np.ndarray, null: np.ndarray) -> np.ndarray:
    """(value - mean of the null) / sd of the null, for values (...) and null draws (draws,).
    ValueError for a null without spread."""
    values, null = checks.numbers(values, "values"), _null(null)
    return (values - null.mean()) / null.std(ddof=1)


def share_seen(values: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Share of the copies that are seen, for values (..., copies) and null draws (draws,)."""
    return np.mean(np.abs(effect(values, null)) > critical(len(null)), axis=-1)


def false_alarms(null: np.ndarray) -> float:
    """Share of the null draws (draws,) that are seen beside the others; about ALARMS, if they are
    normal.  ValueError for fewer than three draws."""
    null = _null(null)
    checks.count(len(null), "draws", 3, hint=": the others must show a spread")
    others = [np.delete(null, i) for i in range(len(null))]
    return float(np.mean([share_seen(x[None], o) for x, o in zip(null, others, strict=True)]))


def smallest_seen(sizes: np.ndarray, values: np.ndarray, null: np.ndarray) -> tuple[float, float]:
    """The damage at which half of the copies are seen, and its standard error.

    sizes (sizes,) rise from above zero; values (sizes, copies); null (draws,).  Where the mean
    effect first reaches `critical`, linear between the sizes and zero for no damage; inf, and nan,
    where the largest size does not.  The error is the jackknife's over copies and over null draws
    (Efron & Stein 1981, eq. 1.5); a part of the copies that sees no size counts as the largest one.
    ValueError for sizes that do not rise, or another shape of the values.
    """
    sizes, values, null = (
        checks.numbers(sizes, "sizes"),
        checks.numbers(values, "values"),
        _null(null),
    )
    if sizes.ndim != 1 or not len(sizes) or (np.diff(sizes, prepend=0) <= 0).any():
        raise ValueError(f"sizes of shape {sizes.shape} must rise from above zero: sort them")
    if values.ndim != 2 or len(values) != len(sizes) or values.shape[1] < 2:
        raise ValueError(
            f"values of shape {values.shape} must be ({len(sizes)}, copies), two copies or more"
        )
    found = _crossing(sizes, values, null)
    if np.isinf(found):
        return found, float("nan")
    without_copy = [
        _crossing(sizes, np.delete(values, i, axis=1), null) for i in range(values.shape[1])
    ]
    without_draw = [_crossing(sizes, values, np.delete(null, i)) for i in range(len(null))]
    variance = sum(
        (len(part) - 1) * np.minimum(part, sizes[-1]).var() for part in (without_copy, without_draw)
    )
    return found, float(np.sqrt(variance))


def _null(null: np.ndarray) -> np.ndarray:
    """Null draws (draws,) with a spread, as floats."""
    null = checks.numbers(null, "null")
    if null.ndim != 1 or len(null) < 2 or not null.std() > 0:
        raise ValueError(f"null of shape {null.shape} must hold two different draws or more")
    return null


def _crossing(sizes: np.ndarray, values: np.ndarray, null: np.ndarray) -> float:
    """The size at which the mean effect, zero at size zero, first reaches `critical`; or inf."""
    x = np.concatenate([[0.0], sizes])
    y = np.concatenate([[0.0], np.abs(effect(values.mean(axis=1), null))])
    bound = critical(len(null))
    if not (y >= bound).any():
        return float("inf")
    i = int(np.argmax(y >= bound))
    return float(x[i - 1] + (bound - y[i - 1]) / (y[i] - y[i - 1]) * (x[i] - x[i - 1]))
