"""What a page says to the pipeline: metrics, arrays, needed runs, remembered trainings, shown
source.

    from genlab import section

Outside the runner (in plain Jupyter, or under nbval) everything works the same and the files go to
a temporary folder.  What only a notebook needs is imported where it is used, so that the pipeline
can read this package's other modules in no time.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genlab.section import code
from genlab.section.number import Metric, check
from genlab.section.paths import PACKAGE
from genlab.section.states import remember

__all__ = [
    "Run",
    "device",
    "metric",
    "needed",
    "quote",
    "record",
    "remember",
    "run_folder",
    "save",
    "show",
]

_recorded: set[str] = set()  # names of the metrics of this process


def metric(name: str, value, *, null=None, **about) -> None:
    """Record `value` once under `name` ("quantity" or "case/quantity"): prose, gate, comparison and
    ledger read this.

    about: unit, better ("lower" | "higher" | "target"), limit (the best value possible on this
    data, computed), limit_is (what that is), n, sd.  null: draws of the same measure on real
    against real, shape (draws,).  Raises ValueError, which names metric and field, for a number
    that is not finite, a field that is none, a null of fewer than two draws, and in the runner for
    a name that the run has recorded already.
    """
    from myst_nb import glue

    about = {k: _bare(v) for k, v in {"value": value, **about}.items()}
    if null is not None:
        null = _draws(name, null)
        spread = float(null.std(ddof=1))
        about |= {"null_mean": float(null.mean()), "null_sd": spread, "null_draws": len(null)}
    check(name, about)
    if name in _recorded and "GENLAB_NEEDS" in os.environ:
        raise ValueError(f"metric {name!r} is recorded already: give each number a name of its own")
    _recorded.add(name)
    glue(name, Metric(**about), display=False)


FEW = 32  # values of repetitions that a record keeps each


def record(name: str, values, *, over: str | None = None, **about) -> None:
    """Record a measurement under `name`: one number, or its repetitions.

    values: a number, with the standard error that is known of it (se=), if any; or (repeats,), the
    number at each repetition `over` seeds, starts, draws, folds, images or points.  Of those the
    value is the mean; sd is their standard deviation (divisor repeats - 1), se = sd / sqrt(repeats)
    that of the mean.  `about`: as for `metric`.  Raises ValueError, which names what is wrong, also
    for repetitions of which nothing is said, and for an sd, which is never given.
    """
    if "sd" in about:
        raise ValueError(f"metric {name!r}: sd is computed from the repetitions, or there is none")
    values = np.asarray(values)
    if values.ndim == 0:
        if over is not None:
            raise ValueError(f"metric {name!r}: one number has not been repeated over {over}")
        return metric(name, values, **about)
    repeats = len(values)
    if values.ndim > 1 or repeats < 2 or over is None:
        raise ValueError(
            f"metric {name!r}: values of shape {values.shape} over {over}: a number, or two or "
            "more repetitions, shape (repeats,), and over= what"
        )
    values = values.astype(float)
    about |= {
        "over": over,
        "repeats": repeats,
        "values": values.tolist() if repeats <= FEW else None,
    }
    spread = values.std(ddof=1)
    return metric(name, values.mean(), sd=spread, se=spread / np.sqrt(repeats), **about)


def quote(name: str, value) -> None:
    """Let prose quote a value by {glue:text}: no result, so neither ledger nor gate knows it."""
    from myst_nb import glue

    check(name, {"value": (bare := _bare(value))})
    glue(name, bare, display=False)


def _bare(value):
    """The one number of an array, a tensor or a NumPy scalar; anything else unchanged."""
    try:
        return value.item() if hasattr(value, "item") else value
    except (TypeError, ValueError, RuntimeError):  # of several numbers
        return value


def _draws(name: str, null) -> np.ndarray:
    """The draws of a metric's null as floats, shape (draws,).  ValueError unless they are two or
    more, and finite."""
    try:
        draws = np.asarray(null, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"metric {name!r}: null must be numbers, shape (draws,)") from None
    if draws.ndim != 1 or len(draws) < 2 or not np.isfinite(draws).all():
        raise ValueError(
            f"metric {name!r}: null of shape {draws.shape} must be two finite draws or more, shape "
            "(draws,)"
        )
    return draws


def run_folder() -> Path:
    """Folder of this run: the runner's GENLAB_RUN_DIR, else one temporary folder per process."""
    if "GENLAB_RUN_DIR" not in os.environ:
        os.environ["GENLAB_RUN_DIR"] = tempfile.mkdtemp(prefix="genlab-")
    return Path(os.environ["GENLAB_RUN_DIR"])


def device() -> str:
    """Where this run shall compute, "cpu" or "cuda", as the runner decided by the section's
    policy."""
    return os.environ.get("GENLAB_DEVICE", "cpu").partition(":")[0]


def save(**arrays) -> None:
    """Add named arrays (final samples, histories) to the run's `arrays.npz`.  Raises ValueError for
    objects that are no arrays of numbers or text: reading them back would run what they say."""
    given = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in given.items():
        if array.dtype.hasobject:
            raise ValueError(f"array {name!r} holds Python objects: save numbers or text")
    path = run_folder() / "arrays.npz"
    stored = dict(np.load(path)) if path.exists() else {}
    np.savez_compressed(path, **(stored | given))


@dataclass(frozen=True)
class Run:
    """A finished run that this section reads: its record's metrics and its arrays, which is what
    the key of the reader covers."""

    metrics: Mapping[str, dict[str, Any]]
    arrays: Mapping[str, np.ndarray]

    def value(self, name: str):
        """The bare value of the metric `name`."""
        return self.metrics[name]["value"]


def needed(name: str) -> Run:
    """The run of a section that this one `needs`.

    In the runner that is the run which the front matter names; raises KeyError if it names none.
    Outside it is the section's current run at its default values, full or else quick; raises
    RuntimeError, which says how to make one, if there is none.
    """
    if "GENLAB_NEEDS" not in os.environ:
        files = _current(name)
    elif name in (folders := json.loads(os.environ["GENLAB_NEEDS"])):
        files = folders[name]
    else:
        raise KeyError(
            f"section {name!r} is not among the needed runs {sorted(folders)}: name it under "
            "`needs:`"
        )
    record = json.loads(Path(files["record"]).read_text("utf-8"))
    arrays = files.get("arrays")
    return Run(record["metrics"], np.load(arrays) if arrays else {})


def _current(name: str) -> dict[str, str]:
    """Files of a section's current run, which the command `genlab` knows."""
    command = [sys.executable, "-m", "genlab.pipeline.cli", "current", "--", name]
    told = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if told.returncode:
        raise RuntimeError(" ".join(told.stderr.split()))
    print(told.stderr, end="", file=sys.stderr)
    return json.loads(told.stdout)


def show(*functions: Callable):
    """The source of library functions as the output of a cell, without docstrings.

    The book renders it anew whenever it is built, so a page cannot show code that is no more.
    """
    import inspect

    from IPython.display import Markdown

    library = code.library(PACKAGE)
    found = map(inspect.unwrap, functions)
    return Markdown(code.listing(library, [code.Ref(f.__module__, f.__qualname__) for f in found]))
