"""How the book is cited: CITATION.cff agrees with the package, and BibTeX says the same."""

import re
import tomllib

import pytest
import yaml

from genlab.pipeline.views.citation import FILE, bibtex, citation
from genlab.section.paths import ROOT

TEXT = FILE.read_text("utf-8")


def disagreements(text: str) -> list[str]:
    """Where a CITATION.cff and the project's other files say different things."""
    said = yaml.safe_load(text)
    cited = said["preferred-citation"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    licence = (ROOT / "LICENSE").read_text("utf-8")
    log = (ROOT / "CHANGELOG.md").read_text("utf-8")
    (released,) = re.findall(rf"^## {re.escape(project['version'])} \((.+)\)", log, re.MULTILINE)
    date = None if released == "unreleased" else released
    pairs = {
        "version": (str(said["version"]), project["version"]),
        "edition": (cited["edition"], f"Version {project['version']}"),
        "licence": (said["license"], project["license"]),
        "date": (said.get("date-released") and str(said["date-released"]), date),
        "year": (str(cited["year"]), (date or config["copyright"])[:4]),
        "titles": ({said["title"], cited["title"]}, {config["title"]}),
        "authors": (said["authors"], cited["authors"]),
        "author": ([a["name"] for a in said["authors"]], [config["author"]]),
    }
    found = [name for name, (here, there) in pairs.items() if here != there]
    return found + ["holder"] * (f"{cited['year']} {config['author']}" not in licence)


def test_the_citation_agrees_with_the_package():
    assert disagreements(TEXT) == []


@pytest.mark.parametrize(
    ("right", "mistake", "name"),
    [
        ("\nversion: 0.1.0", "\nversion: 0.2.0", "version"),
        ("license: MIT", "license: Apache-2.0", "licence"),
        ("\nversion", "\ndate-released: 2026-01-02\nversion", "date"),
        ("year: 2026", "year: 2025", "year"),
        ("Version 0.1.0", "Version 0.0.9", "edition"),
    ],
)
def test_a_disagreement_is_seen(right, mistake, name):
    assert right in TEXT and name in disagreements(TEXT.replace(right, mistake))


def test_the_file_has_what_its_format_requires():
    """The required fields of the Citation File Format, 1.2.0, and no others than it knows."""
    said = yaml.safe_load(TEXT)
    assert {"cff-version", "message", "title", "authors"} <= said.keys()
    assert said["cff-version"] == "1.2.0" and said["type"] == "software"
    known = {"type", "abstract", "version", "license", "keywords", "preferred-citation"}
    dated = {"date-released", "commit", "doi", "url", "repository-code"}
    assert said.keys() <= {"cff-version", "message", "title", "authors"} | known | dated
    assert {"type", "title", "authors"} <= said["preferred-citation"].keys()


def test_bibtex_says_what_the_file_says():
    assert citation() == "```bibtex\n" + bibtex(TEXT) + "\n```"
    assert bibtex(TEXT).splitlines() == [
        "@book{genlab2026,",
        "  author  = {{The genlab authors}},",
        "  title   = {{Generative Models, Reproduced}},",
        "  year    = {2026},",
        "  edition = {Version 0.1.0}",
        "}",
    ]


def test_people_and_signs_that_bibtex_reads_otherwise():
    text = (
        "preferred-citation: {title: 'Bits & #1_{a}', year: 2027, doi: 10.1/a_b, authors: "
        "[{family-names: Curie, given-names: Marie}, {name: 'R&D'}]}"
    )
    entry = bibtex(text)
    assert r"{{Bits \& \#1\_\{a\}}}" in entry and "{Curie, Marie and {R\\&D}}" in entry
    assert "doi     = {10.1/a_b}" in entry and "edition" not in entry
