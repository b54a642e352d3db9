"""The notebook of a page: what its run says is text, what its run holds is shown and not obeyed."""

import json
import re
from dataclasses import replace

import nbformat

from genlab.pipeline.execution.drawing import NUMBERS
from genlab.pipeline.runs.pages import computes, get_section, section_names
from genlab.pipeline.runs.parameters import parse_parameters
from genlab.pipeline.runs.store import published
from genlab.pipeline.views.foreign import as_text
from genlab.pipeline.views.notebook import (
    _lead_first,
    _set_parameters,
    _tabulated,
    _with_numbers,
    _with_outputs,
    page_notebook,
)  # fmt: skip
from genlab.section.number import METRIC_MIME


def test_a_picture_is_shown_without_the_text_of_the_last_value():
    text = nbformat.v4.new_output(
        "execute_result", {"text/plain": "<matplotlib.legend.Legend at 0x7f>"}, execution_count=1
    )
    picture = nbformat.v4.new_output("display_data", {"image/png": "iVBOR"})
    metric = nbformat.v4.new_output(
        "execute_result", {"text/plain": "3", METRIC_MIME: {}}, execution_count=1
    )
    cell = nbformat.v4.new_code_cell("ax.legend()")
    for outputs, kept in (
        ([text, picture], [picture]),
        ([text], [text]),
        ([metric, picture], [metric, picture]),
    ):
        executed = nbformat.v4.new_code_cell("ax.legend()", outputs=outputs, execution_count=1)
        assert _with_outputs(cell, executed).outputs == kept


def test_a_cell_that_only_shows_source_or_imports_comes_and_goes_without_a_run():
    """Figures stay with the cells that drew them; the twin, any other cell, would take a figure."""
    section = next(
        s
        for s in map(get_section, section_names())
        if any(c.cell_type == "code" and not computes(c) for c in s.notebook.cells)
    )
    run, cells = published(section.name), section.notebook.cells
    shows = next(c for c in cells if c.cell_type == "code" and not computes(c))
    imports = nbformat.v4.new_code_cell("# more\nimport numpy as np")

    def drawn(shown: list) -> list:
        notebook = nbformat.from_dict({**section.notebook, "cells": shown})
        page = page_notebook(replace(section, notebook=notebook), run)
        return [
            cell.source
            for cell in page.cells
            if any("image/png" in o.get("data", {}) for o in cell.get("outputs", []))
        ]

    usual = drawn(cells)
    assert usual and drawn([c for c in cells if c is not shows]) == usual
    again = nbformat.from_dict({**shows, "id": "another"})
    assert drawn([*cells[:2], again, imports, *cells[2:]]) == usual
    other = nbformat.v4.new_code_cell("section.metric('x', 1)")
    last = [c for c in cells if computes(c)][-1]
    assert drawn([*cells[:2], other, *(c for c in cells[2:] if c is not last)]) != usual


def test_a_stale_page_obeys_nothing_of_its_run(tmp_path):
    """A notebook from elsewhere: its directive becomes text, its script goes."""
    name = section_names()[0]
    section, run = get_section(name), published(name)
    notebook = nbformat.read(run.notebook, as_version=4)
    bad = "```{include} /etc/passwd\n```"
    notebook.cells.append(nbformat.v4.new_markdown_cell(bad))
    code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    code.outputs = [nbformat.v4.new_output("display_data", {"application/javascript": "x()"})]
    nbformat.write(notebook, tmp_path / "notebook.ipynb")
    stale = type(run)(tmp_path / "notebook.ipynb", run.record_file, run.arrays_file)
    vars(stale)["record"] = run.record  # the record itself would have noticed
    shown = page_notebook(section, stale, stale=["code"])
    texts = [cell.source for cell in shown.cells]
    assert as_text(bad) in texts and bad not in texts and "Stale results" in texts[0]
    assert "x()" not in nbformat.writes(shown)


def test_a_stale_page_shows_every_named_figure_once():
    """Under one name a page may show one thing: not a figure and the text of its cell's value."""
    for name in section_names():
        shown = page_notebook(get_section(name), published(name), stale=["code"])
        figures = [c for c in shown.cells if "figure" in c.metadata.get("mystnb", {})]
        labels = [cell.metadata["mystnb"]["figure"]["name"] for cell in figures]
        assert labels and len(set(labels)) == len(labels), name
        for cell in figures:
            kinds = [set(o.get("data", {})) for o in cell.outputs]
            things = sum(bool(k & {"image/png", "text/html"}) for k in kinds)  # a film is HTML
            assert things == 1 and {"text/plain"} not in kinds, name


def cell(source, *tags, **metadata):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)} | metadata)


def test_the_answer_comes_first_and_parameters_are_a_table():
    """The figure that is tagged as the lead follows the first text, whatever drew it when."""
    text, lead = nbformat.v4.new_markdown_cell, cell("draw()", "lead")
    cells = [text("# A"), cell("a = 1", "parameters"), text("b"), lead, cell("c")]
    assert [c.source for c in _lead_first(cells)] == ["# A", "draw()", "a = 1", "b", "c"]
    section = get_section("dsm")
    values = section.values("quick", {})
    made = _tabulated(cells, section, values)
    assert [c.source for c in made[2:]] == ["a = 1", "b", "draw()", "c"]
    rows = [line for line in made[1].source.splitlines() if line.startswith("| `")]
    assert len(rows) == len(section.parameters)
    sigma = next(row for row in rows if row.startswith("| `sigma`: noise level"))
    assert sigma.endswith(f"[data units] | {values['sigma']} |")


def test_the_cell_that_declares_parameters_shows_the_values_of_the_run():
    """The values that were given, with the comments that were there; the twin, the file's own
    cell, would show the published ones."""
    section = get_section("dsm")
    declared = next(c for c in section.notebook.cells if c.cell_type == "code")
    for profile, given in (("quick", {"sigma": 0.3, "hidden": [8]}), ("full", {})):
        values = section.values(profile, given)
        cells = [nbformat.from_dict(declared)]
        _set_parameters(cells, section, values)
        shown = parse_parameters(cells[0].source, "shown")
        assert {p.name: p.default for p in shown} == values
        assert [p.meaning for p in shown] == [p.meaning for p in section.parameters]
        assert (cells[0].source == declared.source) == (profile == "full")
    cells = [cell("a = [1,\n  2]  # é\nb = 'é'; # x", "parameters")]
    several = [
        replace(section.parameters[0], name=n, default=v) for n, v in (("a", [1, 2]), ("b", "é"))
    ]
    _set_parameters(cells, replace(section, parameters=several), {"a": [3], "b": "z"})
    assert cells[0].source == "a = [3]  # é\nb = 'z'; # x"


def test_the_numbers_behind_a_figure_follow_it_as_data():
    """They are no output that Sphinx would have to know, and no HTML that they could end."""
    data = {"image/png": "iVBOR", NUMBERS: [{"title": "</script>"}]}
    drawn = cell("plot()")
    drawn.outputs = [nbformat.v4.new_output("display_data", data)]
    figure, numbers = _with_numbers([drawn])
    assert set(figure.outputs[0].data) == {"image/png"}
    inside = re.fullmatch(r"<script [^>]*>(.*)</script>", numbers.source)[1]
    assert json.loads(inside) == data[NUMBERS] and "<" not in inside
