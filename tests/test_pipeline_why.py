"""Why a result is stale: the cell, the definition and the way to it, the parameter, the package."""

import shutil

import pytest
from pipeline import Project, prepared, run_all

from genlab.pipeline.runs import why
from genlab.section.paths import ROOT


@pytest.fixture
def ran(tmp_path_factory):
    """A project whose two sections have been run once."""
    return prepared(tmp_path_factory, "ran", run_all)


@pytest.mark.slow
def test_why_names_the_cell_the_parameter_and_the_package(ran):
    assert "first (quick) is current" in ran.genlab("why", "first").stdout
    ran.edit("notebooks/first.md", "scale * size", "size * scale")
    assert "first.md: cell 2 changed: `import os`" in ran.genlab("why", "first").stdout
    reach = ran.genlab("why", "second").stdout
    assert "needs: first (quick) is stale: since run" in reach and "cell 2 changed" in reach
    ran.edit("notebooks/first.md", "size * scale", "scale * size")
    assert "params: scale 2.0 -> 3.0" in ran.genlab("why", "first", "-p", "scale=3.0").stdout
    ran.edit("requirements.lock", "2.4.6", "2.4.7")
    assert "lock: numpy 2.4.6 -> 2.4.7" in ran.genlab("why", "first").stdout
    refused = ran.genlab("run", "first")
    assert refused.returncode == 2 and "numpy 2.4.6 installed, 2.4.7 pinned" in refused.stderr
    ran.edit("requirements.lock", "2.4.7", "2.4.6")
    ran.edit("notebooks/first.md", "It uses", "It really uses")
    assert "is current" in ran.genlab("why", "first").stdout


@pytest.mark.slow
def test_why_tells_the_way_to_the_definition(tmp_path):
    project = Project(tmp_path)
    cell = "from genlab import section"
    project.edit(
        "notebooks/first.md",
        f"{cell}\n",
        f"{cell}\nfrom genlab.toys import energy\n\nsampler = energy.negative_sampler\n",
    )
    clone = project.root / "src"
    shutil.copytree(ROOT / "src", clone, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    project.env["PYTHONPATH"] = str(clone)
    assert project.genlab("run", "first").returncode == 0
    file = clone / "genlab/toys/langevin.py"
    whole = file.read_text()
    file.write_text(whole + "\n# changed\n")
    assert "is current" in project.genlab("why", "first").stdout
    assert whole.count("< log_ratio") == 1
    file.write_text(whole.replace("< log_ratio", "<= log_ratio"))
    said = project.genlab("why", "first").stdout
    assert "toys/langevin.py: mala changed (first cell 2 > negative_sampler > mala)" in said
    assert said.count("changed") == 1


def test_what_differs_fits_one_line():
    old = {"code": "a", "params": {"size": 1, "seed": 0}, "lock": {"numpy": "1"}, "threads": 1}
    new = {"code": "b", "params": {"size": 2, "seed": 0}, "lock": {"numpy": "1"}, "threads": 1}
    assert why.changes(old, new) == ["code", "params: size"] and why.changes(old, old) == []
