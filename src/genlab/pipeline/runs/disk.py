"""Files on the disk: written whole or not at all, one writer at a time, one line when it is full;
and their checksums."""

import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from genlab.section.paths import RUNS, UserError

FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
DISK_FULL = "disk full while writing {}: nothing was stored; free space (`genlab clean`), run again"
IN_USE = ".in-use"  # the lock in a folder that somebody works in
YOUNG = 60.0  # seconds within which a folder without that lock may still get it


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn a full or read-only disk into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise UserError(DISK_FULL.format(what)) from None
        if error.errno in FORBIDDEN:
            raise UserError(
                f"cannot write {what} ({error.strerror}: {error.filename}): make the folder "
                "writable"
            ) from None
        raise


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has no room left: a program that met that says so in its own
    words, if at all."""
    return shutil.disk_usage(folder).free < 2**20


def write_all(files: Mapping[Path, bytes], gone: Iterable[Path] = ()) -> None:
    """Write `files` and remove those that are `gone`, all of it or nothing.

    Everything is written beside its place first, and the old files are kept until the last new one
    stands.
    """
    mark = f".{os.getpid()}"
    gone = [path for path in gone if path.exists() and path not in files]
    kept: dict[Path, Path] = {}
    staged = {path: path.with_name(f".{path.name}{mark}.partial") for path in files}
    placed: list[Path] = []
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            staged[path].write_bytes(content)
        for path in [*files, *gone]:
            if path.exists():
                kept[path] = _second_name(path, path.with_name(f".{path.name}{mark}.old"))
        for path in files:
            os.replace(staged[path], path)
            placed.append(path)
        for path in gone:
            path.unlink()
    except BaseException:
        for path in placed:
            path.unlink(missing_ok=True)
        for path, old in kept.items():
            os.replace(old, path)
        raise
    finally:
        for path in (*staged.values(), *kept.values()):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _second_name(path: Path, name: Path) -> Path:
    """The same file under a second name, or a copy where the disk knows no such thing."""
    name.unlink(missing_ok=True)
    try:
        os.link(path, name)
    except OSError:
        shutil.copy2(path, name)
    return name


def checksum(path: Path) -> str:
    """SHA-256 of a file, read once in each of its states."""
    state = path.stat()
    return _checksum(path, state.st_size, state.st_mtime_ns, state.st_ino)


@cache
def _checksum(path: Path, *state: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock of that name: whoever wants it too waits here, and then finds what was done."""
    folder = RUNS / ".locks"
    with disk_errors("the lock of a run"):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{name}.lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def workspace(section: str) -> Iterator[Path]:
    """An empty folder beside the store, in use until it is removed at the end."""
    with disk_errors("the run's folder"):
        base = RUNS / ".partial"
        base.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{section}-", dir=base))
    lock = FileLock(folder / IN_USE)
    try:
        with disk_errors("the run"):
            lock.acquire()
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def in_use(folder: Path) -> bool:
    """Whether a `workspace` is still somebody's; its lock dies with the process that holds it."""
    if not (folder / IN_USE).exists():
        return time.time() - folder.stat().st_mtime < YOUNG
    try:
        with FileLock(folder / IN_USE, timeout=0):
            return False
    except Timeout:
        return True
