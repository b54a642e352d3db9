"""Trained states kept on disk, so that a change in a figure or in the evaluation trains nothing
again.

A state is pickled, and reading a pickle runs what its writer put into it.  So every file begins
with a signature by a secret of this user, and a file that this user did not write is not opened.
"""

import hmac
import json
import os
import pickle
import secrets
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from genlab.section import code, packages
from genlab.section.paths import PACKAGE, ROOT, user_folder

SIGNATURE = "sha256"
SIGNATURE_BYTES = 32


def remember(function: Callable, *args, **kwargs):
    """function(*args, **kwargs), read back from disk if the very same code already computed it from
    the same arguments.

    The key covers the definition of `function` and all that it reaches (as for a page, see `code`),
    the pinned packages these load, the device class, the threads and the arguments; so `function`
    must live in genlab, and everything it depends on must be an argument.  Functions among the
    arguments count by their definitions, too.  A state that cannot be read, or that somebody else
    wrote, is computed anew; one that cannot be written is not kept.
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
    _write(path, pickle.dumps((time.monotonic() - began, result)))
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


def copy(file: Path, name: str) -> bool:
    """Copy a state to another name in its folder; whether there was one to copy, and none there."""
    content, target = _signed(file), file.with_name(name)
    if content is None or target.exists():
        return False
    _write(target, content)
    return True


def _read(path: Path) -> tuple[float, object] | None:
    """The seconds and the state in a file, or None: not there, not written by this user, cut off by
    a full disk, or of classes that have moved since."""
    content = _signed(path)
    try:
        return pickle.loads(content) if content else None
    except Exception:
        return None


def _signed(path: Path) -> bytes | None:
    """What is in a file, if this user wrote it under this name."""
    try:
        whole, secret = path.read_bytes(), _secret()
    except OSError:
        return None
    signature, content = whole[:SIGNATURE_BYTES], whole[SIGNATURE_BYTES:]
    return content if hmac.compare_digest(signature, _sign(secret, path, content)) else None


def _sign(secret: bytes, path: Path, content: bytes) -> bytes:
    return hmac.digest(secret, path.name.encode() + b"\0" + content, SIGNATURE)


def _write(path: Path, content: bytes) -> None:
    """Write a state whole; where there is no room, or no place for a secret, do not."""
    with suppress(OSError):
        signature = _sign(_secret(), path, content)
        path.parent.mkdir(parents=True, exist_ok=True)
        number, draft = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with open(number, "wb") as file:
                file.write(signature + content)
            os.replace(draft, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(draft)


def _secret() -> bytes:
    """The secret of this user, made at first use.  OSError if it can be neither read nor made."""
    file = user_folder("state") / "secret"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        number, draft = tempfile.mkstemp(dir=file.parent)
        with open(number, "wb") as new:
            new.write(secrets.token_bytes(SIGNATURE_BYTES))
        with suppress(FileExistsError):  # another process was faster
            os.link(draft, file)
        os.unlink(draft)
    secret = file.read_bytes()
    if len(secret) != SIGNATURE_BYTES:
        raise OSError(f"{file} holds {len(secret)} bytes, not {SIGNATURE_BYTES}")
    return secret


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
    before = float(path.read_text("ascii")) if path.exists() else 0.0
    path.write_text(repr(before + seconds), encoding="ascii")
