"""The run store: `runs/SECTION/KEY/` holds notebook, record and arrays of one run, and appears
whole or not at all.

Published runs, `book/published/SECTION.{ipynb,json,npz}`, are found by the same key.
"""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from genlab.section.code import Reached
from genlab.section.paths import BUILD, PACKAGE, PUBLISHED, ROOT, RUNS, UserError

RECORD_FIELDS = (
    "section",
    "profile",
    "params",
    "seed",
    "key",
    "key_parts",
    "device",
    "seconds",
    "metrics",
)
KEPT = ("trained", "sweeps")  # folders of the store that hold no runs


@dataclass(frozen=True)
class Run:
    """A stored run: paths of its notebook and arrays (None if it has none), and its record."""

    notebook: Path
    record_file: Path
    arrays: Path | None

    @cached_property
    def record(self) -> dict[str, Any]:
        """The record.  UserError if it is truncated or lacks a field, naming the file."""
        try:
            record = json.loads(self.record_file.read_text("utf-8"))
            missing = [f for f in RECORD_FIELDS if f not in record]
        except (OSError, ValueError) as error:
            raise UserError(
                f"damaged record {_relative(self.record_file)} ({error}): `genlab run` makes it "
                "anew"
            ) from None
        if missing:
            raise UserError(
                f"damaged record {_relative(self.record_file)}: no {', '.join(missing)}: `genlab "
                "run` makes it anew"
            )
        return record

    @property
    def sound(self) -> bool:
        """Whether record and notebook are there and readable."""
        try:
            return bool(self.record) and self.notebook.is_file()
        except UserError:
            return False


def _relative(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def at(folder: Path) -> Run:
    """The run in a folder of the store, sound or not."""
    arrays = folder / "arrays.npz"
    return Run(
        folder / "notebook.ipynb", folder / "record.json", arrays if arrays.is_file() else None
    )


def published(section: str) -> Run | None:
    """The published run of a section, whatever its key, or None."""
    base = PUBLISHED / section
    arrays = base.with_suffix(".npz")
    run = Run(
        base.with_suffix(".ipynb"), base.with_suffix(".json"), arrays if arrays.is_file() else None
    )
    return run if run.record_file.is_file() else None


def find(section: str, key: str) -> Run | None:
    """The sound run of that key, from the store or among the published ones, or None."""
    run = at(RUNS / section / key)
    if run.record_file.is_file() and run.sound:
        return run
    public = published(section)
    return public if public and public.sound and public.record["key"] == key else None


def content(run: Run) -> str:
    """Digest of what another section can read of a run: its metrics and its arrays."""
    return _content(run, run.record_file.stat().st_mtime_ns)


@cache
def _content(run: Run, written: int) -> str:
    digest = hashlib.sha256(json.dumps(run.record["metrics"], sort_keys=True).encode())
    with np.load(run.arrays) if run.arrays else nullcontext({}) as arrays:
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name])
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()[:16]


def explain_damage(section: str, key: str) -> None:
    """UserError that names what is wrong with a stored run, if a run of that key is there and
    cannot be used."""
    run = at(RUNS / section / key)
    if run.notebook.parent.is_dir() and run.record and not run.notebook.is_file():
        raise UserError(
            f"{_relative(run.notebook)} is missing under its record: `genlab run` makes the run "
            "anew"
        )


def stored(section: str) -> list[Run]:
    """All sound runs of a section in the store, the newest first."""
    runs = [at(f) for f in (RUNS / section).glob("*") if (f / "record.json").is_file()]
    return sorted(
        (r for r in runs if r.sound), key=lambda r: r.record_file.stat().st_mtime, reverse=True
    )


@contextmanager
def locked(section: str, key: str) -> Iterator[None]:
    """Hold the lock of one key: a second run of the same key waits here, and then finds the first
    one's result."""
    folder = RUNS / ".locks"
    with disk_errors("the lock of a run"):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{section}-{key}.lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn a full or read-only disk into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"disk full while writing {what}: nothing was stored; free space (`genlab clean`) "
                "and run again"
            ) from None
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise UserError(
                f"cannot write {what} ({error.strerror}: {error.filename}): make the folder "
                "writable"
            ) from None
        raise


