"""Tables of the book, made of records: the ledger, what pages cost, the power of the gate."""

import json
from collections.abc import Mapping
from typing import Any

from genlab.pipeline.html import literal, number, plain
from genlab.pipeline.runs.pages import get_section
from genlab.section.paths import ROOT


def ledger(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Every metric of every section, with its limit, its null and its spread: Markdown tables."""
    blocks = []
    for name, record in records.items():
        rows = [
            "| metric | value | real against real | limit | better | n |",
            "|---|--:|--:|--:|---|--:|",
        ]
        for metric, about in record["metrics"].items():
            null = (
                f"{number(about['null_mean'])} ± {number(about['null_sd'])}"
                if "null_mean" in about
                else ""
            )
            value = number(about["value"]) + (f" ± {number(about['sd'])}" if "sd" in about else "")
            unit = f" {plain(about['unit'])}" if about.get("unit") else ""
            rows.append(
                f"| {literal(metric)} | {value}{unit} | {null} | {number(about.get('limit'))} | "
                f"{plain(about['better'])} | {number(about.get('n'))} |"
            )
        title, profile = get_section(name).title, plain(record["profile"])
        heading = f"## {title}\n\n{profile} profile, key {literal(record['key'])}"
        blocks.append(f"{heading}\n\n" + "\n".join(rows))
    return "\n\n".join(blocks)


def runtimes(records: Mapping[str, Mapping[str, Any]]) -> str:
    """What each page cost: a Markdown table."""
    rows = [
        "| section | profile | seconds | peak memory [MiB] | device | started |",
        "|---|---|--:|--:|---|---|",
    ]
    for name, r in records.items():
        rows.append(
            f"| {plain(name)} | {plain(r['profile'])} | {r['seconds']:.0f} | "
            f"{r['peak_memory_mib']:,} | {plain(r['device'])} | {plain(r['started'][:16])} |"
        )
    return "\n".join(rows)


def power_table() -> str:
    """Planted faults and how often the gate caught them, and its rate of false alarms: from what
    `make power` measured."""
    path = ROOT / "tests" / "baselines" / "power.json"
    if not path.is_file():
        return "(`make power` measures this table.)"
    told = json.loads(path.read_text("utf-8"))
    k = told["seeds"]
    rows = [
        f"| fault, and where | shown by | shift [se] | 1 run | {k} seeds |",
        "|---|---|--:|--:|--:|",
    ]
    for r in told["faults"]:
        metric = f"`{r['metric']}`" if r["metric"] else "nothing"
        caught = [f"{100 * r[f'power_{n}']:.0f} %" for n in (1, k)]
        rows.append(
            f"| {r['fault']}, `{r['file']}` | {metric} | {r['shift']:.3g} | {caught[0]} | "
            f"{caught[1]} |"
        )
    null = told["unchanged"]
    rates = ", ".join(f"{name} {100 * rate:.1f} %" for name, rate in null["rates"].items())
    seeds, alarms = null["book_seeds"], null["book_alarms"]
    about = (
        f"Baselines of {told['baseline_seeds']} seeds, {told['fresh_runs']} fresh runs of each "
        "fault, levels split over "
        f"{told['quantities']} quantities; *se* is the standard error of a prediction. Of "
        "*unchanged* code "
        f"{100 * told['alarm_rate']:g} % of checks should raise an alarm; measured on "
        f"{null['splits_per_experiment']:,} random "
        f"splits of 64 runs of each of four small experiments: {rates}. And of the {seeds} seeds "
        "behind the book's own baselines, each "
        f"judged by the others, {len({a.split(':')[0] for a in alarms})} raise an "
        f"alarm{': ' if alarms else ''}{'; '.join(alarms)}."
    )
    return "\n".join(rows) + "\n\n" + about
