"""Runs side by side: parameters that differ, metric differences with their uncertainty, figures
next to each other."""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from genlab.pipeline import html, options
from genlab.pipeline.gate import baseline, noise
from genlab.pipeline.gate.figures import figures
from genlab.pipeline.runs import store
from genlab.pipeline.runs.pages import section_names
from genlab.pipeline.runs.parameters import nearest, short
from genlab.pipeline.runs.why import changes
from genlab.section.paths import RUNS, UserError


@dataclass(frozen=True)
class Named:
    """A run and what the user called it."""

    name: str
    run: store.Run

    @property
    def record(self) -> dict:
        return self.run.record


def find_runs(words: Sequence[str]) -> list[Named]:
    """The runs that the words name: a section (its newest run), a key, a path, or `published`.

    UserError for a word that names none, and for runs of different sections.
    """
    sections = [w for w in words if w in section_names()]
    found = [Named(word, _find(word, sections)) for word in words]
    names = {n.record["section"] for n in found}
    if len(names) > 1:
        raise UserError(
            f"runs of different sections ({', '.join(sorted(names))}): compare runs of one section"
        )
    return found


def _find(word: str, sections: Sequence[str]) -> store.Run:
    if word in section_names():
        run = next(store.stored(word), None) or store.published(word)
        if run is None:
            raise UserError(f"{word} has no run: `genlab run {word}` makes one")
        return run
    if word == "published":
        if len(set(sections)) != 1:
            raise UserError(
                "`published` needs a section beside it, as in `genlab compare ebm published`"
            )
        run = store.published(sections[0])
        if run is None:
            raise UserError(
                f"{sections[0]} has no published run: `genlab publish {sections[0]}` makes one"
            )
        return run
    hexadecimal = len(word) >= 4 and set(word) <= set("0123456789abcdef")
    if hexadecimal and (records := sorted(RUNS.glob(f"*/{word}*/record.json"))):
        return store.at(records[0].parent)
    with contextlib.suppress(OSError, ValueError):  # a name that is too long for a file, and so on
        path = Path(word)
        folder = path if path.is_dir() else path.parent
        if path.exists() and (folder / "record.json").is_file():
            return store.in_folder(folder)
    raise UserError(
        f"{short(word)} names no run{nearest(word, [*section_names(), 'published'])}: give a "
        "section, a key, a run's folder, or `published`"
    )


@dataclass(frozen=True)
class Row:
    """One metric in all runs; differences are to the first run that has it."""

    name: str
    better: str
    values: list[float | None]
    deltas: list[float | None]
    errors: list[float | None]  # standard error of each difference, None if nothing tells it

    def sign(self, i: int) -> str:
        """ "better" | "worse" if difference i exceeds twice its standard error, else ""."""
        delta, error = self.deltas[i], self.errors[i]
        if delta is None or error is None or abs(delta) <= 2 * error or self.better == "target":
            return ""
        return "better" if (delta < 0) == (self.better == "lower") else "worse"


def rows(runs: Sequence[Named]) -> list[Row]:
    """All metrics of the runs, in the first one's order."""
    records = [n.record for n in runs]
    seeds = _over_seeds(records[0])
    table = []
    for name in dict.fromkeys(m for n in runs for m in n.record["metrics"]):
        about = [record["metrics"].get(name) for record in records]
        values = [a and a["value"] for a in about]
        first = next(i for i, a in enumerate(about) if a)
        deltas, errors = [None] * len(runs), [None] * len(runs)
        for i in range(first + 1, len(runs)):
            if about[i]:
                pair = about[first], about[i], records[first], records[i]
                deltas[i] = values[i] - values[first]
                errors[i] = _error(*pair, seeds.get(name))
        table.append(Row(name, about[first].get("better", "lower"), values, deltas, errors))
    return table


def _over_seeds(record: dict) -> dict[str, float]:
    """{metric: its standard deviation over the seeds of the section's baseline}, if it has one."""
    base = baseline.read(record["section"], record["profile"], record["device"])
    return {m: noise.spread(about["values"]) for m, about in base.metrics.items()} if base else {}


def _error(a: dict, b: dict, run_a: dict, run_b: dict, over_seeds: float | None) -> float | None:
    """Standard error of the difference of two recorded numbers, None if nothing tells it.

    Of repetitions at the same seeds, paired: the standard error of the mean difference; of others
    Welch's.  A number from one training scatters as its baseline does over seeds, or else as its
    null.
    """
    both = a.get("values"), b.get("values")
    if all(both) and _same_seeds(a, b, run_a, run_b):
        difference = np.subtract(*both)
        return float(difference.std(ddof=1) / np.sqrt(len(difference)))
    each = [_own_error(about, over_seeds) for about in (a, b)]
    return None if None in each else float(np.hypot(*each))


def _same_seeds(a: dict, b: dict, run_a: dict, run_b: dict) -> bool:
    """Whether repetition i of both is of one seed."""
    over = a.get("over") == b.get("over") == "seeds" and a["repeats"] == b["repeats"]
    return over and run_a["seed"] == run_b["seed"]


def _own_error(about: dict, over_seeds: float | None) -> float | None:
    if "se" in about:
        return about["se"]
    return over_seeds if over_seeds is not None else about.get("sd", about.get("null_sd"))


def different_parameters(runs: Sequence[Named]) -> dict[str, list]:
    """{parameter: its value in each run} of those that are not the same everywhere, profile and
    device among them."""
    facts = [{k: n.record[k] for k in ("profile", "device")} | n.record["params"] for n in runs]
    names = dict.fromkeys(k for f in facts for k in f)
    found = {k: [f.get(k) for f in facts] for k in names}
    return {k: v for k, v in found.items() if any(x != v[0] for x in v)}


def shown(runs: Sequence[Named], table: Sequence[Row]) -> Table:
    """For the terminal: what differs in the parameters, then every metric with its difference to
    the first run."""
    heads = [f"{n.name}\n{n.record['key'][:8]}" for n in runs]
    out = options.table("", *heads, right=heads)
    for name, values in different_parameters(runs).items():
        out.add_row(name, *map(str, values), style="dim")
    for row in table:
        cells = [html.number(row.values[0])]
        for i in range(1, len(runs)):
            delta = "" if row.deltas[i] is None else f"  {row.deltas[i]:+.3g}"
            error = "" if row.errors[i] is None else f" ± {row.errors[i]:.2g}"
            cells.append(f"{html.number(row.values[i])}{delta}{error} {row.sign(i):<6}")
        out.add_row(row.name, *cells)
    return out


def side_by_side(runs: Sequence[Named]) -> dict[str, list[bytes | None]]:
    """{figure: its PNG in each run, None where a run lacks it}."""
    pictures = [figures(n.run.notebook) for n in runs]
    return {
        name: [p.get(name) for p in pictures]
        for name in dict.fromkeys(n for p in pictures for n in p)
    }


def report(runs: Sequence[Named], table: Sequence[Row]) -> Path:
    """Write the HTML page and return its path."""
    title = " against ".join(dict.fromkeys(n.name for n in runs))
    keys = "-".join(n.record["key"][:8] for n in runs)
    name = keys if len(keys) < 100 else hashlib.sha256(keys.encode()).hexdigest()[:16]
    return html.write(
        f"compare/{name}.html",
        "compare.html",
        title=f"{runs[0].record['section']}: {title}",
        runs=runs,
        parameters=different_parameters(runs),
        code=[
            (n.name, changes(runs[0].record["key_parts"], n.record["key_parts"])) for n in runs[1:]
        ],
        rows=table,
        figures=side_by_side(runs),
    )
