"""Numbers as pictures: training curves, values beside their null draws, bars with spread,
distributions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from genlab.plots.theme import CARD, COLORS, color


def histories(
    ax: Axes,
    step: np.ndarray,
    curves: Mapping[str, tuple[np.ndarray, str]],
    *,
    ylabel: str,
    log: bool = False,
) -> Axes:
    """Curves {label: (values, kind)} over optimiser steps; values (chunks,), or (chunks, seeds) for
    mean and range."""
    step = np.asarray(step)
    for i, (label, (values, kind)) in enumerate(curves.items()):
        values = np.asarray(values, dtype=float)
        line = {"color": color(kind), "label": label, "zorder": 3 + i}
        if values.ndim == 2:
            ax.fill_between(
                step, values.min(axis=1), values.max(axis=1), color=color(kind), alpha=0.18, lw=0
            )
            values = values.mean(axis=1)
        ax.plot(step, values, **line)
    ax.set(xlabel="steps", ylabel=ylabel, xlim=(0, float(step.max())))
    ax.xaxis.set_major_locator(_few_ticks())
    ax.xaxis.set_major_formatter(_thousands)
    if log:
        ax.set_yscale("log")
    if len(curves) > 1:
        ax.legend(handlelength=1.2)
    return ax


def _few_ticks():
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=4, integer=True)


def _thousands(value: float, _position: int) -> str:
    """5000 -> "5 k": step counts that fit below a small panel."""
    return f"{value / 1000:g} k" if abs(value) >= 1000 else f"{value:g}"


def null_strip(
    ax: Axes, values: Mapping[str, tuple[Any, str]], null: np.ndarray, *, xlabel: str
) -> Axes:
    """Values {label: (value or values (repeats,), kind)}, one row each, above the draws `null`
    (draws,) of the same measure, real on real.

    A line leads to the mean of the values.  The band is the mean of the null ± 2 sd: a perfect
    model is one more draw from it.
    """
    null = np.asarray(null, dtype=float)
    if null.ndim != 1 or len(null) < 2:
        raise ValueError(f"null of shape {null.shape} must hold at least two draws, shape (draws,)")
    mean, sd = null.mean(), null.std(ddof=1)
    ax.axvspan(mean - 2 * sd, mean + 2 * sd, color=COLORS["null"], alpha=0.25, lw=0)
    ax.plot(null, np.zeros(len(null)), "|", color=COLORS["data"], ms=9, mew=1.0, alpha=0.6)
    for row, (value, kind) in enumerate(values.values(), start=1):
        each = np.atleast_1d(value)
        ax.plot([mean, each.mean()], [row, row], color=color(kind), lw=1.2, alpha=0.45)
        ax.plot(each, np.full(len(each), row), "o", color=color(kind), mec=CARD, ms=7.5)
    ax.set_yticks(range(len(values) + 1), ["real", *values])
    ax.set(xlabel=xlabel, ylim=(-0.6, len(values) + 0.6))
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(_float_ticks())
    return ax


def _float_ticks():
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=3, min_n_ticks=2)


def bars(
    ax: Axes,
    values: Mapping[str, tuple[float, float | None, str]],
    *,
    ylabel: str,
    limit: float | None = None,
) -> Axes:
    """Bars {label: (value, sd or None, kind)} with ± sd, and the best value possible as a dashed
    line."""
    for i, (value, sd, kind) in enumerate(values.values()):
        ax.bar(i, value, width=0.68, color=color(kind), alpha=0.9, lw=0)
        if sd is not None:
            ax.errorbar(i, value, yerr=sd, color=COLORS["limit"], lw=1.1, capsize=3)
    crowded = sum(map(len, values)) > 26
    turn = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    ax.set_xticks(range(len(values)), list(values), **turn)
    ax.set_ylabel(ylabel)
    if limit is not None:
        ax.axhline(limit, ls=(0, (4, 3)), lw=1.1, color=COLORS["limit"], label="limit")
    return ax


CUT = 0.01  # share of the draws at either end that a violin leaves out


def distributions(ax: Axes, values: Mapping[str, tuple[np.ndarray, str]], *, ylabel: str) -> Axes:
    """Distributions {label: (draws, kind)} side by side: a violin, the quartiles and the median.

    The lowest and highest share CUT of each is left out of the violin, so one outlier does
    not flatten the rest.
    """
    for i, (draws, kind) in enumerate(values.values()):
        draws = np.asarray(draws, dtype=float)
        draws = draws[np.isfinite(draws)]
        if len(draws) < 2:
            raise ValueError(
                f"distribution {list(values)[i]!r} has {len(draws)} finite draws: give at least two"
            )
        low, q1, median, q3, high = np.quantile(draws, [CUT, 0.25, 0.5, 0.75, 1 - CUT])
        inside = draws[(draws >= low) & (draws <= high)]
        if np.ptp(inside) > 0:
            body = ax.violinplot([inside], [i], widths=0.85, showextrema=False)["bodies"][0]
            body.set(facecolor=color(kind), alpha=0.45, edgecolor=color(kind), linewidth=1.0)
        ax.plot([i, i], [q1, q3], color=color(kind), lw=3.5)
        ax.plot(i, median, "o", ms=4.5, color=CARD, mec=color(kind), mew=1.2)
    turn = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if len(values) > 3 else {}
    ax.set_xticks(range(len(values)), list(values), **turn)
    ax.set_ylabel(ylabel)
    return ax
