"""Sections on this machine: their number, their turns on a GPU, and that they stop."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pipeline import Project

from genlab.pipeline.execution import HERE, Stopped, Where, local, runner_of
from genlab.pipeline.execution.results import RunFailed
from genlab.pipeline.runs import store

CPU = {"device": "cpu", "path": 0.0}


@pytest.mark.parametrize(
    ("jobs", "threads", "at_once"), [(None, 1, 5), (None, 2, 2), (None, 8, 1), (3, 2, 3)]
)
def test_as_many_sections_run_here_as_the_cores_allow(monkeypatch, jobs, threads, at_once):
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    with runner_of(Where(jobs), threads) as here:
        assert isinstance(here, local.Local) and here.at_once == at_once
    assert most_at_once(monkeypatch, here, ["cpu"] * 8) == at_once


def test_sections_take_turns_on_a_gpu_and_hold_no_core_while_they_wait(monkeypatch):
    here = local.Local(2, 1)
    assert most_at_once(monkeypatch, here, ["cuda:A"] * 4) == 1
    assert most_at_once(monkeypatch, here, ["cuda:A"] * 4 + ["cpu"]) == 2


def most_at_once(monkeypatch, here, devices) -> int:
    """How many tasks on these devices were seen to run together."""
    lock, running, most = threading.Lock(), [0], [0]

    def run(asked, watch):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.05)
        with lock:
            running[0] -= 1
        return {}

    monkeypatch.setattr(local.task, "run", run)
    monkeypatch.setattr(local.task, "unfit", lambda asked: None)
    with ThreadPoolExecutor(len(devices)) as pool:
        stop = threading.Event()
        list(pool.map(lambda d: here.run({"device": d, "path": 0.0}, stop, print), devices))
    return most[0]


def test_to_stop_ends_who_runs_and_who_waits(monkeypatch):
    here, stop, told = local.Local(1, 1), threading.Event(), []

    def run(asked, look):
        while True:
            look(1.0, 2.0, {})
            time.sleep(0.01)

    monkeypatch.setattr(local.task, "run", run)
    monkeypatch.setattr(local.task, "unfit", lambda asked: None)
    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(here.run, CPU, stop, lambda *what: told.append(what)) for _ in range(2)]
        while not told:
            time.sleep(0.01)
        stop.set()
        for end in ends:
            with pytest.raises(Stopped):
                end.result(timeout=10)
    with here.cores.taken(0.0, threading.Event()):  # given back
        pass


def test_a_free_core_goes_to_the_longest_path_and_then_to_who_came_first():
    room, stop, order = local.Room(1), threading.Event(), []

    def turn(name, path):
        with room.taken(path, stop):
            order.append(name)

    threads = []
    with room.taken(0.0, stop):
        for waiting, (name, path) in enumerate([("b", 2.0), ("d", 1.0), ("a", 3.0), ("c", 2.0)], 1):
            threads.append(threading.Thread(target=turn, args=(name, path)))
            threads[-1].start()
            while len(room.waiting) < waiting:
                time.sleep(0.01)
    for thread in threads:
        thread.join(timeout=10)
    assert order == ["a", "b", "c", "d"]


def test_a_machine_that_cannot_is_one_line(monkeypatch):
    monkeypatch.setattr(local.task, "unfit", lambda asked: "numpy 1.0 installed, 2.0 pinned")
    with pytest.raises(RunFailed, match=r"cannot run it: numpy 1\.0 installed"):
        local.Local(1, 1).run(CPU, threading.Event(), print)


@pytest.mark.slow
def test_one_section_at_a_time_on_a_gpu(tmp_path):
    """With a GPU (a name in the environment stands for one), sections that want it take turns
    although two may run at once."""
    project = Project(tmp_path)
    project.env["GENLAB_GPU"] = "Test 1"
    project.edit("notebooks/first.md", "data: [numbers.txt]", "data: [numbers.txt]\n  device: any")
    result = project.genlab("sweep", "first", "-g", "mode=nap", "--seeds", "2", "--jobs", "2")
    assert result.returncode == 0, result.stderr
    found = [
        store.at(f.parent) for f in sorted((project.root / "runs/first").glob("*/record.json"))
    ]
    assert {r.record["device"] for r in found} == {"cuda:Test 1"}
    times = sorted(f.record_file.stat().st_mtime for f in found)
    assert times[1] - times[0] > 5  # the second began when the first had ended


def test_nothing_of_dask_is_loaded_for_sections_that_run_here():
    """It takes half a second, and opens ports."""
    program = (
        "import sys; from genlab.pipeline.execution import HERE, plan, runner_of\n"
        "with runner_of(HERE, 1): assert 'distributed' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert HERE.scheduler is None
