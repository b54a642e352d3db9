"""Faults in the middle of a run: each is one line, leaves no process and no half a result,
and keeps what the others made."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from pipeline import Project, one_line, wait_for


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def fails(project, *words):
    result = project.genlab(*words)
    assert result.returncode == 1
    line = one_line(result.stderr)
    assert project.processes() == []
    assert not (project.root / "runs/.partial").exists() or not list(
        (project.root / "runs/.partial").iterdir()
    )
    return line, result


def test_an_exception_names_the_cell_and_keeps_the_partial_notebook(project):
    line, _ = fails(project, "run", "first", "-p", "mode=fail")
    assert (
        "code cell 3" in line
        and "RuntimeError: asked to fail" in line
        and "runs/failed/first/notebook.ipynb" in line
    )
    kept = json.loads((project.root / "runs/failed/first/notebook.ipynb").read_text())
    assert any(
        o["output_type"] == "error"
        for c in kept["cells"]
        if c["cell_type"] == "code"
        for o in c["outputs"]
    )


def test_an_announced_figure_that_is_not_drawn_is_a_failure_and_the_shell_cannot_switch_figures_off(
    project,
):
    head = '\n```{code-cell} ipython3\n---\nmystnb:\n  image:\n    alt: "a line"\n---\n'
    cell = head + "import matplotlib.pyplot as plt\n\nfig, ax = plt.subplots()\n```\n"
    path = project.root / "notebooks/first.md"
    path.write_text(path.read_text() + cell)
    project.env["MPLBACKEND"] = "agg"
    assert project.genlab("run", "first").returncode == 0
    project.edit("notebooks/first.md", "fig, ax = plt.subplots()", "fig = None")
    line, _ = fails(project, "run", "first")
    assert "announces a figure and drew none" in line


def test_a_failed_need_skips_its_dependents_and_keeps_the_rest(project):
    project.edit("notebooks/first.md", 'mode = "plain"', 'mode = "fail"')
    line, _ = fails(project, "run", "--all")
    assert "second skipped: needs first, which failed" in line
    assert project.snapshot() == {}


def test_a_kernel_killed_with_9_is_a_failure(project):
    line, _ = fails(project, "run", "first", "-p", "mode=die")
    assert "the kernel died" in line and project.snapshot() == {}


def test_time_budget(project):
    project.edit("notebooks/first.md", "seconds: 60", "seconds: 6")
    line, _ = fails(project, "run", "first", "-p", "mode=sleep")
    assert "time budget exceeded" in line and project.snapshot() == {}


def test_memory_budget(project):
    line, _ = fails(project, "run", "first", "-p", "mode=eat")
    assert "memory budget exceeded" in line and project.snapshot() == {}


def kernels(project):
    return [p for p in project.processes() if "ipykernel_launcher" in " ".join(p.cmdline())]


def test_kill_9_of_the_kernel_from_outside(project):
    process = project.start("run", "first", "-p", "mode=sleep")
    wait_for(lambda: kernels(project))
    time.sleep(2)
    for kernel in kernels(project):
        kernel.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "the kernel died" in one_line(err)
    assert project.processes() == [] and project.snapshot() == {}


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_no_process_and_keeps_finished_runs(project, sign):
    assert project.genlab("run", "first").returncode == 0
    finished = project.snapshot()
    process = project.start("run", "first", "-p", "mode=sleep")
    wait_for(lambda: kernels(project))
    os.kill(process.pid, sign)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in one_line(err)
    wait_for(lambda: project.processes() == [], 10)
    assert project.snapshot() == finished


def test_the_runner_itself_killed_leaves_a_store_that_works(project):
    process = project.start("run", "first", "-p", "mode=sleep")
    wait_for(lambda: kernels(project))
    process.kill()
    process.communicate()
    for orphan in project.processes():
        orphan.kill()
    assert project.snapshot() == {}
    assert project.genlab("run", "first").returncode == 0  # its lock died with it


def test_the_same_run_twice_at_once_is_made_once(project):
    both = [project.start("run", "first") for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("up to date" in err for err in errors) == [False, True]
    assert len([name for name in project.snapshot() if name.endswith("record.json")]) == 1


def test_broken_and_missing_data(project):
    file = project.root / "data/numbers.txt"
    file.write_text("two\n")
    result = project.genlab("run", "first")
    line = one_line(result.stderr)
    assert (
        result.returncode == 2
        and "data/numbers.txt is broken" in line
        and "expected sha256" in line
        and "found" in line
    )
    file.unlink()
    result = project.genlab("run", "first")
    assert result.returncode == 2 and "data/numbers.txt is missing" in one_line(result.stderr)
    assert project.snapshot() == {}


def test_a_section_without_its_block_of_front_matter_is_refused(project):
    """As a save without jupytext.toml leaves it: it must not run with nothing needed, no data and a default budget."""
    file = project.root / "notebooks/second.md"
    whole = file.read_text()
    block = whole[whole.index("genlab:") : whole.index("---", 4)]
    missing, empty = (
        "second.md has no `genlab:` block",
        "second.md: `genlab:` in its front matter is empty",
    )
    for left, told in {
        "": missing,
        "genlab: {}\n": missing,
        "genlab: all of it\n": missing,
        "genlab:\n": empty,
    }.items():
        file.write_text(whole.replace(block, left))
        result = project.genlab("run", "second")
        line = one_line(result.stderr)
        assert (
            result.returncode == 2
            and told in line
            and "git checkout -p notebooks/second.md" in line
        )
    assert project.snapshot() == {}


def test_no_parameters_cell_no_section_file_and_circles(project):
    project.edit("notebooks/second.md", ":tags: [parameters]\n", "")
    result = project.genlab("run", "second")
    assert result.returncode == 2 and "second.md has 0 cells tagged `parameters`" in one_line(
        result.stderr
    )
    (project.root / "notebooks/second.md").unlink()
    assert "notebooks/second.md is missing" in one_line(project.genlab("run", "second").stderr)
    project.edit("notebooks/first.md", "data: [numbers.txt]", "needs: [first]")
    assert "circle: first -> first" in one_line(project.genlab("run", "first").stderr)


def test_a_damaged_record_is_named_and_made_anew(project):
    assert project.genlab("run", "first").returncode == 0
    record = next((project.root / "runs/first").glob("*/record.json"))
    whole = record.read_text()
    record.write_text(whole[: len(whole) // 2])
    assert "-" in project.genlab("list").stdout
    assert project.genlab("run", "first").returncode == 0
    assert json.loads(record.read_text())["metrics"] == json.loads(whole)["metrics"]


def test_a_notebook_removed_under_a_stored_run_is_made_anew(project):
    assert project.genlab("run", "first").returncode == 0
    notebook = next((project.root / "runs/first").glob("*/notebook.ipynb"))
    notebook.unlink()
    assert (
        "is stale" in project.genlab("why", "first").stdout
        or "no run" in project.genlab("why", "first").stdout
    )
    result = project.genlab("run", "first")
    assert result.returncode == 0 and "done" in result.stderr and notebook.is_file()


def test_a_clock_set_back_changes_nothing(project):
    """Runs from the future are found by key, not by date, and cleaning keeps what is current."""
    assert project.genlab("run", "--all").returncode == 0
    before = project.snapshot()
    ahead = time.time() + 10 * 365 * 86_400
    for path in [project.root / "runs", *(project.root / "runs").rglob("*")]:
        os.utime(path, (ahead, ahead))
    result = project.genlab("run", "--all")
    assert result.returncode == 0 and result.stderr.count("up to date") == 2
    assert "is current" in project.genlab("why", "second").stdout
    assert project.genlab("clean").returncode == 0 and project.snapshot() == before
    assert project.genlab("run", "first", "--force").returncode == 0


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
