"""The table and the page of a sweep: one row a run, parameters first, then every metric; mean and
spread over seeds."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from rich.table import Table
from scipy import stats

from genlab.pipeline import html, options
from genlab.pipeline.runs.disk import disk_errors, write_all
from genlab.pipeline.views import compare
from genlab.section.paths import RUNS

SHOWN_METRICS = 6  # columns of the printed table; the CSV has all
# panels of a line plot: the metrics that a parameter moves most, in units of their spread over
# seeds
DRAWN_METRICS = 12
LARGEST = 1e300  # on an axis; a whole number may be any
CONFIDENCE = 0.95  # of the drawn intervals for the mean over seeds
GOOD = ("done", "reused")


def table(jobs, names: Sequence[str]) -> pd.DataFrame:
    """A row a job, values as they are: its parameters `names` (the last is the seed), COLUMNS and
    metrics, None where it has none; a metric with the name of another column says that it is
    one."""
    rows = []
    for job in jobs:
        record = job.run.record if job.run else {"metrics": {}}
        row = {name: as_word(job.params[name]) for name in names}
        row |= {"state": job.state, "key": job.key, "seconds": record.get("seconds")}
        for name, metric in record["metrics"].items():
            row[f"{name} (metric)" if name in row else name] = metric["value"]
        rows.append(row)
    return pd.DataFrame(rows, dtype=object).where(lambda values: values.notna(), None)


def as_word(value):
    """A list as the command line writes it; any other value unchanged."""
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _metrics(rows: pd.DataFrame) -> pd.DataFrame:
    """The metrics of a table as numbers, NaN for none."""
    return rows.iloc[:, rows.columns.get_loc(options.COLUMNS[-1]) + 1 :].astype(float)


def _moved(means: pd.DataFrame) -> pd.Series:
    """Whether a metric's means over groups differ at all, which those that the grid cannot touch
    do not; {metric: bool}."""
    return (len(means) < 2) | (means.max() - means.min() > 1e-12)


def shown(rows: pd.DataFrame, names: Sequence[str]) -> Table:
    """For the terminal: a line for each setting, with mean and spread over seeds of the first
    metrics that move."""
    metrics = _metrics(rows)
    # the last key keeps all rows together where nothing but the seed varies
    groups = rows.groupby([*names[:-1], lambda _: "all"], sort=False)
    moved = _moved(metrics.groupby(groups.ngroup()).mean())
    told = list(moved.index[moved][:SHOWN_METRICS])
    columns = [*names[:-1], "runs", *told]
    made = options.table(*columns, right=columns)
    for values, members in groups:
        good = members["state"].isin(GOOD).sum()
        cells = [_mean_and_sd(metrics.loc[members.index, name].dropna()) for name in told]
        made.add_row(*map(str, values[:-1]), f"{good}/{len(members)}", *cells)
    return made


def _mean_and_sd(values: pd.Series) -> str:
    if values.empty:
        return "-"
    spread = f" ± {values.std():.2g}" if len(values) > 1 else ""
    return f"{values.mean():.4g}{spread}"


def write(section: str, rows: pd.DataFrame) -> tuple[Path, int]:
    """Write all rows to runs/sweeps/SECTION-N.csv, N the next free number; the path and N."""
    folder = RUNS / "sweeps"
    with disk_errors("the table of the sweep"):
        taken = [f.stem.rpartition("-")[2] for f in folder.glob(f"{section}-*.csv")]
        number = 1 + max((int(n) for n in taken if n.isdecimal()), default=0)
        path = folder / f"{section}-{number}.csv"
        write_all({path: rows.to_csv(index=False, lineterminator="\r\n").encode()})
    return path, number


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's interval for the mean over two seeds or more."""
    return stats.t.interval(CONFIDENCE, len(values) - 1, np.mean(values), stats.sem(values))


def _most_moved(metrics: pd.DataFrame, x: pd.Series) -> list[str]:
    """Names of the metrics that a parameter moves most: range of the group means over the pooled
    spread within groups."""
    groups = metrics.groupby(x)
    means, within = groups.mean(), np.sqrt(groups.var(ddof=0).mean())
    score = (means.max() - means.min()) / within.replace(0, np.finfo(float).tiny)
    score = score[means.notna().all() & _moved(means)]
    return list(score.sort_values(ascending=False, kind="stable").index[:DRAWN_METRICS])


def line_plot(rows: pd.DataFrame, parameter: str, others: Sequence[str]) -> bytes | None:
    """PNG: the most moved metrics against one numeric parameter, a line for each setting of the
    others, interval over seeds."""
    rows = rows[rows["state"].isin(GOOD)]
    x, metrics = rows[parameter].astype(float), _metrics(rows)
    names = _most_moved(metrics, x)
    if not names:
        return None
    label = ", ".join(f"{name}={{}}" for name in others)
    settings = [label.format(*values) for values in rows[others].itertuples(index=False)]
    settings = [text.replace("$", r"\$") for text in settings]  # which would begin a formula
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    with sns.axes_style("whitegrid"), matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(3.1 * columns, 2.5 * lines), layout="constrained")
        axes = figure.subplots(lines, columns, squeeze=False).ravel()
        for ax, name in zip(axes, names, strict=False):
            sns.lineplot(
                x=x, y=metrics[name], hue=settings, errorbar=interval, palette="colorblind",
                marker="o", markersize=5, markeredgewidth=0, err_kws={"linewidth": 0}, ax=ax,
                legend="full" if others and ax is axes[0] else False,
            )  # fmt: skip
            ax.set(xlabel=parameter, ylabel="")
            ax.set_title(name.replace("$", r"\$"), fontsize=8.5)
            if x.min() > 0 and x.max() / x.min() >= 10:
                ax.set_xscale("log")
        for ax in axes[len(names) :]:
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


def report(
    section: str, rows: pd.DataFrame, jobs: Sequence, names: Sequence[str], number: int
) -> Path:
    """Write the sweep's page: line plots per numeric parameter, the table, and one seed's figures
    of every setting side by side."""
    numeric = [n for n in names[:-1] if rows[n].map(_can_be_drawn).all()]
    plots = {n: line_plot(rows, n, [o for o in names[:-1] if o != n]) for n in numeric}
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
        count=len(rows),
        seeds=rows["seed"].nunique(),
        confidence=CONFIDENCE,
        plots={n: png for n, png in plots.items() if png},
        header=list(rows.columns),
        rows=rows.to_dict("records"),
        runs=runs,
        figures=compare.side_by_side(runs),
    )
