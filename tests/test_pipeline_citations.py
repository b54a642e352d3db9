"""The list of references: labels of author and year, addresses, and links back."""

import pytest
from pybtex.database import parse_file
from sphinx.errors import SphinxError

from genlab.pipeline.site.citations import AuthorYear
from genlab.section.paths import ROOT
from tests.site_book import build

BIB = """
@article{ho, author = {Ho, Jonathan and Jain, Ajay and Abbeel, Pieter}, title = {One},
  journal = {J}, year = {2020}, eprint = {2006.11239}}
@article{neal, author = {Neal, Radford M.}, title = {Two}, journal = {J}, year = {2001},
  doi = {10.1023/A:1008923215028}}
@article{unused, author = {Nobody, Ann}, title = {Three}, journal = {J}, year = {1999}}
"""
PAGES = {
    "index.md": "# A book\n\n```{toctree}\none\nrefs\n```\n",
    "one.md": "# One\n\nTold by {cite:t}`neal` and {cite:p}`ho,neal`.\n",
    "refs.md": "# References\n\n```{bibliography}\n:cited:\n```\n",
    "references.bib": BIB,
}


@pytest.fixture(scope="module")
def refs(tmp_path_factory):
    return build(tmp_path_factory.mktemp("book"), PAGES, ["citations"])


def test_entries_have_label_address_and_links_back(refs):
    items = refs["refs"].select("ul.genlab-references > li")
    assert [li["id"] for li in items] == ["cite-ho", "cite-neal"]
    assert [li.select_one(".genlab-label").get_text() for li in items] == [
        "Ho et al., 2020",
        "Neal, 2001",
    ]
    assert items[0].select_one('a[href="https://arxiv.org/abs/2006.11239"]')
    assert items[1].select_one('a[href="https://doi.org/10.1023/A:1008923215028"]')
    (back,) = items[1].select(".genlab-back a")
    page, anchor = back["href"].split("#")
    assert page == "one.html" and refs["one"].find(id=anchor).select_one("a[href*=cite-neal]")


def test_the_list_is_one_to_a_screen_reader(refs):
    assert not refs["refs"].select("[role=list], [role=doc-biblioentry], div.citation")


def test_links_back_follow_the_pages(tmp_path):
    build(tmp_path, PAGES, ["citations"])
    pages = build(tmp_path, PAGES | {"one.md": "# One\n\n{cite:p}`neal`.\n"}, ["citations"])
    assert [li["id"] for li in pages["refs"].select("ul.genlab-references > li")] == ["cite-neal"]


def test_two_works_with_one_label_are_refused(tmp_path):
    same = BIB.replace("Nobody, Ann", "Neal, Radford").replace("1999", "2001")
    cited = PAGES["one.md"].replace("ho,neal", "unused")
    with pytest.raises(SphinxError, match="duplicate label"):
        build(tmp_path, PAGES | {"references.bib": same, "one.md": cited}, ["citations"])


def test_works_of_the_book_are_told_apart_by_their_labels_and_can_be_found():
    entries = parse_file(str(ROOT / "book" / "references.bib")).entries
    labels = list(AuthorYear().format_labels(entries.values()))
    assert len(set(labels)) == len(labels)
    found = [key for key, entry in entries.items() if {"doi", "eprint", "url"} & set(entry.fields)]
    assert len(found) >= 94
