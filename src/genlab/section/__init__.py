"""What a page says to the pipeline: metrics, arrays, needed runs, remembered trainings, shown
source.

    from genlab import section

Outside the runner (in plain Jupyter, or under nbval) everything works the same and the files go to
a temporary folder.  What only a notebook needs is imported where it is used, so that the pipeline
can read this package's other modules in no time.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genlab.section import code
from genlab.section.number import BETTER, Metric
from genlab.section.paths import PACKAGE
from genlab.section.states import remember

__all__ = ["Run", "device", "metric", "needed", "remember", "run_folder", "save", "show"]


def metric(name: str, value, *, null=None, **about) -> None:
    """Record `value` once under `name` ("quantity" or "case/quantity"): prose, gate, comparison and
    ledger read this.

    about: unit, better ("lower" | "higher" | "target"), limit (the best value possible on this
    data, computed), limit_is (what that is), n, sd.  null: draws of the same measure on real
    against real, shape (draws,).  Raises ValueError for a value that is not finite, or a `better`
    that is none of the three.
    """
    from myst_nb import glue

    value = value.item() if hasattr(value, "item") else value
    if not np.isfinite(value):
        raise ValueError(f"metric {name!r} is {value}: a result must be finite")
    if about.get("better", "lower") not in BETTER:
        raise ValueError(
            f"metric {name!r}: better={about['better']!r} must be one of {', '.join(BETTER)}"
        )
    about = {k: v.item() if hasattr(v, "item") else v for k, v in about.items()}
    if null is not None:
        null = np.asarray(null, dtype=float)
        spread = float(null.std(ddof=1))
        about |= {"null_mean": float(null.mean()), "null_sd": spread, "null_draws": len(null)}
    glue(name, Metric(value, **about), display=False)


def run_folder() -> Path:
    """Folder of this run: the runner's GENLAB_RUN_DIR, else one temporary folder per process."""
    if "GENLAB_RUN_DIR" not in os.environ:
        os.environ["GENLAB_RUN_DIR"] = tempfile.mkdtemp(prefix="genlab-")
    return Path(os.environ["GENLAB_RUN_DIR"])


def device() -> str:
    """Device class of this run, "cpu" or "cuda:NAME", as the runner decided by the section's
    policy."""
    return os.environ.get("GENLAB_DEVICE", "cpu")


def save(**arrays) -> None:
    """Add named arrays (final samples, histories) to the run's `arrays.npz`."""
    path = run_folder() / "arrays.npz"
    stored = dict(np.load(path)) if path.exists() else {}
    np.savez_compressed(path, **(stored | {name: np.asarray(a) for name, a in arrays.items()}))


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
    """The run of a section that this one `needs`.  Raises KeyError if the front matter does not
    name it."""
    folders = json.loads(os.environ.get("GENLAB_NEEDS", "{}"))
    if name not in folders:
        raise KeyError(
            f"section {name!r} is not among the needed runs {sorted(folders)}: name it under "
            "`needs:`"
        )
    record = json.loads(Path(folders[name]["record"]).read_text("utf-8"))
    arrays = folders[name].get("arrays")
    return Run(record["metrics"], np.load(arrays) if arrays else {})


def show(*functions: Callable):
    """The source of library functions as the output of a cell, without docstrings.

    The book renders it anew whenever it is built, so a page cannot show code that is no more.
    """
    import inspect

    from IPython.display import Markdown

    library = code.library(PACKAGE)
    found = map(inspect.unwrap, functions)
    return Markdown(code.listing(library, [code.Ref(f.__module__, f.__qualname__) for f in found]))
