"""A number with what is needed to judge it, and how it travels in a notebook."""

from dataclasses import asdict, dataclass

METRIC_MIME = "application/vnd.genlab.metric+json"
BETTER = ("lower", "higher", "target")


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
    sd: float | None = None  # standard deviation over repetitions (seeds or draws) of the value
    null_mean: float | None = None  # the same measure, real against real
    null_sd: float | None = None
    null_draws: int | None = None

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": repr(self.value), METRIC_MIME: asdict(self)}
