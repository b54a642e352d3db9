"""The store: a run appears whole or not at all, what is damaged is named and made anew, and
cleaning keeps what is current."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pipeline import Project, edit_record, one_line, prepared, run_all, wait_for

from genlab.pipeline.runs import store
from genlab.section.paths import UserError


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
    assert "damaged: notebook.ipynb is missing" in ran.genlab("why", "first").stdout
    result = ran.genlab("run", "first")
    assert result.returncode == 0 and "done" in result.stderr and notebook.is_file()


@pytest.fixture
def here(ran, monkeypatch):
    """The run of `first`, and the store that holds it, in this process."""
    monkeypatch.setattr(store, "RUNS", ran.root / "runs")
    monkeypatch.setattr(store, "PUBLISHED", ran.root / "book/published")
    (folder,) = (ran.root / "runs/first").iterdir()
    assert store.find("first", folder.name).sound
    return folder


def swap_arrays(folder):
    np.savez_compressed(folder / "arrays.npz", numbers=np.zeros(3))


DAMAGES = {
    "arrays swapped": (swap_arrays, "arrays.npz"),
    "arrays truncated": (lambda f: os.truncate(f / "arrays.npz", 99), "arrays.npz has 99 bytes"),
    "arrays missing": (lambda f: (f / "arrays.npz").unlink(), "arrays.npz is missing"),
    "notebook truncated": (lambda f: os.truncate(f / "notebook.ipynb", 99), "notebook.ipynb has"),
    "record truncated": (lambda f: os.truncate(f / "record.json", 99), "Expecting"),
    "record of another section": (
        lambda f: edit_record(f / "record.json", section="second"),
        "says section 'second', which is not where it lies",
    ),
    "record that leaves the store": (
        lambda f: edit_record(f / "record.json", section="../../../escaped"),
        "section: String should match",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_run_is_never_found_and_is_named(here, name):
    damage, words = DAMAGES[name]
    damage(here)
    assert store.find("first", here.name) is None and list(store.stored("first")) == []
    with pytest.raises(UserError, match="makes it anew") as error:
        _ = store.at(here).record
    assert words in str(error.value)


@pytest.mark.slow
def test_a_run_under_another_key_is_damaged(here):
    copy = here.with_name("0" * 16)
    shutil.copytree(here, copy)
    assert store.find("first", copy.name) is None and "says key" in store.at(copy).damage
    edit_record(copy / "record.json", key=copy.name)
    assert "not that of its parts" in store.at(copy).damage


@pytest.mark.slow
def test_what_uses_a_damaged_run_makes_it_anew_and_says_the_same(ran):
    """Wrong arrays under a good record do not reach the section that needs them."""
    (folder,) = (ran.root / "runs/first").iterdir()
    whole = {name: (folder / name).read_bytes() for name in ("arrays.npz", "record.json")}
    swap_arrays(folder)
    assert "current" not in ran.genlab("list").stdout.splitlines()[1]
    why = ran.genlab("why", "first").stdout
    assert "is damaged" in why and "arrays.npz" in why
    result = ran.genlab("run", "second")
    assert result.returncode == 0 and "first: done" in result.stderr
    assert "second: up to date" in result.stderr
    with np.load(folder / "arrays.npz") as arrays:
        assert arrays["numbers"].tolist() == [0.0, 2.0, 4.0]
    again = json.loads((folder / "record.json").read_text("utf-8"))
    assert again["metrics"] == json.loads(whole["record.json"])["metrics"]


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


@pytest.mark.slow
def test_clean_leaves_a_running_run_and_follows_no_link(ran, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "0123456789abcdef").mkdir()
    (ran.root / "runs/third").symlink_to(elsewhere)
    stale = ran.root / "runs/.partial/first-left"
    stale.mkdir(parents=True)
    hour_ago = time.time() - 3600
    os.utime(stale, (hour_ago, hour_ago))
    process = ran.start("run", "first", "-p", "mode=nap")
    wait_for(lambda: list((ran.root / "runs/.partial").glob("first-*/log.txt")))
    cleaned = ran.genlab("clean")
    assert cleaned.returncode == 0 and "first-left" in cleaned.stdout
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert (elsewhere / "0123456789abcdef").is_dir() and not stale.exists()


def test_git_that_says_nothing_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(store, "ROOT", tmp_path)
    assert store.git_state() == (None, "unknown")  # no checkout, or one that git refuses
    monkeypatch.setenv("PATH", "")
    assert store.git_state() == (None, "unknown")


def test_a_failed_run_is_kept_and_a_full_disk_hides_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr(store, "RUNS", tmp_path)
    kept = store.keep_failed("first", b"{}", "it failed")
    assert kept.read_bytes() == b"{}" and "it failed" in kept.with_name("error.txt").read_text()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert store.keep_failed("second", b"{}", "it failed") is None
    assert store.keep_failed("second", None, "it failed") is None


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
