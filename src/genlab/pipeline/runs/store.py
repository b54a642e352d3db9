"""The run store: `runs/SECTION/KEY/` holds notebook, record and arrays of one run, and appears
whole or not at all.

Published runs, `book/published/SECTION.{ipynb,json,npz}`, are found by the same key.
"""

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from genlab.pipeline.runs import record as records
from genlab.pipeline.runs.disk import disk_errors, in_use, workspace, write_all
from genlab.pipeline.runs.record import Damaged, key_of, sealed
from genlab.section import states
from genlab.section.paths import BUILD, PACKAGE, PUBLISHED, ROOT, RUNS, UserError

KEPT = ("trained", "sweeps")  # folders of the store that hold no runs


@dataclass(frozen=True)
class Run:
    """A stored run: paths of its notebook and arrays, and its record.

    `name` is the section and the key that its place says (None where it says none), which the
    record must say, too: no path is ever made of what a record says.
    """

    notebook: Path
    record_file: Path
    arrays_file: Path
    name: tuple[str | None, str | None] = (None, None)

    @cached_property
    def record(self) -> dict[str, Any]:
        """The record.  UserError if it or one of its files is damaged, naming the file."""
        if self.damage:
            path = self.record_file
            path = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            raise UserError(f"damaged run {path}: {self.damage}: `genlab run` makes it anew")
        return self._read

    @cached_property
    def _read(self) -> dict[str, Any]:
        return records.read(self.record_file)

    @cached_property
    def damage(self) -> str:
        """What is wrong with the run, or nothing."""
        try:
            for field, expected in zip(("section", "key"), self.name, strict=True):
                if expected not in (None, found := self._read[field]):
                    return f"it says {field} {found!r}, which is not where it lies"
            files = {"notebook": self.notebook, "arrays": self.arrays_file}
            records.verify_files(self._read, files)
        except Damaged as error:
            return str(error)
        return ""

    @property
    def sound(self) -> bool:
        """Whether record, notebook and arrays are there, and as they were stored."""
        return not self.damage

    @property
    def arrays(self) -> Path | None:
        """The file of the run's arrays, if it saved some."""
        return self.arrays_file if "arrays" in self.record["files"] else None


def in_folder(folder: Path, name: tuple[str | None, str | None] = (None, None)) -> Run:
    """The run in a folder, sound or not, whatever the folder is called."""
    return Run(folder / "notebook.ipynb", folder / "record.json", folder / "arrays.npz", name)


def at(folder: Path) -> Run:
    """The run in a folder of the store, sound or not."""
    return in_folder(folder, (folder.parent.name, folder.name))


def published(section: str, folder: Path | None = None) -> Run | None:
    """The published run of a section (in a folder of another checkout), whatever its key, or
    None."""
    base = (folder or PUBLISHED) / section
    files = (base.with_name(f"{section}{suffix}") for suffix in (".ipynb", ".json", ".npz"))
    run = Run(*files, (section, None))
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


def damaged(section: str, key: str) -> str:
    """What is wrong with the stored run of a key, or nothing: there is none, or it is sound."""
    run = at(RUNS / section / key)
    return run.damage if run.notebook.parent.is_dir() else ""


def stored(section: str) -> Iterator[Run]:
    """The sound runs of a section in the store, the newest first, each looked at when asked for."""
    records = (RUNS / section).glob("*/record.json")
    for file in sorted(records, key=lambda file: file.stat().st_mtime, reverse=True):
        if (run := at(file.parent)).sound:
            yield run


def put(record: Mapping[str, Any], notebook: bytes, arrays: bytes | None) -> Run:
    """Store a finished run: written beside the store first, then moved into its place in one
    rename."""
    target = RUNS / record["section"] / record["key"]
    files = {
        "notebook.ipynb": notebook,
        "record.json": sealed(record, {"notebook": notebook, "arrays": arrays}),
    }
    files |= {"arrays.npz": arrays} if arrays is not None else {}
    with workspace(record["section"]) as folder, disk_errors("the run's record"):
        staged = folder / "staged"
        staged.mkdir()
        for name, content in files.items():
            (staged / name).write_bytes(content)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():  # made anew, or damaged: set aside until the new one is in place
            os.replace(target, folder / "old")
        os.replace(staged, target)
    return at(target)


