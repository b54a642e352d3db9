"""The store: a run appears whole or not at all, what is damaged is named and made anew, and
cleaning keeps what is current."""

import json
import os
import subprocess
import sys
import time

import pytest
from pipeline import Project, one_line, prepared, run_all


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture
def ran(tmp_path_factory):
    """A project whose two sections have been run once."""
    return prepared(tmp_path_factory, "ran", run_all)


@pytest.mark.slow
def test_a_damaged_record_is_named_and_made_anew(ran):
    record = next((ran.root / "runs/first").glob("*/record.json"))
    whole = record.read_text()
    record.write_text(whole[: len(whole) // 2])
    assert "-" in ran.genlab("list").stdout
    assert ran.genlab("run", "first").returncode == 0
    assert json.loads(record.read_text())["metrics"] == json.loads(whole)["metrics"]


@pytest.mark.slow
def test_a_notebook_removed_under_a_stored_run_is_made_anew(ran):
    notebook = next((ran.root / "runs/first").glob("*/notebook.ipynb"))
    notebook.unlink()
    assert (
        "is stale" in ran.genlab("why", "first").stdout
        or "no run" in ran.genlab("why", "first").stdout
    )
    result = ran.genlab("run", "first")
    assert result.returncode == 0 and "done" in result.stderr and notebook.is_file()


@pytest.mark.slow
def test_a_clock_set_back_changes_nothing(ran):
    """Runs from the future are found by key, not by date, and cleaning keeps what is current."""
    before = ran.snapshot()
    ahead = time.time() + 10 * 365 * 86_400
    for path in [ran.root / "runs", *(ran.root / "runs").rglob("*")]:
        os.utime(path, (ahead, ahead))
    result = ran.genlab("run", "--all")
    assert result.returncode == 0 and result.stderr.count("up to date") == 2
    assert "is current" in ran.genlab("why", "second").stdout
    assert ran.genlab("clean").returncode == 0 and ran.snapshot() == before
    assert ran.genlab("run", "first", "--force").returncode == 0


@pytest.mark.slow
def test_clean_keeps_current_and_published_runs(ran):
    ran.genlab("run", "first", "-p", "size=9")
    extra = [
        p
        for p in (ran.root / "runs/first").iterdir()
        if '"size": 9' in (p / "record.json").read_text()
    ]
    assert len(extra) == 1
    assert str(extra[0].name) in ran.genlab("clean", "--dry-run").stdout and extra[0].exists()
    assert ran.genlab("clean").returncode == 0
    assert not extra[0].exists() and len(list((ran.root / "runs/first").iterdir())) == 1


def test_a_read_only_store_is_one_line(project):
    """EROFS at the first write, in a process of its own (the tests may run as root, whom no
    mode keeps out)."""
    code = (
        "import errno, os, pathlib\n"
        "real = pathlib.Path.mkdir\n"
        "def refuse(self, *a, **k):\n"
        "    if 'runs' in str(self): "
        "raise OSError(errno.EROFS, 'Read-only file system', str(self))\n"
        "    return real(self, *a, **k)\n"
        "pathlib.Path.mkdir = refuse\n"
        "from genlab.pipeline.cli import main\n"
        "main(['run', 'first'])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env=project.env, capture_output=True, text=True, check=False
    )
    assert (
        result.returncode == 1
        and "cannot write the lock of a run (Read-only file system" in one_line(result.stderr)
    )
    assert not (project.root / "runs").exists()


@pytest.mark.slow
def test_full_disk_is_one_line_and_stores_nothing(project):
    """ENOSPC at the moment of storing: raised by the rename itself, in a process of its own."""
    code = (
        "import errno, os, sys\n"
        "real = os.replace\n"
        "def full(src, dst):\n"
        "    if 'staged' in str(src): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "    return real(src, dst)\n"
        "os.replace = full\n"
        "from genlab.pipeline.cli import main\n"
        "main(['run', 'first'])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env=project.env, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1 and "disk full" in one_line(result.stderr)
    assert project.snapshot() == {}