@contextmanager
def workspace(section: str) -> Iterator[Path]:
    """An empty folder beside the store, removed at the end."""
    with disk_errors("the run's folder"):
        base = RUNS / ".partial"
        base.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{section}-", dir=base))
    try:
        with disk_errors("the run"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put(record: dict[str, Any], notebook: bytes, arrays: bytes | None) -> Run:
    """Store a finished run: written beside the store first, then moved into its place in one
    rename."""
    target = RUNS / record["section"] / record["key"]
    files = {
        "notebook.ipynb": notebook,
        "record.json": (json.dumps(record, indent=1) + "\n").encode(),
    }
    files |= {"arrays.npz": arrays} if arrays is not None else {}
    with workspace(record["section"]) as folder, disk_errors("the run's record"):
        staged = folder / "staged"
        staged.mkdir()
        for name, content in files.items():
            (staged / name).write_bytes(content)
        target.parent.mkdir(parents=True, exist_ok=True)
        if (
            target.exists()
        ):  # a run made anew, or a damaged one: set it aside until the new one is in place
            os.replace(target, folder / "old")
        os.replace(staged, target)
    return at(target)


def rewrite(run: Run, parts: dict[str, Any], behind: Reached, **more: Any) -> str:
    """Give a published run another key, with the definitions behind it and facts about the change;
    the key."""
    key = key_of(parts)
    about = {
        "key": key,
        "key_parts": parts,
        "definitions": behind.definitions,
        "cells": behind.cells,
    }
    replace(run.record_file, (json.dumps(run.record | about | more, indent=1) + "\n").encode())
    return key


def replace(target: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    partial = target.with_name(target.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, target)


def key_of(parts: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that name a run."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def git_state() -> tuple[str | None, bool]:
    """Commit of the checkout and whether code differs from it; (None, False) outside git."""

    def git(*words):
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, encoding="utf-8", check=False
        )

    head = git("rev-parse", "--short=12", "HEAD")
    if head.returncode:
        return None, False
    changed = git(
        "status", "--porcelain", "--", "notebooks", str(PACKAGE), "requirements.lock"
    ).stdout
    return head.stdout.strip(), bool(changed.strip())


def keep_failed(section: str, notebook: bytes | None, message: str) -> Path | None:
    """Keep the partial notebook of a failed run under runs/failed/, for whoever wants to look; None
    if there is none."""
    if notebook is None:
        return None
    target = RUNS / "failed" / section
    try:
        target.mkdir(parents=True, exist_ok=True)
        (target / "notebook.ipynb").write_bytes(notebook)
        (target / "error.txt").write_text(message + "\n", "utf-8")
    except OSError:
        return None  # a full disk must not hide the first error
    return target / "notebook.ipynb"


def rename_states(names: Mapping[str, str]) -> int:
    """Copy trained states whose names begin in one way to names that begin in another; how many."""
    count = 0
    for before, after in names.items():
        for file in (RUNS / "trained").glob(f"{before}-*"):
            copy = file.with_name(after + file.name.removeprefix(before))
            if not copy.exists():
                shutil.copy2(file, copy)
                count += 1
    return count


def leftovers(current: Collection[str | None], days: int) -> list[Path]:
    """Runs whose key is not among the `current` ones, failed runs, trained states unused for so
    many days, drafts of builds."""
    folders = [f for f in RUNS.glob("[!.]*/*") if f.is_dir() and f.parent.name not in KEPT]
    old = [f for f in folders if f.name not in current]
    age = time.time() - days * 86_400
    states = (RUNS / "trained").glob("*")
    old += [f for f in states if max(f.stat().st_atime, f.stat().st_mtime) < age]
    old += [*RUNS.glob(".partial/*"), BUILD / "pages"]
    return [f for f in old if f.exists()]


def remove(paths: Iterable[Path]) -> None:
    """Remove files and folders of the store."""
    with disk_errors("the store"):
        for path in paths:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
