"""The table and the page of a sweep: one row a run, parameters first, then every metric; mean and
spread over seeds."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table
from scipy import stats

from genlab.pipeline import html
from genlab.pipeline.runs.disk import disk_errors, write_all
from genlab.pipeline.views import compare
from genlab.section.paths import RUNS

SHOWN_METRICS = 6  # columns of the printed table; the CSV has all
# panels of a line plot: the metrics that a parameter moves most, in units of their spread over
# seeds
DRAWN_METRICS = 12
LARGEST = 1e300  # on an axis; a whole number may be any
CONFIDENCE = 0.95  # of the drawn intervals for the mean over seeds


@dataclass(frozen=True)
class Rows:
    """The full table as dicts, and the printed one."""

    rows: list[dict]
    shown: Table


def table(jobs, names: list[str]) -> Rows:
    """Rows of the sweep's jobs with their parameters `names` (the last is the seed), state, seconds
    and metrics; a metric with the name of another column says that it is one."""
    rows = []
    for job in jobs:
        record = job.run.record if job.run else {"metrics": {}}
        row = {name: as_word(job.params[name]) for name in names}
        row |= {"state": job.state, "key": job.key, "seconds": record.get("seconds")}
        for name, metric in record["metrics"].items():
            row[f"{name} (metric)" if name in row else name] = metric["value"]
        rows.append(row)
    return Rows(rows, _shown(rows, names[:-1]))


def as_word(value):
    """A list as the command line writes it; any other value unchanged."""
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _shown(rows: list[dict], names: list[str]) -> Table:
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault(tuple(row[n] for n in names), []).append(row)
    fixed = {*names, "seed", "state", "key", "seconds"}
    moving = [
        m
        for m in dict.fromkeys(m for r in rows for m in r)
        if m not in fixed and _moves(groups.values(), m)
    ]
    shown = Table(box=None, header_style="bold")
    for column in [*names, "runs", *moving[:SHOWN_METRICS]]:
        shown.add_column(column, justify="right")
    for values, members in groups.items():
        cells = [_mean_and_sd([r[m] for r in members if m in r]) for m in moving[:SHOWN_METRICS]]
        good = sum(r["state"] in ("done", "reused") for r in members)
        shown.add_row(*map(str, values), f"{good}/{len(members)}", *cells)
    return shown


def _moves(groups, metric: str) -> bool:
    """Whether the metric's group means differ at all: metrics that the grid cannot touch are left
    out of the printed table."""
    means = [np.mean([r[metric] for r in members if metric in r] or [np.nan]) for members in groups]
    return len(means) < 2 or bool(np.nanmax(means) - np.nanmin(means) > 1e-12)


def _mean_and_sd(values: list[float]) -> str:
    if not values:
        return "-"
    spread = f" ± {np.std(values, ddof=1):.2g}" if len(values) > 1 else ""
    return f"{np.mean(values):.4g}{spread}"


def write(section: str, rows: Rows) -> tuple[Path, int]:
    """Write all rows to runs/sweeps/SECTION-N.csv, N the next free number; the path and N."""
    folder = RUNS / "sweeps"
    names = list(dict.fromkeys(name for row in rows.rows for name in row))
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, names)
    writer.writeheader()
    writer.writerows(rows.rows)
    with disk_errors("the table of the sweep"):
        taken = [
            int(f.stem.rsplit("-", 1)[1])
            for f in folder.glob(f"{section}-*.csv")
            if f.stem.rsplit("-", 1)[1].isdecimal()
        ]
        number = 1 + max(taken, default=0)
        path = folder / f"{section}-{number}.csv"
        write_all({path: file.getvalue().encode()})
    return path, number


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's interval for the mean over seeds; the mean itself for one seed."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, mean
    width = (
        stats.t(len(values) - 1).isf((1 - CONFIDENCE) / 2)
        * np.std(values, ddof=1)
        / np.sqrt(len(values))
    )
    return mean - width, mean + width


def _most_moved(rows: list[dict], parameter: str) -> list[str]:
    """Names of the metrics that the parameter moves most: range of the group means over the pooled
    spread within groups."""
    fixed = {"seed", "state", "key", "seconds"}
    score = {}
    for metric in dict.fromkeys(m for r in rows for m in r):
        groups = [
            [r[metric] for r in rows if r[parameter] == v and metric in r]
            for v in {r[parameter] for r in rows}
        ]
        numeric = all(isinstance(x, (int, float)) for g in groups for x in g)
        if (
            metric in fixed
            or not numeric
            or not all(groups)
            or not _moves([[{metric: x} for x in g] for g in groups], metric)
        ):
            continue
        within = np.sqrt(np.mean([np.var(g) for g in groups])) or np.finfo(float).tiny
        score[metric] = np.ptp([np.mean(g) for g in groups]) / within
    return sorted(score, key=score.get, reverse=True)[:DRAWN_METRICS]


def line_plot(rows: list[dict], parameter: str, others: Sequence[str]) -> bytes | None:
    """PNG: the most moved metrics against one numeric parameter, a line for each setting of the
    others, interval over seeds."""
    import matplotlib
    import seaborn as sns
    from matplotlib.figure import Figure

    rows = [r for r in rows if r["state"] in ("done", "reused")]
    grid = {name for name in (parameter, *others)}
    metrics = [m for m in _most_moved(rows, parameter) if m not in grid] if rows else []
    if not metrics:
        return None
    columns = min(4, len(metrics))
    with sns.axes_style("whitegrid"), matplotlib.rc_context({"font.size": 9}):
        figure = Figure(
            figsize=(3.1 * columns, 2.5 * -(-len(metrics) // columns)), layout="constrained"
        )
        axes = figure.subplots(-(-len(metrics) // columns), columns, squeeze=False).ravel()
        settings = list(dict.fromkeys(tuple(r[o] for o in others) for r in rows))
        values = sorted({r[parameter] for r in rows})
        for ax, metric in zip(axes, metrics, strict=False):
            for colour, setting in zip(
                sns.color_palette("colorblind", len(settings)), settings, strict=True
            ):
                mine = [r for r in rows if tuple(r[o] for o in others) == setting and metric in r]
                groups = {v: [r[metric] for r in mine if r[parameter] == v] for v in values}
                x = [v for v, g in groups.items() if g]
                low, high = np.transpose([interval(groups[v]) for v in x])
                label = ", ".join(f"{o}={v}" for o, v in zip(others, setting, strict=True))
                label = label.replace("$", r"\$")  # which would begin a formula
                ax.plot(
                    x,
                    [np.mean(groups[v]) for v in x],
                    marker="o",
                    markersize=4,
                    color=colour,
                    label=label or None,
                )
                ax.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
            ax.set(xlabel=parameter, title=metric.replace("$", r"\$"))
            ax.title.set_fontsize(8.5)
            if min(values) > 0 and max(values) / min(values) >= 10:
                ax.set_xscale("log")
        for ax in axes[len(metrics) :]:
            ax.remove()
        if others:
            axes[0].legend(fontsize=7.5)
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=110)
    return buffer.getvalue()


def _can_be_drawn(value) -> bool:
    """Whether a value has a place on an axis."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and abs(value) < LARGEST


def report(section: str, rows: Rows, jobs: Sequence, names: Sequence[str], number: int) -> Path:
    """Write the sweep's page: line plots per numeric parameter, the table, and one seed's figures
    of every setting side by side."""
    numeric = [n for n in names[:-1] if all(_can_be_drawn(row[n]) for row in rows.rows)]
    plots = {n: line_plot(rows.rows, n, [o for o in names[:-1] if o != n]) for n in numeric}
    settings = {}
    for job in jobs:
        label = ", ".join(f"{n}={as_word(job.params[n])}" for n in names[:-1] or names)
        if job.run and label not in settings:
            settings[label] = compare.Named(label, job.run)
    runs = list(settings.values())
    return html.write(
        f"sweeps/{section}-{number}.html",
        "sweep.html",
        title=f"{section}: sweep over {', '.join(names[:-1] or names)}",
        count=len(rows.rows),
        seeds=len({r["seed"] for r in rows.rows}),
        confidence=CONFIDENCE,
        plots={n: png for n, png in plots.items() if png},
        header=list(dict.fromkeys(k for r in rows.rows for k in r)),
        rows=rows.rows,
        runs=runs,
        figures=compare.side_by_side(runs),
    )
