"""A worker that differs is refused, and told by what."""

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


def test_differences_name_the_part():
    here = worker.fingerprint()
    there = {**here, "lock": {**here["lock"], "numpy": "1.0"}}
    assert (
        worker.differences(here, there) == ["lock: numpy"] and worker.differences(here, here) == []
    )
