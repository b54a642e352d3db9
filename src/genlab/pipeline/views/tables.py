"""Tables of the book, made of records: the ledger, what pages cost, the power of the gate."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from genlab.pipeline.gate import baseline
from genlab.pipeline.gate.sight import RUNS, Seen, sights
from genlab.pipeline.html import markdown, number, plain, sortable
from genlab.pipeline.runs.derived import derived
from genlab.pipeline.runs.pages import get_section
from genlab.section.paths import ROOT


def ledger(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Every metric of every section, with its error, its limit and its null: HTML for a page.  The
    row of a number has the anchor PAGE:METRIC."""
    heads = ("page", "number", "value", "±", "of", "real against real", "±", "limit", "better", "n")
    rows, ids = [], []
    for page, record in records.items():
        link = Markup('<a href="../notebooks/{0}.html">{0}</a>').format(page)
        for name, about in record["metrics"].items():
            error, of = error_of(about)
            unit = Markup(" <small>{}</small>").format(about["unit"]) if about.get("unit") else ""
            null = about.get("null_mean"), about.get("null_sd"), about.get("limit")
            ids.append(f"{page}:{name}")
            words = Markup("/<wbr>").join(name.split("/"))  # where a long name may be broken
            shown = Markup("<code>{}</code>").format(words) + unit
            rows.append(
                (link, shown, about["value"], error, of, *null, about["better"], about.get("n"))
            )
    return sortable(heads, rows, ids=ids)


def error_of(about: Mapping[str, Any]) -> tuple[float | None, str]:
    """The error of a recorded value, and what it is the error of: "se" of the value, or "sd", which
    is the spread over repetitions or, on pages that do not say so yet, an error."""
    if "se" in about:
        return about["se"], f"se over {about.get('over', 'samples')}"
    return about.get("sd"), "sd" if "sd" in about else ""


def runtimes(records: Mapping[str, Mapping[str, Any]]) -> str:
    """What each page cost: a Markdown table."""
    heads = ("section", "profile", "seconds", "peak memory [MiB]", "device", "started")
    rows = []
    for name, r in records.items():
        cost = f"{r['seconds']:.0f}", f"{r['peak_memory_mib']:,}"
        rows.append(
            (plain(name), plain(r["profile"]), *cost, plain(r["device"]), plain(r["started"][:16]))
        )
    return markdown(heads, rows, heads[2:4])


BASELINES = ROOT / "tests" / "baselines"


def power_table() -> str:
    """Planted faults and how often the gate caught them, and its rate of false alarms: from what
    `make power` measured."""
    path = BASELINES / "power.json"
    if not path.is_file():
        return "(`make power` measures this table.)"
    told = json.loads(path.read_text("utf-8"))
    k, sizes = told["seeds"], told["baseline_seeds"]
    columns = [(n, runs) for n in sizes for runs in (1, k)]
    heads = [f"{n} seeds, {runs} run{'s' * (runs > 1)}" for n, runs in columns]
    rows = []
    for r in told["faults"]:
        metric = f"`{r['metric']}`" if r["metric"] else "nothing"
        caught = [f"{100 * r[f'power_{n}_{runs}']:.0f} %" for n, runs in columns]
        rows.append((f"{r['fault']}, `{r['file']}`", metric, f"{r['shift']:.3g}", *caught))
    table = markdown(
        ("fault, and where", "shown by", "shift [se]", *heads), rows, ("shift [se]", *heads)
    )
    return f"{table}\n\n{_about_power(told)}"


def _about_power(told: Mapping[str, Any]) -> str:
    null = told["unchanged"]
    rates = ", ".join(f"{name} {100 * rate:.1f} %" for name, rate in null["rates"].items())
    alarms = [f"{100 * float(rate):g} %: {len(found)}" for rate, found in null["book"].items()]
    sizes = " and ".join(map(str, told["baseline_seeds"]))
    return (
        f"Baselines of {sizes} seeds, as the book's sections have, and {told['fresh_runs']} fresh "
        f"runs of each fault; levels split over the {told['quantities']:,} quantities of the book; "
        "*se* is the standard error of a prediction from the larger baseline. Of *unchanged* code "
        f"{100 * told['alarm_rate']:g} % of checks should raise an alarm; measured on "
        f"{null['splits_per_experiment']:,} random splits of 64 runs of each of "
        f"{len(null['rates'])} small experiments, baselines of {told['baseline_seeds'][0]}: "
        f"{rates}. And of the {null['book_seeds']} seeds behind the book's own baselines, each "
        "judged by the others, so many raise an alarm if the rate is set to "
        f"{'; '.join(alarms)}."
    )


def sight_table() -> str:
    """The smallest shift that the gate can see in every section: a Markdown table, from the
    committed baselines of the quick profile."""
    book = baseline.read_all("quick", "cpu")
    pages = [get_section(base.section).path.read_text("utf-8") for base in book]
    return derived("sight", [repr(book), *pages], lambda: _sight_table(book))


def _sight_table(book: Sequence[baseline.Baseline]) -> str:
    found = sights(book)
    if not found:
        return "(`genlab baseline` writes what this table is made of.)"
    numbers = ["seeds", "judged", "usual", *(f"{k} run{'s' * (k > 1)}" for k in RUNS)]
    medians, quoted = [], []
    for s in found:
        shifts = [f"{median:.1f}" for median in s.medians]
        medians.append((s.section, str(s.seeds), str(s.judged), *shifts))
        usual = number(s.seen[0].mean)
        name = f"`{s.headline}`".replace("/", "/` `")  # so that it may be broken in the middle
        quoted.append((s.section, name, usual, *map(_alarm, s.seen)))
    return (
        "Median smallest visible shift [standard deviations over seeds], by fresh runs:\n\n"
        + markdown(("section", "seeds", "judged", *numbers[3:]), medians, numbers)
        + "\n\nThe first number of the page, and where it raises an alarm, by fresh runs:\n\n"
        + markdown(("section", "quotes", "usual", *numbers[3:]), quoted, numbers)
    )


def _alarm(seen: Seen) -> str:
    """The value that raises an alarm every other time, or that none can."""
    return "never" if math.isnan(seen.value) else number(seen.value)


def faults_table() -> str:
    """Faults planted in the library and looked for by `genlab check` in real sections: from what
    `tests/gate_faults.py --sections` measured."""
    path = BASELINES / "faults.json"
    if not path.is_file():
        return "(`python tests/gate_faults.py --sections` measures this table.)"
    told = json.loads(path.read_text("utf-8"))
    heads = ("fault, and where", "section", "found", "shown by", "usual", "with the fault")
    rows = []
    for r in told["faults"]:
        seen = ["**nothing**", "", "", ""]
        if r["alarms"]:
            shown = [f"`{r['metric']}`", number(r["usual"]), number(r["now"])]
            seen = [f"{r['alarms']} alarm{'s' * (r['alarms'] > 1)}", *shown]
        rows.append((f"{r['fault']}, `{r['file']}`", r["section"], *seen))
    alarms = sum(told["unchanged"].values())
    return markdown(heads, rows, heads[4:]) + (
        f"\n\nQuick profile, {told['seeds']} seeds. The unchanged code at the same seeds: "
        f"{alarms or 'no'} alarm{'s' * (alarms > 1)} in {', '.join(told['unchanged'])}."
    )
