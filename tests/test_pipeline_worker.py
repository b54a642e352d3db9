"""A worker that differs is refused, and told by what."""

from types import SimpleNamespace

import pytest
from pipeline import Farm, Project, one_line, wait_for

from genlab.pipeline.execution import worker


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "client")


@pytest.fixture
def farm(tmp_path):
    farm = Farm(tmp_path / "farm")
    yield farm
    farm.stop()


@pytest.mark.slow
def test_a_worker_with_another_genlab_is_refused_by_name(project, farm):
    other = farm.clone()
    file = other / "src/genlab/toys/langevin.py"
    file.write_text(file.read_text() + "\n# changed here\n")
    farm.worker(other)
    wait_for(lambda: "Registered to" in (other / "worker.log").read_text())
    result = project.genlab("run", "first", "--scheduler", farm.address)
    line = one_line(result.stderr)
    assert result.returncode == 1 and "refused: code: toys/langevin.py" in line
    assert project.snapshot() == {}
    farm.worker()
    wait_for(lambda: "Registered to" in (farm.clones[1] / "worker.log").read_text())
    # the other worker does it all
    assert project.genlab("run", "--all", "--scheduler", farm.address).returncode == 0


@pytest.mark.slow
def test_a_worker_with_broken_data_is_refused(project, farm):
    root = farm.clone()
    (root / "data/numbers.txt").write_text("three\n")
    farm.worker(root)
    line = one_line(project.genlab("run", "first", "--scheduler", farm.address).stderr)
    assert "refused" in line and "data/numbers.txt is broken" in line


def test_a_task_that_nobody_wants_any_more_is_interrupted(monkeypatch):
    """Cancelled, or its client gone: the state that Dask keeps of it is not `executing`."""
    here = SimpleNamespace(
        address="here",
        status=worker.Status.running,
        state=SimpleNamespace(tasks={}),
        memory_manager=SimpleNamespace(memory_limit=2**30),
        log_event=lambda topic, what: None,
    )
    monkeypatch.setattr(worker, "get_worker", lambda: here)
    monkeypatch.setattr(worker, "thread_state", SimpleNamespace(key="name"))
    monkeypatch.setattr(worker, "refusal", lambda asked: None)
    monkeypatch.setattr(worker.task, "run", lambda asked, watch: watch(1.0, 2.0, {}))
    assert worker.run_section({"topic": "t"}) == {"failed": "interrupted", "notebook": None}
    assert worker.memory_limit_mib(here) == 1024
    monkeypatch.setattr(worker, "refusal", lambda asked: "code: a.py")
    assert worker.run_section({"topic": "t"}) == {"refused": "code: a.py", "worker": "here"}
