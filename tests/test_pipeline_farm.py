"""Sections on other machines: real schedulers and workers as processes on loopback, each worker
with a checkout of its own."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
from pipeline import Farm, Project, one_line, wait_for

from genlab.pipeline.execution import farm as dask_farm
from genlab.pipeline.execution.results import RunFailed


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "client")


@pytest.fixture
def farm(tmp_path):
    farm = Farm(tmp_path / "farm")
    yield farm
    farm.stop()


def records(project):
    return {
        name: json.loads(content)
        for name, content in project.snapshot().items()
        if name.endswith("record.json")
    }


@pytest.mark.slow
def test_two_workers_in_separate_checkouts_make_the_book_and_keep_nothing(project, farm):
    farm.worker(), farm.worker()
    result = project.genlab("run", "--all", "--scheduler", farm.address)
    assert result.returncode == 0, result.stderr
    assert {r["section"] for r in records(project).values()} == {"first", "second"}
    for root in farm.clones:
        assert not [f for f in (root / "runs").rglob("*") if f.is_file() and ".jax" not in str(f)]


@pytest.mark.slow
def test_ten_runs_on_two_workers_equal_the_local_ones(project, farm, tmp_path):
    farm.worker(), farm.worker()
    grid = ("sweep", "first", "-g", "scale=0.5,1,2,3,4", "--seeds", "2")
    local = Project(tmp_path / "local")
    there, here = project.start(*grid, "--scheduler", farm.address), local.start(*grid)
    told = [p.communicate(timeout=400)[1] for p in (there, here)]
    assert [p.returncode for p in (there, here)] == [0, 0], told
    there, here = records(project), records(local)
    assert len(there) == 10 and there.keys() == here.keys()
    assert all(there[name]["metrics"] == here[name]["metrics"] for name in there)
    for name in there:
        a, b = (
            np.load(p.root / "runs" / name.replace("record.json", "arrays.npz"))
            for p in (project, local)
        )
        assert np.array_equal(a["numbers"], b["numbers"])


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_loses_nothing(project, farm):
    first = farm.worker()
    process = project.start("run", "first", "-p", "mode=nap", "--scheduler", farm.address)
    kernels = wait_for(lambda: farm.sections(farm.clones[0]))
    farm.worker()
    first.kill()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    (record,) = records(project).values()
    assert record["metrics"]["double"]["value"] == 6.0
    # the dead worker's section died with it
    wait_for(lambda: not any(k.is_running() for k in kernels))


@pytest.mark.slow
def test_a_section_that_kills_its_workers_is_reported_with_its_memory(project, farm):
    farm.worker(nanny=True), farm.worker(nanny=True)
    process = project.start("run", "first", "-p", "mode=kill", "--scheduler", farm.address)
    _, err = process.communicate(timeout=200)
    line = one_line(err)
    assert (
        process.returncode == 1
        and f"killed its worker {dask_farm.ATTEMPTS} times" in line
        and "MiB" in line
    )
    assert project.snapshot() == {}


def test_two_deaths_near_the_memory_limit_are_enough():
    seen = dask_farm._Watched()
    there = dask_farm.Cluster(client=None, name="nowhere")
    started, much = (
        {"event": "started", "limit_mib": 1000.0},
        {"event": "progress", "memory_mib": 950.0, "seconds": 1.0, "progress": {}},
    )

    def hear(event):
        there._hear(event, seen, lambda *_: None)

    for event in (started, much, started, much):
        hear(event)
    with pytest.raises(
        dask_farm.RunFailed, match=r"killed its worker 2 times.*950 MiB of the 1,000 MiB"
    ):
        hear(started)


@pytest.mark.slow
def test_a_scheduler_lost_half_way_leaves_finished_runs(project, farm):
    farm.worker()
    assert project.genlab("run", "--all", "--scheduler", farm.address).returncode == 0
    before = project.snapshot()
    assert len(before) == 6 - 1  # two runs, one of them without arrays
    process = project.start("run", "first", "-p", "mode=sleep", "--scheduler", farm.address)
    kernels = wait_for(lambda: farm.sections(farm.clones[0]))
    farm.scheduler.kill()
    _, err = process.communicate(timeout=120)
    line = one_line(err)
    assert (
        process.returncode == 1
        and "lost the scheduler" in line
        and "finished runs are stored" in line
    )
    assert project.snapshot() == before
    farm.workers[0].terminate()
    wait_for(lambda: not any(k.is_running() for k in kernels))


@pytest.mark.slow
def test_ctrl_c_stops_the_section_on_its_worker(project, farm):
    farm.worker()
    process = project.start("run", "first", "-p", "mode=sleep", "--scheduler", farm.address)
    wait_for(lambda: farm.sections(farm.clones[0]))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in one_line(err)
    wait_for(lambda: not farm.sections(farm.clones[0]))
    assert farm.workers[0].poll() is None and project.snapshot() == {}


@pytest.mark.slow
def test_no_scheduler_is_one_line(project):
    result = project.genlab("run", "first", "--scheduler", "tcp://127.0.0.1:9")
    assert result.returncode == 2 and "no scheduler answers at tcp://127.0.0.1:9" in one_line(
        result.stderr
    )


@pytest.mark.slow
def test_the_gpu_of_a_remote_worker_counts_if_it_offers_it(project, farm):
    project.env["GENLAB_GPU"] = "none"
    project.edit("notebooks/first.md", "data: [numbers.txt]", "data: [numbers.txt]\n  device: any")
    farm.worker(None, GENLAB_GPU="Test 1")  # has one, but was not started with `--resources GPU=1`
    assert project.genlab("run", "first", "--scheduler", farm.address).returncode == 0
    farm.worker(None, "--resources", "GPU=1", GENLAB_GPU="Test 1")
    wait_for(lambda: "Registered to" in (farm.clones[1] / "worker.log").read_text())
    assert project.genlab("run", "first", "--scheduler", farm.address).returncode == 0
    assert sorted(r["device"] for r in records(project).values()) == ["cpu", "cuda:Test 1"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_a_scheduler_behind_tls_serves_who_has_the_certificate_and_nobody_else(project, tmp_path):
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *[
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-out",
            ],
            files[0],
            "-keyout",
            files[1],
        ],
        check=True,
        capture_output=True,
    )
    farm = Farm(tmp_path / "farm", tls=files)
    try:
        farm.worker()
        words = ["--tls-ca", str(files[0]), "--tls-cert", str(files[0]), "--tls-key", str(files[1])]
        result = project.genlab("run", "first", "--scheduler", farm.address, *words)
        assert result.returncode == 0, result.stderr
        assert len(records(project)) == 1
        for stranger in (farm.address, farm.address.replace("tls:", "tcp:")):
            result = project.genlab("run", "second", "--scheduler", stranger)
            assert result.returncode == 2 and "no scheduler answers" in one_line(result.stderr)
        assert len(records(project)) == 1
    finally:
        farm.stop()


PEERS = {"says nothing": b"", "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n" * 40}


@pytest.mark.slow
@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_that_is_no_scheduler_is_one_line_in_time(project, peer):
    """A port that accepts, and then says nothing or something else."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, open_ends = server.getsockname()[1], []

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    open_ends.append(server.accept()[0])
                    open_ends[-1].sendall(PEERS[peer])

        threading.Thread(target=answer, daemon=True).start()
        code = (
            "from genlab.pipeline.execution import farm\nfarm.CONNECT = 2.0\n"
            "from genlab.pipeline.cli import main\n"
            f"main(['run', 'first', '--scheduler', 'tcp://127.0.0.1:{port}'])\n"
        )
        command = [sys.executable, "-c", code]
        result = subprocess.run(
            command, env=project.env, capture_output=True, text=True, check=False, timeout=60
        )
    assert result.returncode == 2, result.stderr
    assert "no scheduler answers at tcp://127.0.0.1" in one_line(result.stderr)


def test_a_worker_that_returns_no_dictionary(monkeypatch):
    cluster = dask_farm.Cluster(None, "tcp://there")
    monkeypatch.setattr(cluster, "_attempt", lambda *_: ["not", "a", "result"])
    with pytest.raises(RunFailed, match="returned what is no result"):
        cluster.run({}, threading.Event(), print)
