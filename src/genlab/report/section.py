"""What a section's notebook says to the pipeline: metrics, arrays, needed runs, remembered trainings, shown source.

    from genlab.report import section

Outside the runner (in plain Jupyter, or under nbval) everything works the same and the files go to a temporary folder.
"""

import inspect
import json
import os
import pickle
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from IPython.display import Markdown
from myst_nb import glue

from genlab.report.closure import import_closure, packages, sha256
from genlab.report.paths import ROOT

METRIC_MIME = "application/vnd.genlab.metric+json"
BETTER = ("lower", "higher", "target")


@dataclass(frozen=True)
class Metric:
    """A number with what is needed to judge it; prints as the bare number, so prose can quote it with {glue:text}."""

    value: float | int | bool
    unit: str = ""
    better: str = "lower"
    limit: float | None = None
    limit_is: str = ""
    n: int | None = None  # sample size the value rests on
    sd: float | None = None  # standard deviation over repetitions (seeds or draws) of the value
    null_mean: float | None = None  # the same measure, real against real
    null_sd: float | None = None
    null_draws: int | None = None

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": repr(self.value), METRIC_MIME: asdict(self)}


def metric(name: str, value, *, null=None, **about) -> None:
    """Record `value` once under `name` ("quantity" or "case/quantity"): prose, gate, comparison and ledger read this.

    about: unit, better ("lower" | "higher" | "target"), limit (the best value possible on this data, computed),
    limit_is (what that is), n, sd.  null: draws of the same measure on real against real, shape (draws,).
    Raises ValueError for a value that is not finite, or a `better` that is none of the three.
    """
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
        about |= {
            "null_mean": float(null.mean()),
            "null_sd": float(null.std(ddof=1)),
            "null_draws": len(null),
        }
    glue(name, Metric(value, **about), display=False)


def run_folder() -> Path:
    """Folder of this run: the runner's GENLAB_RUN_DIR, else one temporary folder per process."""
    if "GENLAB_RUN_DIR" not in os.environ:
        os.environ["GENLAB_RUN_DIR"] = tempfile.mkdtemp(prefix="genlab-")
    return Path(os.environ["GENLAB_RUN_DIR"])


def device() -> str:
    """Device class of this run, "cpu" or "cuda:NAME", as the runner decided by the section's policy."""
    return os.environ.get("GENLAB_DEVICE", "cpu")


def save(**arrays) -> None:
    """Add named arrays (final samples, histories) to the run's `arrays.npz`."""
    path = run_folder() / "arrays.npz"
    stored = dict(np.load(path)) if path.exists() else {}
    np.savez_compressed(path, **(stored | {name: np.asarray(a) for name, a in arrays.items()}))


@dataclass(frozen=True)
class Run:
    """A finished run that this section reads: its record's metrics and its arrays."""

    metrics: Mapping[str, dict[str, Any]]
    params: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    def value(self, name: str):
        """The bare value of the metric `name`."""
        return self.metrics[name]["value"]


def needed(name: str) -> Run:
    """The run of a section that this one `needs`.  Raises KeyError if the front matter does not name it."""
    folders = json.loads(os.environ.get("GENLAB_NEEDS", "{}"))
    if name not in folders:
        raise KeyError(
            f"section {name!r} is not among the needed runs {sorted(folders)}: name it under `needs:`"
        )
    record = json.loads(Path(folders[name]["record"]).read_text())
    arrays = folders[name].get("arrays")
    return Run(record["metrics"], record["params"], np.load(arrays) if arrays else {})


def show(*functions: Callable) -> Markdown:
    """The source of library functions as the output of a cell, without docstrings: the page cannot drift from the code."""
    blocks = []
    for function in functions:
        source = inspect.getsource(inspect.unwrap(function))
        doc = function.__doc__
        if doc:
            for quote in ('"""', "'''"):
                start = source.find(quote)
                end = source.find(quote, start + 3)
                if 0 <= start < end:
                    source = source[: source.rfind("\n", 0, start) + 1] + source[end + 3 :].lstrip(
                        "\n"
                    )
                    break
        blocks.append(f"```python\n{source.rstrip()}\n```")
    return Markdown("\n\n".join(blocks))


def remember(function: Callable, *args, **kwargs):
    """function(*args, **kwargs), read back from disk if the very same code already computed it from the same arguments.

    For trainings, so that a change in a figure or in the evaluation does not train again.  The key covers the function's
    name, the sources of its module and of all genlab modules that one imports, the pinned packages these load, the
    device class and the arguments; so `function` must live in genlab, and everything it depends on must be an
    argument.  GENLAB_REMEMBER=0 computes anew without reading or writing, GENLAB_REMEMBER=refresh computes anew and writes.
    """
    mode = os.environ.get("GENLAB_REMEMBER", "1")
    if not function.__module__.startswith("genlab."):
        raise ValueError(
            f"remember: {function.__module__}.{function.__name__} is not in genlab, so it cannot be keyed"
        )
    if mode == "0":
        return function(*args, **kwargs)
    closure = import_closure({function.__module__})
    parts = {
        "function": f"{function.__module__}.{function.__qualname__}",
        "closure": closure,
        "lock": packages(closure),
        "device": device(),
        "arguments": joblib.hash((_numpy(args), _numpy(kwargs))),
    }
    key = sha256(json.dumps(parts, sort_keys=True).encode())[:16]
    store = Path(os.environ.get("GENLAB_STORE", ROOT / "runs")) / "trained"
    path = store / f"{function.__name__}-{key}.pkl"
    if mode != "refresh":
        try:
            seconds, result = pickle.loads(path.read_bytes())
            _add_remembered_seconds(seconds)
            return result
        except (OSError, EOFError, pickle.UnpicklingError):
            pass  # not there, or cut off by a full disk: compute it
    start = time.monotonic()
    result = _numpy(function(*args, **kwargs))
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=store, suffix=".tmp", delete=False) as file:
        file.write(pickle.dumps((time.monotonic() - start, result)))
    os.replace(file.name, path)
    return result


def _numpy(tree):
    """The pytree with its JAX arrays as NumPy arrays (to hash and to store); other leaves unchanged."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*map(_numpy, tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(map(_numpy, tree))
    if isinstance(tree, dict):
        return {k: _numpy(v) for k, v in tree.items()}
    return np.asarray(tree) if hasattr(tree, "__array__") and not np.isscalar(tree) else tree


def _add_remembered_seconds(seconds: float) -> None:
    """Tell the record what the remembered training had cost, so that `seconds` stays honest."""
    path = run_folder() / "remembered_seconds"
    before = float(path.read_text()) if path.exists() else 0.0
    path.write_text(repr(before + seconds))
