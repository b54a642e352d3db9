"""The command line on a miniature project: every mistake is one line, a non-zero exit, and leaves
the store as it was."""

import io
import json
import time
from types import SimpleNamespace

import pytest
from pipeline import Project, one_line
from rich.console import Console

from genlab.pipeline.execution import plan, process
from genlab.section.paths import UserError


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose two sections have been run once."""
    project = Project(tmp_path_factory.mktemp("project"))
    result = project.genlab("run", "--all")
    assert result.returncode == 0, result.stderr
    return project


def test_the_record_holds_what_the_plan_says(project):
    record = json.loads(next((project.root / "runs/first").glob("*/record.json")).read_text())
    assert {"section", "profile", "params", "seed", "key", "key_parts", "device", "seconds",
            "peak_memory_mib", "started", "commit", "dirty", "versions", "metrics",
            } <= set(record)  # fmt: skip
    assert record["params"] == {
        "seed": 0,
        "size": 3,
        "scale": 2.0,
        "mode": "plain",
        "names": ["a", "b"],
        "loud": False,
    }
    metric = record["metrics"]["double"]
    assert metric == {
        "value": 6.0,
        "unit": "numbers",
        "better": "higher",
        "limit": 10.0,
        "limit_is": "as many as there are",
    }
    assert record["peak_memory_mib"] > 20 and record["seconds"] > 0
    second = json.loads(next((project.root / "runs/second").glob("*/record.json")).read_text())
    assert second["metrics"]["total"]["value"] == 6.0 and second["key_parts"]["needs"] == {
        "first": record["key"]
    }


def test_an_up_to_date_run_is_reused(project):
    before, start = project.snapshot(), time.monotonic()
    result = project.genlab("run", "--all")
    assert result.returncode == 0 and "up to date" in result.stderr and project.snapshot() == before
    assert time.monotonic() - start < 15


def test_the_time_left_knows_what_was_read_back():
    """A run is expected to take what all its trainings cost; those that are remembered
    are over at once."""
    said, job = io.StringIO(), SimpleNamespace(key="k", section="first")
    display = plan._Display(Console(file=said, width=100), 1)
    display.update(job, 100.0, 10.0, {"what": "VAE", "done": 1, "total": 4, "remembered": 60.0})
    display.update(job, 100.0, 20.0, {"remembered": 60.0})
    assert said.getvalue().split("\n")[:2] == [
        "  first: 0:10, VAE 1/4, about 0:30 left",
        "  first: 0:20, about 0:20 left",
    ]


def test_list_and_describe(project):
    listed = project.genlab("list").stdout
    assert "first" in listed and "reads the first" in listed and "current" in listed
    described = project.genlab("describe", "first").stdout
    assert all(
        word in described
        for word in ("size", "how many numbers", "1 .. 100", "float", "list of str")
    )


MISTAKES = {
    ("run", "frist"): "unknown section 'frist' (did you mean 'first'?)",
    ("run", "first", "-p", "siez=3"): "no parameter 'siez' (did you mean 'size'?)",
    ("run", "first", "-p", "size=three"): "parameter size='three' is refused",
    ("run", "first", "-p", "size=2.5"): "parameter size='2.5' is refused",
    ("run", "first", "-p", "size=0"): "greater than or equal to 1",
    ("run", "first", "-p", "scale=0"): "greater than 0",
    ("run", "first", "-p", "scale=nan"): "finite number",
    ("run", "first", "-p", "mode=shout"): "'plain', 'fail'",
    ("run", "first", "-p", "names=a,z"): "parameter names='a,z' is refused",
    ("run", "first", "-p", "loud=perhaps"): "valid boolean",
    ("run", "first", "-p", "size"): "must read NAME=VALUE",
    ("run", "first", "--profile", "slow"): "unknown profile 'slow'",
    ("run",): "name the sections or say --all",
    ("run", "first", "--jobs", "0"): "--jobs",
    ("sweep", "first"): "at least one -g",
    ("sweep", "first", "-g", "size=1,x"): "size='x' is refused",
    ("page", "first", "-p", "size=77"): "has no run with these values",
    ("publish", "first"): "no current full run to publish",
    ("frobnicate",): "No such command",
}


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistake_is_one_line_and_changes_nothing(project, words):
    before = project.snapshot()
    result = project.genlab(*words)
    assert result.returncode != 0 and MISTAKES[words] in one_line(result.stderr)
    assert len([ln for ln in result.stderr.splitlines() if ln.strip()]) == 1
    assert project.snapshot() == before


def test_sweep_makes_one_table(project):
    result = project.genlab(
        "sweep", "first", "-g", "size=2,4", "-g", "scale=1.0,3.0", "--seeds", "2"
    )
    assert result.returncode == 0, result.stderr
    lines = (project.root / "runs/sweeps/first-1.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 2 * 2 and lines[0].startswith(
        "size,scale,seed,state,key,seconds,double"
    )
    assert sorted({float(line.split(",")[6]) for line in lines[1:]}) == [2.0, 4.0, 6.0, 12.0]
    assert "8 runs" in result.stdout and "2/2" in result.stdout


def test_clean_keeps_current_and_published_runs(project):
    project.genlab("run", "first", "-p", "size=9")
    extra = [
        p
        for p in (project.root / "runs/first").iterdir()
        if '"size": 9' in (p / "record.json").read_text()
    ]
    assert len(extra) == 1
    assert str(extra[0].name) in project.genlab("clean", "--dry-run").stdout and extra[0].exists()
    assert project.genlab("clean").returncode == 0
    assert not extra[0].exists() and len(list((project.root / "runs/first").iterdir())) == 1


def test_threads_are_those_asked_for(project, monkeypatch):
    monkeypatch.delenv("GENLAB_THREADS", raising=False)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    one = process.environment(project.root, {}, "cpu")
    assert one["OMP_NUM_THREADS"] == "1" and "multi_thread_eigen=false" in one["XLA_FLAGS"]
    monkeypatch.setenv("GENLAB_THREADS", "3")
    three = process.environment(project.root, {}, "cpu")
    assert three["OMP_NUM_THREADS"] == three["NPROC"] == "3" and "XLA_FLAGS" not in three
    for given in ("0", "two", "-1"):
        monkeypatch.setenv("GENLAB_THREADS", given)
        with pytest.raises(UserError, match=f"GENLAB_THREADS='{given}' must be a whole number"):
            process.threads()


def test_bad_threads_are_one_line_and_change_nothing(project, monkeypatch):
    monkeypatch.setitem(project.env, "GENLAB_THREADS", "many")
    before = project.snapshot()
    result = project.genlab("run", "first", "-p", "size=7")
    assert result.returncode != 0 and "GENLAB_THREADS='many'" in one_line(result.stderr)
    assert "Traceback" not in result.stderr and project.snapshot() == before
