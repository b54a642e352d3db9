"""A number with what is needed to judge it, and how it travels in a notebook."""

import math
import re
from dataclasses import asdict, dataclass, fields

METRIC_MIME = "application/vnd.genlab.metric+json"
BETTER = ("lower", "higher", "target")
NAME = re.compile(r"[\w.+-]+(/[\w.+-]+)*")  # other signs mean something to {glue:text}
OVER = ("seeds", "starts", "draws", "folds", "images", "points")  # what a number is repeated over
TEXTS = ("unit", "better", "limit_is")
COUNTS = {"n": 1, "repeats": 2, "null_draws": 2}  # and the least they can be
SPREADS = ("sd", "se", "null_sd")


def check(name: str, about: dict) -> None:
    """ValueError, which names metric and field, unless `name` reads "quantity" or "case/quantity"
    and every field of a metric in `about` is what it must be: numbers finite, spreads not negative,
    counts whole, texts text."""
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise ValueError(
            f"metric {name!r}: a name reads quantity or case/quantity, of letters, digits, _ . + -"
        )
    known = [field.name for field in fields(Metric)]
    for field, value in about.items():
        if field not in known:
            raise ValueError(f"metric {name!r}: there is no {field!r}: use {', '.join(known)}")
        if wrong := _wrong(field, value):
            raise ValueError(f"metric {name!r}: {field} is {value!r:.80}: it must be {wrong}")


def _wrong(field: str, value: object) -> str:
    """What a field of a metric must be, if the value is not that; else nothing."""
    if field == "better":
        return "" if value in BETTER else f"one of {', '.join(BETTER)}"
    if field in TEXTS:
        return "" if isinstance(value, str) else "text"
    if value is None and field != "value":
        return ""
    if field == "over":
        return "" if value in OVER else f"one of {', '.join(OVER)}"
    if field == "values":
        numbers = isinstance(value, list) and value and not any(_wrong("value", v) for v in value)
        return "" if numbers else "a list of finite numbers"
    if field in COUNTS:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return "" if whole and value >= COUNTS[field] else f"a whole number from {COUNTS[field]} up"
    if not isinstance(value, (int, float)) or not _finite(value):
        return "one number, and finite"
    return "not negative" if field in SPREADS and value < 0 else ""


def _finite(value: float) -> bool:
    """Whether the number is finite as a float."""
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


@dataclass(frozen=True)
class Metric:
    """A number with what is needed to judge it; prints as the bare number, so that prose can quote
    it with {glue:text}."""

    value: float | int | bool
    unit: str = ""
    better: str = "lower"
    limit: float | None = None
    limit_is: str = ""
    n: int | None = None  # sample size the value rests on
    over: str | None = None  # what it was repeated over: of `repeats` repetitions it is the mean,
    repeats: int | None = None
    values: list[float] | None = None  # of each repetition, where they are few,
    sd: float | None = None  # their standard deviation: the spread of one repetition,
    se: float | None = None  # and the standard error of the value
    null_mean: float | None = None  # the same measure, real against real
    null_sd: float | None = None
    null_draws: int | None = None

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": repr(self.value), METRIC_MIME: asdict(self)}
