"""The smallest shift that the gate can see, from a section's baseline: told before anything runs.

It is the reach of the prediction interval at the level that one of the book's quantities has, so a
fault which moves a quantity by just so much raises an alarm every other time.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genlab.pipeline.gate import baseline, noise, statistics
from genlab.pipeline.gate.baseline import Baseline
from genlab.pipeline.runs.pages import get_section

RUNS = (1, 4)  # numbers of fresh runs that are told


class Seen(NamedTuple):
    """Of one quantity: its mean over seeds, the smallest visible shift in standard deviations over
    seeds, and the value that is so far off, on the bad side or, for a target, above; NaN if it
    cannot be so far off."""

    mean: float
    shift: float
    value: float


class Sight(NamedTuple):
    """Of one section: its seeds, the quantities that share the level, and for each of RUNS the
    median smallest visible shift [sd] and that of the headline."""

    section: str
    seeds: int
    judged: int
    medians: tuple[float, ...]
    headline: str
    seen: tuple[Seen, ...]


def seen(base: Baseline, priors: noise.Priors, k: int, level: float) -> dict[str, Seen]:
    """What k fresh runs can show of every quantity that some seed moves."""
    found = {}
    for name, (better, values) in base.quantities().items():
        if noise.constant(values):
            continue
        told = statistics.known(name, better, values, priors)
        reach = statistics.smallest_visible(told, k, better, level)
        centre, sd = told.x.mean(), float(np.sqrt(noise.variance(told.x)))
        side = -1 if better == "higher" else 1
        mean, value = (noise.from_scale(told.kind, x) for x in (centre, centre + side * reach))
        possible = told.kind in ("log", "plain") or centre + side * reach >= 0
        found[name] = Seen(mean, reach / sd, value if possible else np.nan)
    return found


def median_shift(views: dict[str, Seen]) -> float:
    """Half of a section's quantities show a smaller shift than this [sd]; NaN if it has none."""
    return float(np.median([s.shift for s in views.values()] or [np.nan]))


def headline(text: str, views: dict[str, Seen], base: Baseline) -> str:
    """The first quantity that the page quotes, that can be worse, and that is no steadier than
    the rest; else any."""
    usual = 1.5 * median_shift(views)
    quoted = [m for m in re.findall(r"\{glue:text\}`([^:`]+)", text) if m in views]
    fit = (m for m in quoted if base.metrics[m]["better"] != "target" and views[m].shift < usual)
    return next(fit, next(iter(quoted or views)))


def sights(book: Sequence[Baseline]) -> list[Sight]:
    """The sight of every section of a book whose quantities share the level."""
    priors = baseline.priors_of(book)
    level = statistics.ALARM_RATE / max(sum(b.tests() for b in book), 1)
    return [_sight(b, priors, level) for b in book]


def _sight(base: Baseline, priors: noise.Priors, level: float) -> Sight:
    views = [seen(base, priors, k, level) for k in RUNS]
    medians = tuple(map(median_shift, views))
    name = headline(get_section(base.section).path.read_text("utf-8"), views[0], base)
    seen_of_name = tuple(v[name] for v in views)
    return Sight(base.section, len(base.seeds), base.tests(), medians, name, seen_of_name)
