"""Claims in the book and on the terminal: verdicts of published runs, a note for quick ones, and a
verdict that turns stops until it is accepted."""

import csv
import json

import pytest
from pipeline import Project, edit_record, one_line

from genlab.pipeline.verdicts.claims import read, verdicts
from genlab.pipeline.verdicts.shown import NOT_JUDGED, Judged
from genlab.section.paths import UserError

CLAIMS = """
sources:
  A: {title: A report}
claims:
- {id: A01, source: A, where: p. 1, claim: Five numbers double to ten & more <b>., kind: number,
   page: first, holds_if: ["{first:double} >= 10"]}
- {id: A02, source: A, where: p. 2, claim: Ten is too much., kind: comparison, page: first,
   each: {limit: [5, 10, 20]}, holds_if: ["{first:double} > [limit]"], why: Three limits.}
- {id: A03, source: A, where: p. 3, claim: Faces are drawn well., kind: comparison, page: second,
   untestable: There are no faces here., instead: A01}
- {id: A04, source: A, where: p. 4, claim: Nobody knows., kind: cause, page: second,
   open: A third page.}
"""
RECORDS = {"first": {"key": "0123456789abcdef", "metrics": {"double": {"value": 10.0}}}}


@pytest.fixture
def judged(tmp_path):
    (tmp_path / "claims.yaml").write_text(CLAIMS)
    found = read(tmp_path / "claims.yaml")
    return Judged(found, verdicts(found, RECORDS), {})


def test_prose_quotes_a_verdict_with_a_link_to_its_line(judged):
    said = judged.filled("Source A: {glue:text}`claim/A01`.", "first")
    assert said.startswith("Source A: <a href=") and "#A01" in said and ">holds<" in said
    assert "id='A01'" in judged.ledger()


def test_prose_that_quotes_no_claim_is_refused(judged):
    with pytest.raises(UserError, match="first quotes claim A99"):
        judged.filled("{glue:text}`claim/A99`", "first")


def test_a_page_shows_its_own_claims(judged):
    said = judged.filled("Before\n\n<!-- genlab:claims -->\n\nafter", "first")
    assert "A01" in said and "A02" in said and "A03" not in said and "after" in said
    assert "1 of 3 cases" in said and "in part" in said
    # one comparison: its margin is what is seen, its rule and why are folded
    assert "<summary>+0</summary>" in said and "1 of 1 cases" not in said
    folded = said.split("<summary>1 of 3 cases</summary>")[1]
    assert "Three limits." in folded.split("</details>")[0]


def test_what_a_claim_says_is_text_and_not_html(judged):
    assert "&lt;b&gt;" in judged.ledger() and "<b>." not in judged.ledger()


def test_claims_without_a_verdict_say_why(judged):
    table = judged.ledger()
    assert "There are no faces here. In its place: A01." in table and "A third page." in table


def test_without_results_nothing_is_judged(judged):
    quick = Judged(judged.found)
    assert quick.filled("{glue:text}`claim/A01`", "first") == NOT_JUDGED
    for said in (quick.of_page("first"), quick.ledger()):
        assert NOT_JUDGED in said.replace("Not", "not") and "holds" not in said
    assert quick.summary() == "" and len(quick.csv().splitlines()) == 1


def test_a_verdict_that_was_another_says_so(judged):
    before = {"A01": {"verdict": "does not hold"}, "A02": {"verdict": "in part", "was": "holds"}}
    table = Judged(judged.found, judged.verdicts, before).ledger()
    assert "was: does not hold" in table and "was: holds" in table


def test_the_summary_counts_every_claim_once(judged):
    total = judged.summary().splitlines()[-1]
    assert [cell.strip() for cell in total.strip("|").split("|")] == [
        "all", "1", "1", "0", "0", "1", "1", "4"
    ]  # fmt: skip


def test_the_csv_has_a_line_a_case(judged):
    rows = list(csv.DictReader(judged.csv().splitlines()))
    assert [row["claim"] for row in rows] == ["A01", "A02", "A02", "A02", "A03", "A04"]
    assert [row["met"] for row in rows[1:4]] == ["yes", "no", "no"] and rows[0]["effect"] == "0.0"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("claims"))
    (project.root / "book/claims.yaml").write_text(CLAIMS)
    project.edit("book/intro.md", "Two pages", "A01 {glue:text}`claim/A01`. Two pages")
    project.edit("book/ledger.md", "# Ledger", "# Ledger\n\n<!-- genlab:claims-ledger -->")
    project.edit("notebooks/first.md", "It uses", "<!-- genlab:claims -->\n\nIt uses")
    assert project.genlab("run", "--all", "--profile", "full").returncode == 0
    assert project.genlab("publish", "--all").returncode == 0
    return project


@pytest.mark.slow
def test_the_book_shows_verdicts_of_full_runs(project):
    result = project.genlab("build")
    assert result.returncode == 0, result.stderr
    html = project.root / "_build/html"
    intro = (html / "book/intro.html").read_text()
    assert "genlab-holds" in intro and "claims.html#A01" in intro
    assert "1 of 3 cases" in (html / "notebooks/first.html").read_text()
    assert "A04" in (html / "book/ledger.html").read_text()


@pytest.mark.slow
def test_a_quick_book_judges_nothing(project):
    assert project.genlab("run", "--all", "--profile", "quick").returncode == 0
    result = project.genlab("build", "--profile", "quick")
    assert result.returncode == 0, result.stderr
    html = project.root / "_build/html"
    for page in ("book/intro", "notebooks/first", "book/ledger"):
        text = (html / f"{page}.html").read_text()
        assert NOT_JUDGED.partition("(")[2] in text and "genlab-holds" not in text


@pytest.mark.slow
def test_a_verdict_that_turns_stops_until_it_is_accepted(project):
    fresh = project.genlab("claims")
    assert fresh.returncode == 1 and "new: A01, A02, A03, A04" in fresh.stderr
    assert project.genlab("claims", "--accept").returncode == 0
    assert project.genlab("claims").returncode == 0
    published = project.root / "book/published/first.json"
    before = published.read_text()
    metrics = json.loads(before)["metrics"]
    edit_record(published, metrics=metrics | {"double": metrics["double"] | {"value": 9.0}})
    try:
        turned = project.genlab("claims", "first")
        assert turned.returncode == 1
        assert "A01: was holds, is does not hold\n" in turned.stderr
        assert "genlab claims --accept" in one_line(turned.stderr)
        assert project.genlab("claims", "--accept").returncode == 0
        accepted = json.loads((project.root / "book/verdicts.json").read_text())
        assert accepted["A01"]["verdict"] == "does not hold" and accepted["A01"]["was"] == "holds"
    finally:
        published.write_text(before)


@pytest.mark.slow
def test_a_word_that_names_no_claim_is_refused(project):
    result = project.genlab("claims", "A77")
    assert result.returncode == 2 and "'A77' is no claim" in one_line(result.stderr)
