"""Trained states kept on disk, so that a change in a figure or in the evaluation trains nothing
again."""

import json
import os
import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from genlab.section import code, packages
from genlab.section.paths import PACKAGE, ROOT


def remember(function: Callable, *args, **kwargs):
    """function(*args, **kwargs), read back from disk if the very same code already computed it from
    the same arguments.

    The key covers the definition of `function` and all that it reaches (as for a page, see `code`),
    the pinned packages these load, the device class, the threads and the arguments; so `function`
    must live in genlab, and everything it depends on must be an argument.  Functions among the
    arguments count by their definitions, too.  A state that cannot be read is computed anew.
    GENLAB_REMEMBER=0 computes anew without reading or writing, GENLAB_REMEMBER=refresh computes
    anew and writes.
    """
    import joblib

    mode = os.environ.get("GENLAB_REMEMBER", "1")
    ref = definition(function)
    if mode == "0":
        return function(*args, **kwargs)
    device, threads = os.environ.get("GENLAB_DEVICE", "cpu"), os.environ.get("GENLAB_THREADS", "1")
    store = Path(os.environ.get("GENLAB_STORE", ROOT / "runs")) / "trained"
    arguments = joblib.hash((_hashed(args), _hashed(kwargs)))[:16]
    start = state_name(code.library(PACKAGE), ref, device, threads)
    path = store / f"{start}-{arguments}.pkl"
    if mode != "refresh" and (found := _read(path)):
        seconds, result = found
        _add_remembered_seconds(seconds)
        return result
    began = time.monotonic()
    result = _numpy(function(*args, **kwargs))
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=store, suffix=".tmp", delete=False) as file:
        file.write(pickle.dumps((time.monotonic() - began, result)))
    os.replace(file.name, path)
    return result


def definition(function: Callable) -> code.Ref:
    """Where the function is defined.  ValueError if that is not in genlab."""
    module = getattr(function, "__module__", "")
    if not module.startswith("genlab."):
        name = f"{module}.{getattr(function, '__qualname__', function)}"
        raise ValueError(f"remember: {name} is not in genlab, so it cannot be keyed")
    return code.Ref(module, function.__qualname__.split(".")[0])


def state_name(library: code.Library, ref: code.Ref, device: str, threads: str) -> str:
    """What the file names of a function's states begin with: all of the key but the arguments."""
    behind = code.function(library, ref)
    parts = [behind.digest, packages.behind(behind.packages), device, threads]
    return f"{ref.name}-{code.sha(json.dumps(parts))}"


def _read(path: Path) -> tuple[float, object] | None:
    """The seconds and the state in a file, or None: not there, cut off by a full disk, or of
    classes that have moved since."""
    try:
        return pickle.loads(path.read_bytes())
    except Exception:
        return None


def _numpy(tree):
    """The pytree with its JAX arrays as NumPy arrays (to store it); other leaves unchanged."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*map(_numpy, tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(map(_numpy, tree))
    if isinstance(tree, dict):
        return {k: _numpy(v) for k, v in tree.items()}
    return np.asarray(tree) if hasattr(tree, "__array__") and not np.isscalar(tree) else tree


def _hashed(tree):
    """The pytree to hash: arrays as NumPy arrays, named tuples by their fields, functions and
    classes of genlab by what they do, wherever they stand.  ValueError for a function that a page
    defines."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return _hashed(tree._asdict())
    if isinstance(tree, (tuple, list)):
        return type(tree)(map(_hashed, tree))
    if isinstance(tree, dict):
        return {k: _hashed(v) for k, v in tree.items()}
    if callable(tree) and hasattr(tree, "__qualname__"):
        if tree.__module__.startswith("genlab."):
            return code.function(code.library(PACKAGE), definition(tree)).digest
        if tree.__module__ == "__main__":
            raise ValueError(
                f"remember: the argument {tree.__qualname__} is defined on the page, so a change "
                "of it "
                "would go unseen: move it into genlab"
            )
    return _numpy(tree)


def _add_remembered_seconds(seconds: float) -> None:
    """Tell the record what the remembered training had cost, so that `seconds` stays honest."""
    folder = os.environ.get("GENLAB_RUN_DIR")
    if folder is None:
        return
    path = Path(folder) / "remembered_seconds"
    before = float(path.read_text("utf-8")) if path.exists() else 0.0
    path.write_text(repr(before + seconds), "utf-8")
