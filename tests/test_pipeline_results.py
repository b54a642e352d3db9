"""What an execution left: only a complete notebook is believed, and of a worker nothing that is not
checked."""

import io

import nbformat
import numpy as np
import pytest

from genlab.pipeline.execution import results
from genlab.pipeline.execution.results import METRIC, RunFailed


def cell(source="x = 1", number=1, outputs=(), **metadata):
    return nbformat.v4.new_code_cell(
        source, execution_count=number, outputs=list(outputs), metadata=metadata
    )


def metric(name, **about):
    return nbformat.v4.new_output(
        "display_data", data={METRIC: about}, metadata={"scrapbook": {"name": name}}
    )


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


def packed(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


EXECUTED = notebook(
    cell("seed = 0", tags=["parameters"]),
    cell("seed = 3", None, tags=["injected-parameters"]),
    cell("measure()", 2, [metric("double", value=2.0, limit=None, unit="")]),
)
EXPECTED = notebook(cell("seed = 0", None), cell("measure()", None))
GOOD = {
    "notebook": nbformat.writes(EXECUTED).encode(),
    "arrays": packed(x=np.arange(3)),
    "outcome": {"seconds": 1.0, "peak_memory_mib": 9, "cell_seconds": [0.5, 0.5]},
    "versions": {"python": "3.11.2"},
}


def test_a_complete_result_is_taken():
    assert results.received(GOOD, EXPECTED) == {"double": {"value": 2.0}}
    assert results.received(GOOD | {"arrays": None}, EXPECTED)


def changed(**outcome):
    return GOOD | {"outcome": GOOD["outcome"] | outcome}


def executed(*cells):
    return GOOD | {"notebook": nbformat.writes(notebook(*cells)).encode()}


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "no notebook"),
        ([1, 2], "no notebook"),
        ({}, "no notebook"),
        (GOOD | {"notebook": "text"}, "no notebook"),
        (GOOD | {"notebook": GOOD["notebook"][:99]}, "cannot be read"),
        (GOOD | {"notebook": b"\xff\xfe"}, "cannot be read"),
        (GOOD | {"notebook": b'{"cells": 1, "nbformat": 4}'}, "cannot be read"),
        (executed(cell("seed = 0")), "the cells of another notebook"),
        (executed(cell("seed = 0"), cell("steal()")), "the cells of another notebook"),
        (executed(cell("seed = 0"), cell("measure()", None)), "1 of 2 code cells never ran"),
        (
            executed(cell("seed = 0"), cell("measure()", 2, [metric("a", value=float("nan"))])),
            "metric 'a'",
        ),
        (
            executed(
                cell("seed = 0"), cell("measure()", 2, [metric("a", value=1, limit=float("inf"))])
            ),
            "metric 'a'",
        ),
        (executed(cell("seed = 0"), cell("measure()", 2, [metric("a", value="x")])), "metric 'a'"),
        (GOOD | {"arrays": b"PK not a zip"}, "arrays: "),
        (GOOD | {"arrays": GOOD["arrays"][:50]}, "arrays: "),
        (GOOD | {"arrays": packed(x=np.array([{}], object))}, "arrays: ValueError"),
        (GOOD | {"arrays": 7}, "arrays: "),
        (changed(seconds="soon"), "times that are no numbers"),
        (changed(seconds=float("nan")), "times that are no numbers"),
        (changed(cell_seconds=None), "times that are no numbers"),
        (GOOD | {"outcome": None}, "no times"),
        (GOOD | {"versions": "3.11"}, "no times or versions"),
    ],
)
def test_what_is_no_result_is_refused_in_one_line(result, words):
    with pytest.raises(RunFailed) as error:
        results.received(result, EXPECTED)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_an_error_names_its_cell():
    raised = nbformat.v4.new_output("error", ename="ValueError", evalue="no\nmore", traceback=[])
    with pytest.raises(RunFailed, match=r"code cell 2 \(`f\(\)`\) raised ValueError: no$"):
        results.check_errors([cell(), cell("\nf()", 2, [raised])])


def test_a_figure_that_was_announced_must_be_drawn():
    figure = nbformat.v4.new_output("display_data", data={"image/png": "AA"})
    announced = {"mystnb": {"image": {"alt": "a line"}}}
    results.check_complete([cell(outputs=[figure], **announced)])
    with pytest.raises(RunFailed, match="code cell 1 announces a figure and drew none"):
        results.check_complete([cell(**announced)])


def test_no_cell_shows_more_than_can_be_stored(monkeypatch):
    monkeypatch.setattr(results, "SHOWN", 1000)
    huge = nbformat.v4.new_output("display_data", data={"text/html": "x" * 1001})
    with pytest.raises(RunFailed, match="shows text/html of 1,001 characters, at most 1,000"):
        results.check_complete([cell(outputs=[huge])])


def test_what_was_printed_is_cut_and_said(tmp_path):
    file = tmp_path / "notebook.ipynb"
    long = nbformat.v4.new_output("stream", text="x" * (results.PRINTED + 1234))
    short = nbformat.v4.new_output("stream", text="short")
    nbformat.write(notebook(cell(outputs=[long, short])), file)
    results.shorten(file)
    cut, same = nbformat.read(file, as_version=4).cells[0].outputs
    assert cut.text.endswith("[1,234 more characters were not stored]\n")
    assert len(cut.text) < results.PRINTED + 60 and same.text == "short"