def rewrite(run: Run, parts: dict[str, Any], **more: Any) -> None:
    """Give a published run another key, and facts about the change."""
    _seal(run, run.record | {"key": key_of(parts), "key_parts": parts} | more)


def reseal(run: Run) -> Run:
    """The run with a record as it is stored today: for the runs of an earlier genlab, whose records
    did not say what their files were."""
    _seal(run, json.loads(run.record_file.read_text("utf-8")))
    return run


def _seal(run: Run, record: Mapping[str, Any]) -> None:
    """Write a record for the files that it names, or for those that are there if it names none."""
    files = {"notebook": run.notebook, "arrays": run.arrays_file}
    named = record.get("files") or [name for name, file in files.items() if file.is_file()]
    write_all({run.record_file: sealed(record, {name: files[name].read_bytes() for name in named})})


def git_state() -> tuple[str | None, bool | str]:
    """Commit of the checkout and whether code differs from it; (None, "unknown") where git is not
    there, or refuses to say."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(ROOT), *words]
        options = {"capture_output": True, "text": True, "encoding": "utf-8", "errors": "replace"}
        return subprocess.run(command, check=True, **options).stdout.strip()

    try:
        files = ["notebooks", "requirements.lock"]
        files += [str(PACKAGE)] if PACKAGE.is_relative_to(ROOT) else []
        head = git("rev-parse", "--short=12", "HEAD")
        return head, bool(git("status", "--porcelain", "--", *files))
    except (OSError, subprocess.CalledProcessError):
        return None, "unknown"


def keep_failed(section: str, notebook: bytes | None, message: str) -> Path | None:
    """Keep the partial notebook of a failed run under runs/failed/, for whoever wants to look; None
    if there is none."""
    if notebook is None:
        return None
    target = RUNS / "failed" / section / "notebook.ipynb"
    try:
        write_all({target: notebook, target.with_name("error.txt"): f"{message}\n".encode()})
    except OSError:
        return None  # a full disk must not hide the first error
    return target


def rename_states(names: Mapping[str, str]) -> int:
    """Copy trained states whose names begin in one way to names that begin in another; how many."""
    count = 0
    for before, after in names.items():
        for file in (RUNS / "trained").glob(f"{before}-*"):
            count += states.copy(file, after + file.name.removeprefix(before))
    return count


def leftovers(current: Collection[str | None], days: int) -> list[Path]:
    """Runs whose key is not among the `current` ones, failed runs, trained states unused for so
    many days, drafts of builds and of runs that nobody works on.  Of a link, the link itself."""
    sections = [s for s in _folders(RUNS, "[!.]*") if s.name not in KEPT]
    runs = [f for s in sections for f in sorted(s.glob("*")) if f.is_dir() or f.is_symlink()]
    old = [f for f in runs if f.name not in current]
    age = time.time() - days * 86_400
    for file in (RUNS / "trained").glob("*"):
        with suppress(FileNotFoundError):  # a training has just put its draft in place
            state = file.lstat()
            old += [file] if max(state.st_atime, state.st_mtime) < age else []
    old += [f for f in _folders(RUNS / ".partial", "*") if not in_use(f)]
    return [*old, *_folders(BUILD, "pages")]


def _folders(base: Path, pattern: str) -> list[Path]:
    return [f for f in sorted(base.glob(pattern)) if f.is_dir() and not f.is_symlink()]


def remove(paths: Iterable[Path]) -> None:
    """Remove files and folders of the store."""
    with disk_errors("the store"):
        for path in paths:
            folder = path.is_dir() and not path.is_symlink()
            shutil.rmtree(path) if folder else path.unlink(missing_ok=True)
