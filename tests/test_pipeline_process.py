"""Faults in the middle of a run: each is one line, leaves no process and no half a result,
and keeps what the others made.  What the shell says reaches no section."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from pipeline import SOURCE, Project, one_line, wait_for

from genlab.pipeline.execution import process


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_kernel_killed_with_9_is_a_failure(project):
    line, _ = fails(project, "run", "first", "-p", "mode=die")
    assert "the kernel died" in line and project.snapshot() == {}


@pytest.mark.slow
def test_time_budget(project):
    project.edit("notebooks/first.md", "seconds: 60", "seconds: 6")
    line, _ = fails(project, "run", "first", "-p", "mode=sleep")
    assert "time budget exceeded" in line and project.snapshot() == {}


@pytest.mark.slow
def test_memory_budget(project):
    line, _ = fails(project, "run", "first", "-p", "mode=eat")
    assert "memory budget exceeded" in line and project.snapshot() == {}


def kernels(project):
    return [p for p in project.processes() if "ipykernel_launcher" in " ".join(p.cmdline())]


@pytest.mark.slow
def test_kill_9_of_the_kernel_from_outside(project):
    process = project.start("run", "first", "-p", "mode=sleep")
    wait_for(lambda: kernels(project))
    time.sleep(2)
    for kernel in kernels(project):
        kernel.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "the kernel died" in one_line(err)
    assert project.processes() == [] and project.snapshot() == {}


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_runner_itself_killed_leaves_a_store_that_works(project):
    process = project.start("run", "first", "-p", "mode=sleep")
    wait_for(lambda: kernels(project))
    process.kill()
    process.communicate()
    for orphan in project.processes():
        orphan.kill()
    assert project.snapshot() == {}
    assert project.genlab("run", "first").returncode == 0  # its lock died with it


DIES = """
import os, pathlib, sys
if "ipykernel_launcher" in " ".join(sys.orig_argv):
    count = pathlib.Path(__file__).with_name("starts")
    started = len(count.read_text()) + 1 if count.exists() else 1
    count.write_text("x" * started)
    if started <= int(os.environ["DEATHS"]):
        os._exit(1)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("deaths", "starts"), [(2, 3), (9, 3)])
def test_a_kernel_that_never_came_up_is_started_again_twice(
    project, tmp_path_factory, deaths, starts
):
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(DIES)
    project.env |= {"PYTHONPATH": f"{folder}:{SOURCE}", "DEATHS": str(deaths)}
    if deaths < starts:
        assert project.genlab("run", "first").returncode == 0
    else:
        line, _ = fails(project, "run", "first")
        assert "Kernel died before replying to kernel_info" in line
    assert len((folder / "starts").read_text()) == starts


@pytest.mark.slow
def test_a_folder_with_braces_and_a_cell_that_prints_much(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("{seed} {x} {}"))
    code = 'print("size is positive:", size > 0)\nprint("x" * 3_000_000)'
    project.edit("notebooks/first.md", 'print("size is positive:", size > 0)', code)
    result = project.genlab("run", "first")
    assert result.returncode == 0, result.stderr
    (notebook,) = (project.root / "runs/first").glob("*/notebook.ipynb")
    text = notebook.read_text("utf-8")
    assert len(text) < 300_000 and "more characters were not stored" in text


@pytest.mark.slow
def test_a_disk_that_gets_full_in_a_run_is_one_line_and_leaves_nothing(tmp_path):
    """On a small disk of its own, which a cell fills."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        project = Project(small / "project")
        fill = (
            "from contextlib import suppress\nfrom genlab.section.paths import ROOT\n\n"
            'with suppress(OSError), open(ROOT / "junk", "wb", buffering=0) as junk:\n'
            '    while junk.write(b"x" * 100_000):\n        pass\n'
            "section.save(more=np.random.default_rng(0).normal(size=100_000))\n\n"
        )
        project.edit("notebooks/first.md", 'if mode == "fail"', f'{fill}if mode == "fail"')
        line, _ = fails(project, "run", "first")
        assert "disk full while writing the run" in line or "No space left on device" in line
        assert project.snapshot() == {}
        (project.root / "junk").unlink()
        assert project.genlab("list").returncode == 0
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_child_that_failed_ends_though_something_in_it_still_waits(tmp_path):
    """Papermill's own threads and sockets have kept a child waiting whose disk was full."""
    waits = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    (tmp_path / "sitecustomize.py").write_text(waits)
    program = [sys.executable, "-m", "genlab.pipeline.execution.process", str(tmp_path)]
    env = os.environ | {"PYTHONPATH": f"{tmp_path}:{SOURCE}"}
    done = subprocess.run(program, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "FileNotFoundError" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(("full", "why"), [(True, "disk full"), (False, "time budget exceeded")])
def test_who_waits_on_a_full_disk_is_not_slow(monkeypatch, tmp_path, full, why):
    monkeypatch.setattr(process, "is_full", lambda folder: full)
    budget, start = {"memory_mib": 1e6, "seconds": 60}, time.monotonic() - 100
    with pytest.raises(process.RunFailed, match=why):
        process._run_child(tmp_path, dict(os.environ), lambda *_: None, start, budget)


def test_last_words_are_told(monkeypatch, tmp_path):
    (tmp_path / "log.txt").write_text("Traceback\nValueError: no\n\n")
    assert process._why_it_stopped(tmp_path, 1) == "papermill stopped: ValueError: no"
    assert "the kernel died" in process._why_it_stopped(tmp_path, -9)
    monkeypatch.setattr(process, "is_full", lambda folder: True)
    assert "disk full while writing the run" in process._why_it_stopped(tmp_path, 1)


def test_compiled_programs_do_not_lie_in_the_store(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
    env = process.environment(tmp_path, {}, "cpu", 1)
    assert env["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "mine/genlab/jax")


def test_transport_loads_no_framework(tmp_path):
    look = "import ot, sys; print(*{'torch', 'jax'} & sys.modules.keys())"
    env = process.environment(tmp_path, {}, "cpu", 1)
    loaded = [
        subprocess.run([sys.executable, "-c", look], env=e, capture_output=True, text=True).stdout
        for e in (env, {k: v for k, v in env.items() if not k.startswith("POT_")})
    ]
    assert loaded[0].split() == [] and loaded[1].split()


def test_threads_are_those_of_the_key_and_nobody_elses(monkeypatch, tmp_path):
    monkeypatch.setenv("GENLAB_THREADS", "7")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=7")
    one = process.environment(tmp_path, {}, "cpu", 1)
    assert one["OMP_NUM_THREADS"] == one["GENLAB_THREADS"] == "1"
    assert one["XLA_FLAGS"] == ("--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    three = process.environment(tmp_path, {}, "cpu", 3)
    assert three["OMP_NUM_THREADS"] == three["NPROC"] == three["GENLAB_THREADS"] == "3"
    assert "XLA_FLAGS" not in three


def test_what_the_shell_says_reaches_no_section(monkeypatch, tmp_path):
    personal = {"MPLBACKEND": "agg", "JAX_ENABLE_X64": "1", "IPYTHONDIR": "mine", "TF_X": "1"}
    for name, value in personal.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ORDINARY", "kept")
    env = process.environment(tmp_path, {}, "cpu", 1)
    assert not personal.items() & env.items() and env["ORDINARY"] == "kept"
    assert env["GENLAB_RUN_DIR"] == str(tmp_path) and env["PYTHONHASHSEED"] == "0"
