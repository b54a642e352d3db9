"""Sweeps: one table of all points, and a line plot for each numeric parameter."""

import csv
from types import SimpleNamespace

import pytest
from pipeline import Project

from genlab.pipeline import html
from genlab.pipeline.views import sweep
from genlab.section.paths import UserError


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_sweep_draws_a_line_plot_per_numeric_parameter(project):
    result = project.genlab(
        "sweep", "first", "-g", "scale=1,2,4", "-g", "loud=true,false", "--seeds", "2", timeout=300
    )
    assert result.returncode == 0, result.stderr
    page = (project.root / "_build/sweeps/first-1.html").read_text()
    assert "<h2>scale</h2>" in page and "<h2>loud</h2>" not in page and "Student" in page


def job(state="done", metrics=(), **params):
    record = {"seconds": 1.5, "metrics": {name: {"value": v} for name, v in metrics}}
    run = SimpleNamespace(record=record) if state == "done" else None
    return SimpleNamespace(params=params, state=state, key="k" if run else "", run=run)


def test_a_table_of_lists_failures_and_names_that_are_there_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "RUNS", tmp_path)
    jobs = [
        job(metrics=[("size", 0.5), ("é", 1)], names=["a", "b"], size=2, seed=0),
        job(metrics=[("size", 0.7), ("é", True)], names=["a", "b"], size=2, seed=1),
        job("failed", names=["c"], size=2, seed=0),
    ]
    rows = sweep.table(jobs, ["names", "size", "seed"])
    path, number = sweep.write("first", rows)
    with path.open(encoding="utf-8", newline="") as file:
        first, second, third = csv.DictReader(file)
    assert number == 1 and list(first) == [
        *("names", "size", "seed", "state", "key", "seconds", "size (metric)", "é")
    ]
    assert (first["names"], first["size"], first["size (metric)"]) == ("a,b", "2", "0.5")
    assert (second["é"], third["state"], third["é"]) == ("True", "failed", "")
    shown = sweep.shown(rows, ["names", "size", "seed"])
    assert shown.row_count == 2 and sweep.write("first", rows)[1] == 2


def test_the_page_of_a_sweep_that_failed_or_varies_the_seed_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(html, "BUILD", tmp_path)
    jobs = [job("failed", seed=5, size=10**400), job("failed", seed=6, size=10**400)]
    for names in (["seed"], ["size", "seed"]):
        rows = sweep.table(jobs, names)
        assert sweep.shown(rows, names).row_count == 1
        page = sweep.report("first", rows, jobs, names, 1).read_text("utf-8")
        assert "failed" in page and f"sweep over {names[0]}" in page


def test_formulas_in_names_and_values_are_drawn_as_text():
    jobs = [
        job(metrics=[("m$", float(x)), ("n$_{", x**2)], x=x, mode=mode, seed=0)
        for x in (1, 2)
        for mode in ("$x_{", "b")
    ]
    rows = sweep.table(jobs, ["x", "mode", "seed"])
    assert sweep.line_plot(rows, "x", ["mode"]).startswith(b"\x89PNG")


def test_a_disk_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "sweeps").write_text("in the way")
    monkeypatch.setattr(sweep, "RUNS", tmp_path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "sweeps")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(UserError, match="cannot write the table of the sweep"):
        sweep.write("first", sweep.table([job(seed=0)], ["seed"]))
