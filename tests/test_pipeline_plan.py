"""What is run: what is up to date is reused, each section comes after what it needs, and the record
holds what was planned."""

import contextlib
import io
import json
import time
from types import SimpleNamespace

import pytest
from pipeline import Project, one_line, prepared, run_all
from rich.console import Console

from genlab.pipeline.execution import plan
from genlab.pipeline.runs import store


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return prepared(tmp_path_factory, "ran", run_all)


@pytest.mark.slow
def test_the_record_holds_what_the_plan_says(project):
    record = json.loads(next((project.root / "runs/first").glob("*/record.json")).read_text())
    assert {"section", "profile", "params", "seed", "key", "key_parts", "device", "seconds",
            "peak_memory_mib", "started", "definitions", "cells", "commit", "dirty", "versions",
            "metrics",
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
    assert record["definitions"] and len(record["cells"]) == 3  # all but the parameters
    assert record["key_parts"]["threads"] == 1
    first, second = (
        store.at(next((project.root / "runs" / name).glob("*/record.json")).parent)
        for name in ("first", "second")
    )
    assert second.record["metrics"]["total"]["value"] == 6.0
    assert second.record["key_parts"]["needs"] == {"first": store.content(first)}


@pytest.mark.slow
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


def test_what_a_run_took_is_told_without_its_wait_for_a_core(monkeypatch):
    def execute(job, runner, stop, display):
        time.sleep(1.1)  # until its turn comes
        return SimpleNamespace(record={"seconds": 75.4})

    monkeypatch.setattr(plan, "locked", lambda name: contextlib.nullcontext())
    monkeypatch.setattr(plan, "_execute", execute)
    said, job = io.StringIO(), plan.Job("first", "quick", {}, {}, force=True)
    plan._run_one(job, None, None, None)
    plan._Display(Console(file=said, width=100), 2).finished(job)
    assert job.state == "done" and said.getvalue() == "[1/2] first: done in 1:15\n"


@pytest.fixture
def fresh(tmp_path):
    """A project without runs."""
    return Project(tmp_path)


@pytest.mark.slow
def test_a_needed_run_follows_the_seed(fresh):
    assert fresh.genlab("run", "second", "--seed", "3").returncode == 0
    records = [json.loads(f.read_text()) for f in (fresh.root / "runs").glob("*/*/record.json")]
    assert {r["section"]: r["seed"] for r in records} == {"first": 3, "second": 3}


@pytest.mark.slow
def test_a_file_given_as_a_parameter_counts_by_what_is_in_it(fresh):
    fresh.edit(
        "notebooks/first.md", "# a switch", '# a switch\npicture = "none"  # a file {none | file}'
    )
    path = fresh.root / "mine.txt"
    missing = fresh.genlab("run", "first", "-p", f"picture={path}")
    assert (
        missing.returncode == 2
        and "is refused: there is no such file (a file; str, none | file)" in missing.stderr
    )
    for text, state in (("one", "done"), ("one", "reused"), ("two", "done")):
        path.write_text(text)
        assert state in fresh.genlab("run", "first", "-p", f"picture={path}").stdout
    assert "done" in fresh.genlab("run", "first").stdout  # by its name, without a file


@pytest.mark.slow
def test_a_failed_need_skips_its_dependents_and_keeps_the_rest(fresh):
    fresh.edit("notebooks/first.md", 'mode = "plain"', 'mode = "fail"')
    result = fresh.genlab("run", "--all")
    assert result.returncode == 1 and fresh.processes() == []
    assert "second skipped: needs first, which failed" in one_line(result.stderr)
    assert fresh.snapshot() == {}


@pytest.mark.slow
def test_the_same_run_twice_at_once_is_made_once(fresh):
    both = [fresh.start("run", "first") for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("up to date" in err for err in errors) == [False, True]
    assert len([name for name in fresh.snapshot() if name.endswith("record.json")]) == 1


def test_a_job_has_its_key_when_what_it_needs_has_run():
    """Of the real book: nothing is executed."""
    jobs = plan.plan(["toy_comparison"], {}, "quick")
    assert [job.key for job in jobs] == [""] * len(jobs) and len(jobs) > 1
    *first, last = jobs
    assert last.section == "toy_comparison" and {j.section for j in last.needs} <= {
        j.section for j in first
    }
    assert "needs" not in last.parts
    first[0].identify()
    assert first[0].key == store.key_of(first[0].parts) and first[0].parts["needs"] == {}


def test_the_longest_chain_begins_first(monkeypatch):
    seconds = {"a": 1.0, "b": 5.0, "c": 10.0, "d": 2.0, "e": 7.0}
    monkeypatch.setattr(plan, "expected_seconds", lambda section, profile: seconds[section])
    jobs = [plan.Job(name, "quick", {}, {}) for name in seconds]
    a, b, c, d, _ = jobs
    c.needs, d.needs = [a], [a, b]  # a > c, a and b > d
    assert [job.section for job in plan.longest_first(jobs)] == ["a", "c", "b", "e", "d"]
    assert [job.path for job in jobs] == [11.0, 7.0, 10.0, 2.0, 7.0]


def test_what_a_section_is_expected_to_take(monkeypatch):
    def run(profile, took):
        return SimpleNamespace(record={"profile": profile, "seconds": took}, sound=True)

    of = "first", "quick"
    monkeypatch.setattr(store, "stored", lambda name: iter([run("full", 90.0), run("quick", 4.0)]))
    monkeypatch.setattr(store, "published", lambda name: run("full", 600.0))
    assert plan.expected_seconds(*of) == plan.last_seconds(*of) == 4.0
    monkeypatch.setattr(store, "stored", lambda name: iter([]))
    assert plan.expected_seconds(*of) == 10.0 and plan.last_seconds(*of) is None
    torn = SimpleNamespace(sound=False)  # which the run is to make anew
    monkeypatch.setattr(store, "published", lambda name: torn)
    assert plan.expected_seconds(*of) == 0.0
    monkeypatch.setattr(store, "published", lambda name: None)
    assert plan.expected_seconds(*of) == 0.0
