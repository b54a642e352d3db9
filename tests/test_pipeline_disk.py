"""Files are written all or none, whatever fails in between; a folder in use is known as such."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genlab.pipeline.runs import disk
from genlab.section.paths import UserError

OLD = {"a.txt": b"old a", "b.txt": b"old b", "c.txt": b"old c"}
NEW = {"a.txt": b"new a", "b.txt": b"new b", "d.txt": b"new d"}


@pytest.fixture
def folder(tmp_path):
    for name, content in OLD.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_all_files_are_written_and_those_that_are_gone_are_removed(folder):
    disk.write_all(
        {folder / name: content for name, content in NEW.items()}, gone=[folder / "c.txt"]
    )
    assert contents(folder) == NEW


@pytest.mark.parametrize("function", ["write_bytes", "replace", "unlink"])
@pytest.mark.parametrize("good", [0, 1, 2])
def test_a_disk_that_is_full_at_any_moment_changes_nothing(folder, monkeypatch, function, good):
    """The first `good` calls succeed, the next one meets a full disk."""
    owner = os if function == "replace" else Path
    real, calls = getattr(owner, function), []

    def failing(path, *args, **kwargs):
        mine = function != "unlink" or path.name == "c.txt"
        calls.append(path) if mine else None
        if mine and len(calls) == good + 1:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(owner, function, failing)
    files = {folder / name: content for name, content in NEW.items()}
    if function == "unlink" and good:
        return  # one file goes
    with (
        pytest.raises(UserError, match="disk full while writing the test: nothing was stored"),
        disk.disk_errors("the test"),
    ):
        disk.write_all(files, gone=[folder / "c.txt"])
    monkeypatch.undo()
    assert contents(folder) == OLD


def test_a_disk_without_hard_links(folder, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    disk.write_all({folder / name: content for name, content in NEW.items()})
    assert contents(folder) == NEW | {"c.txt": b"old c"}


@pytest.mark.parametrize(("number", "words"), [(errno.EROFS, "cannot write"), (errno.EIO, None)])
def test_only_what_a_person_can_mend_is_told_in_words(number, words):
    with pytest.raises(UserError if words else OSError, match=words), disk.disk_errors("it"):
        raise OSError(number, os.strerror(number), "file")


def test_a_workspace_is_in_use_until_its_process_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "RUNS", tmp_path)
    program = (
        "import pathlib, sys, time\nfrom genlab.pipeline.runs import disk\n"
        f"disk.RUNS = pathlib.Path({str(tmp_path)!r})\n"
        "with disk.workspace('first') as folder:\n"
        "    print(folder, flush=True)\n    time.sleep(60)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    folder = Path(other.stdout.readline().strip())
    assert disk.in_use(folder)
    other.kill()
    other.wait()
    assert folder.is_dir() and not disk.in_use(folder)
    with disk.workspace("first") as mine:
        assert disk.in_use(mine)
    assert not mine.exists()


def test_a_folder_without_a_lock_is_in_use_while_it_is_young(tmp_path):
    assert disk.in_use(tmp_path)
    hour_ago = time.time() - 3600
    os.utime(tmp_path, (hour_ago, hour_ago))
    assert not disk.in_use(tmp_path)
