"""What readers take away is what the run and the section are: nothing is lost on the way."""

import ast
import csv
import json

import jupytext
import numpy as np
import pytest

from genlab.pipeline.execution.drawing import NUMBERS
from genlab.pipeline.runs.pages import get_section, section_names
from genlab.pipeline.runs.store import published
from genlab.pipeline.views.downloads import COLUMNS, downloads, figures, numbers, script


@pytest.fixture(scope="module")
def files():
    return downloads(get_section("dsm"), published("dsm"))


def test_files_are_those_of_the_run(files):
    run = published("dsm")
    assert files["dsm.ipynb"] == run.notebook.read_bytes()
    assert files["dsm.json"] == run.record_file.read_bytes()
    assert files["dsm.npz"] == run.arrays.read_bytes()
    assert files["dsm.md"] == get_section("dsm").path.read_bytes()
    assert files == downloads(get_section("dsm"), run)  # an unchanged book is not built again
    bare = next(name for name in section_names() if published(name).arrays is None)
    assert f"{bare}.npz" not in downloads(get_section(bare), published(bare))


@pytest.mark.parametrize("name", section_names())
def test_the_script_is_python_with_every_cell(name):
    section = get_section(name)
    text = script(section)
    ast.parse(text)
    back = jupytext.reads(text, fmt="py:percent")
    kinds = [(c.cell_type, c.source) for c in section.notebook.cells]
    assert [(c.cell_type, c.source) for c in back.cells] == kinds


def test_every_number_has_its_line_with_what_stands_beside_it():
    record = {
        "metrics": {
            "a/w2": {"value": 0.1 + 0.2, "sd": 0.5, "n": 3, "unit": "nats, or so", "limit": 0},
            "b": {"value": 2, "values": [1, 3], "null_mean": 1.5},
        }
    }
    rows = list(csv.DictReader(numbers({"x": record, "y": record}).splitlines()))
    assert [(r["page"], r["name"]) for r in rows] == [(p, n) for p in "xy" for n in ("a/w2", "b")]
    assert float(rows[0]["value"]) == 0.1 + 0.2 and rows[0]["unit"] == "nats, or so"
    assert rows[0]["limit"] == "0" and rows[1]["limit"] == "" and rows[1]["null_mean"] == "1.5"
    assert list(rows[0]) == ["page", "name", *COLUMNS]


def test_published_numbers_are_the_records(files):
    metrics = published("dsm").record["metrics"]
    rows = list(csv.DictReader(files["dsm.numbers.csv"].decode().splitlines()))
    assert [r["name"] for r in rows] == list(metrics)
    assert [float(r["value"]) for r in rows] == [m["value"] for m in metrics.values()]
    assert np.isfinite([float(r["se"]) for r in rows if r["se"]]).all()


def test_points_of_figures_are_a_line_each():
    """Of a run that kept them; of one that did not there is nothing."""
    panel = {"title": "left", "series": [{"label": "a, b", "x": [1, 2], "y": [3.5, None]}]}
    output = {"output_type": "display_data", "data": {NUMBERS: [panel]}, "metadata": {}}
    cell = {"cell_type": "code", "source": "", "outputs": [output], "execution_count": 1}
    cell |= {"metadata": {"mystnb": {"figure": {"name": "fig-x"}}}, "id": "a"}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    rows = list(csv.reader(figures(json.dumps(notebook).encode()).splitlines()))
    assert rows == [
        ["figure", "panel", "series", "x", "y"],
        ["fig-x", "left", "a, b", "1", "3.5"],
        ["fig-x", "left", "a, b", "2", ""],
    ]
    output["data"] = {"text/plain": "x"}
    assert figures(json.dumps(notebook).encode()) == ""
