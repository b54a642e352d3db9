"""Sweeps: one table of all points, and a line plot for each numeric parameter."""

import pytest
from pipeline import Project


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
