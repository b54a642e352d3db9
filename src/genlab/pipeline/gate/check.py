"""`genlab check`: fresh runs against the committed baselines, every metric and figure of the book
judged together."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.table import Table

from genlab.pipeline import html, options
from genlab.pipeline.gate import baseline, sight, statistics
from genlab.pipeline.gate.baseline import Baseline
from genlab.pipeline.gate.figures import figures, thumbnail
from genlab.pipeline.gate.statistics import Judgement
from genlab.pipeline.runs import keys, store
from genlab.pipeline.runs.pages import get_section
from genlab.section.paths import UserError


@dataclass
class Checked:
    """One section: its judgements, or why there are none."""

    section: str
    problem: str = ""
    baseline: Baseline | None = None
    device: str = "cpu"  # of the fresh runs
    seeds: list[int] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # in the baseline, not in the run
    new: list[str] = field(default_factory=list)  # in the run, not in the baseline
    visible: float = np.nan  # median smallest visible shift [sd over seeds]

    @property
    def passed(self) -> bool:
        return not (self.problem or self.missing or any(j.alarm for j in self.judgements))


def fresh_runs(name: str, profile: str, seeds: Sequence[int]) -> list[store.Run]:
    """The current runs of a section at these seeds.  UserError, naming it, for one that is missing
    or damaged."""
    runs = []
    for seed in seeds:
        key = keys.current_key(name, profile, seed)
        if key and (run := store.find(name, key)):
            runs.append(run)
            continue
        if key and (said := store.damaged(name, key)):
            raise UserError(f"damaged {profile} run at seed {seed}: {said}")
        raise UserError(
            f"no current {profile} run at seed {seed}: `genlab run {name} --profile {profile} "
            f"--seed {seed}` makes it"
        )
    return runs


def values_of(base: Baseline, runs: Sequence[store.Run]) -> dict[str, list[float]]:
    """{metric, or likeness or ink of a figure: its value in each run}."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for name, about in run.record["metrics"].items():
            found.setdefault(name, []).append(float(about["value"]))
        for name, png in figures(run.notebook).items():
            image = thumbnail(png)
            known = f"{name}/likeness" in base.figures
            reference = base.reference(name) if known else image
            for quantity, value in baseline.look(name, reference, image).items():
                found.setdefault(quantity, []).append(value)
    return {name: values for name, values in found.items() if len(values) == len(runs)}


def check(
    names: Sequence[str], profile: str, *, seeds: int, alarm_rate: float = statistics.ALARM_RATE
) -> list[Checked]:
    """Judge the sections together; a section that cannot be judged says why and does not stop the
    others."""
    results: dict[str, Checked] = {}
    questions = {}
    for name in names:
        first = section_seed(name)
        result = results[name] = Checked(name, seeds=list(range(first, first + seeds)))
        try:
            result.device = keys.device_class(get_section(name))
            # Same code, other rounding: what another device says is one more draw.
            own = baseline.read(name, profile, result.device)
            result.baseline = own or baseline.read(name, profile, "cpu")
            if result.baseline is None:
                raise UserError(
                    f"no baseline for {profile}: `genlab baseline {name} --profile "
                    f"{profile}` writes one"
                )
            found = values_of(result.baseline, fresh_runs(name, profile, result.seeds))
        except UserError as error:
            result.problem = str(error)
            continue
        known = result.baseline.quantities()
        result.missing = [m for m in known if m not in found]
        result.new = [m for m in found if m not in known]
        questions |= {(name, m): (*known[m], found[m]) for m in known if m in found}
    devices = {r.baseline.device for r in results.values() if r.baseline}
    book = [b for device in sorted(devices) for b in baseline.read_all(profile, device)]
    tests, priors = sum(b.tests() for b in book), baseline.priors_of(book)
    for judgement in statistics.judge(questions, alarm_rate=alarm_rate, tests=tests, priors=priors):
        results[judgement.name[0]].judgements.append(judgement)
    for result in results.values():
        if result.judgements:
            level = alarm_rate / max(tests, 1)
            views = sight.seen(result.baseline, priors, seeds, level)
            result.visible = sight.median_shift(views)
    return [*results.values()]


def section_seed(name: str) -> int:
    """The published seed of a section."""
    return next(p.default for p in get_section(name).parameters if p.name == "seed")


def summary(results: Sequence[Checked]) -> Table:
    """One row a section, and below it every metric that is not as it was."""
    numbers = ("baseline", "now", "interval", "shift [se]")
    table = options.table("section", "metric", *numbers, "verdict", right=numbers)
    for r in results:
        verdict = "not checked" if r.problem else "ok" if r.passed else "FAILED"
        table.add_row(r.section, _said(r), *[""] * len(numbers), verdict)
        for j in r.judgements:
            if j.verdict != "ok":
                told = baseline.mean_and_sd(j.baseline), f"{np.mean(j.fresh):.4g}", interval_text(j)
                table.add_row("", j.name[1], *told, f"{j.shift:+.1f}", j.verdict)
        for name in r.missing:
            table.add_row("", name, *[""] * len(numbers), "missing")
    return table


def _said(r: Checked) -> str:
    """What the check of a section found, or why there was none."""
    alarms = sum(j.alarm for j in r.judgements) + len(r.missing)
    better = sum(j.verdict == "better" for j in r.judgements)
    said = r.problem or f"{len(r.judgements)} quantities: {alarms} alarms, {better} better"
    if r.new and not r.problem:
        said += f", {len(r.new)} new"
    if r.baseline and r.baseline.device != r.device:
        said += f"; runs on {r.device} against the baseline of {r.baseline.device}"
    if np.isfinite(r.visible):
        said += f"; half show a shift of {r.visible:.1f} sd"
    return said


def interval_text(j: Judgement) -> str:
    """ "≤ 0.54", "≥ 0.9" or "0.1 … 0.3"."""
    if np.isinf(j.low):
        return f"≤ {j.high:.4g}"
    return f"≥ {j.low:.4g}" if np.isinf(j.high) else f"{j.low:.4g} … {j.high:.4g}"


def report(results: Sequence[Checked], profile: str, alarm_rate: float):
    """Write the HTML report and return its path."""
    passed = sum(r.passed for r in results)
    alarms = [(r, j) for r in results for j in r.judgements if j.alarm]
    return html.write(
        "check/index.html",
        "check.html",
        title="Regression gate",
        results=results,
        profile=profile,
        alarm_rate=alarm_rate,
        passed=passed,
        alarms=alarms,
        strip=html.strip,
        interval_text=interval_text,
        mean_and_sd=baseline.mean_and_sd,
    )
