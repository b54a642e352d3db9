"""The scoreboard: every number from a record, with its error, and the best of a column in bold."""

import pytest

from genlab.pipeline.runs.pages import section_names
from genlab.pipeline.verdicts import accepted
from genlab.pipeline.views.scoreboard import Board, read, scoreboard
from genlab.section.paths import ROOT, UserError

RECORDS = {
    "p": {
        "key": "k",
        "metrics": {
            "a/x": {"value": 2.0, "se": 0.0123},
            "a/y": {"value": -10.5},
            "b/x": {"value": 1.9, "se": 0.2},
            "b/y": {"value": -11.25},
        },
    }
}
BOARD = {
    "title": "Two models",
    "about": "Two numbers.",
    "better": {"first": "lower", "second": "higher"},
    "columns": {"first": "x", "second": "y"},
    "rows": [
        {"model": "A", "number": "{p:a/[column]}"},
        {"model": "B|", "number": "{p:b/[column]}"},
    ],
    "reference": [{"model": "published", "number": {"second": "-9.50"}, "cite": "somebody2000"}],
}


def table(**changes):
    return scoreboard(RECORDS, [Board.model_validate(BOARD | changes)]).splitlines()


def test_values_have_their_errors_and_the_best_is_bold():
    lines = table()
    assert "| A | 2.000 ± 0.012 | **-10.50** | {doc}`p </notebooks/p>` |" in lines
    assert r"| B\| | **1.90** ± 0.20 | -11.25 | {doc}`p </notebooks/p>` |" in lines
    assert "| *published {cite:p}`somebody2000`* |  | -9.50 |  |" in lines  # as it was published


def test_a_page_that_is_not_shown_leaves_a_gap():
    lines = table(rows=[{"model": "C", "number": "{q:a/[column]}"}, *BOARD["rows"]])
    assert "| C |  |  | {doc}`q </notebooks/q>` |" in lines and any(
        "**1.90**" in ln for ln in lines
    )


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ({"third": "1"}, "no column 'third'"),
        ("{p:c/[column]}", "recorded no such number"),
        ("{p:a/x} < 2", "no single number"),
        ("{p:a/x", "neither|cannot be read"),
    ],
)
def test_what_is_no_number_is_refused_in_words(number, said):
    with pytest.raises(UserError, match=said):
        table(rows=[{"model": "A", "number": number}])


def test_a_file_that_is_wrong_is_refused_in_words(tmp_path):
    file = tmp_path / "scoreboard.yaml"
    for text, said in (("- title: x", "columns|about"), ("[", "cannot be read")):
        file.write_text(text)
        with pytest.raises(UserError, match=rf"scoreboard\.yaml.*({said})"):
            read(file)
    assert read(tmp_path / "none.yaml") == []


def test_every_number_of_the_books_scoreboard_is_recorded():
    records, _ = accepted.published()
    said = scoreboard(records)
    assert said.count("## ") == len(read()) and "**" in said
    gaps = [line for line in said.splitlines() if line.startswith("| ") and "|  |" in line]
    assert not [line for line in gaps if "{doc}" in line and set(records) == set(section_names())]
    keys = (ROOT / "book" / "references.bib").read_text("utf-8")
    assert all(row.cite in keys for board in read() for row in board.reference)
