"""The table of a sweep: one row a run, parameters first, then every metric; printed as mean and spread over seeds."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from genlab.report.paths import RUNS

SHOWN_METRICS = 6  # columns of the printed table; the CSV has all


@dataclass(frozen=True)
class Rows:
    """The full table as dicts, and the printed one."""

    rows: list[dict]
    shown: Table


def table(jobs, names: list[str]) -> Rows:
    """Rows of the sweep's jobs with their parameters `names` (the last is the seed), state, seconds and metrics."""
    rows = []
    for job in jobs:
        record = job.run.record if job.run else {"metrics": {}}
        row = {name: job.params[name] for name in names} | {
            "state": job.state,
            "key": job.key,
            "seconds": record.get("seconds"),
        }
        rows.append(row | {name: metric["value"] for name, metric in record["metrics"].items()})
    return Rows(rows, _shown(rows, names[:-1]))


def _shown(rows: list[dict], names: list[str]) -> Table:
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault(tuple(row[n] for n in names), []).append(row)
    fixed = {*names, "seed", "state", "key", "seconds"}
    moving = [m for m in dict.fromkeys(m for r in rows for m in r) if m not in fixed and _moves(groups.values(), m)]
    shown = Table(box=None, header_style="bold")
    for column in [*names, "runs", *moving[:SHOWN_METRICS]]:
        shown.add_column(column, justify="right")
    for values, members in groups.items():
        cells = [_mean_and_sd([r[m] for r in members if m in r]) for m in moving[:SHOWN_METRICS]]
        good = sum(r["state"] in ("done", "reused") for r in members)
        shown.add_row(*map(str, values), f"{good}/{len(members)}", *cells)
    return shown


def _moves(groups, metric: str) -> float:
    """Whether the metric's group means differ at all: metrics that the grid cannot touch are left out of the printed table."""
    means = [np.mean([r[metric] for r in members if metric in r] or [np.nan]) for members in groups]
    return len(means) < 2 or bool(np.nanmax(means) - np.nanmin(means) > 1e-12)


def _mean_and_sd(values: list[float]) -> str:
    if not values:
        return "-"
    spread = f" ± {np.std(values, ddof=1):.2g}" if len(values) > 1 else ""
    return f"{np.mean(values):.4g}{spread}"


def write(section: str, rows: Rows) -> Path:
    """Write all rows to runs/sweeps/SECTION-N.csv, N the next free number, and return the path."""
    folder = RUNS / "sweeps"
    folder.mkdir(parents=True, exist_ok=True)
    number = 1 + len(list(folder.glob(f"{section}-*.csv")))
    path = folder / f"{section}-{number}.csv"
    names = list(dict.fromkeys(name for row in rows.rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows.rows)
    return path
