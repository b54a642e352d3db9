"""The book as one PDF: places and links of many pages in one, and what a browser prints."""

import re
import shutil
from contextlib import nullcontext

import pytest

from genlab.pipeline.views import pdf
from genlab.pipeline.views.pdf import Page, link_inside, page_numbers, rewritten
from genlab.section.paths import UserError

NAV = """<nav class="bd-links"><ul>
<li><a class="reference internal" href="{up}book/intro.html">A book</a></li></ul>
<p class="caption"><span>Plane</span></p><ul>
<li><a class="reference internal" href="{up}notebooks/one.html"><b>1. </b>One</a></li>
<li><a class="reference internal" href="{up}notebooks/two.html">2. Two</a></li></ul>
<p class="caption">Rest</p><ul>
<li><a class="reference internal" href="{up}reference/x.html">x</a></li>
<li><a class="reference internal" href="{up}genindex.html">Index</a></li></ul></nav>"""
PAGE = """<html><head><link rel="stylesheet" href="../_static/own.css" /></head><body>{nav}
<article class="bd-article"><section id="top"><h1>{title}</h1>{body}</section></article>
</body></html>"""
ONE = """<p id="here">Alpha <a href="#here">same</a> <a href="two.html">next</a> <a class="x"
 href="two.html#there">place</a> <a href="../search.html">gone</a>
<a href="https://doi.org/1">far</a></p>
<svg><defs><clipPath id="c"/></defs><rect clip-path="url(#c)"/></svg>
<img alt="a > b" loading="lazy" src="../_images/a.png"
 srcset="../_images/a.png 1x, ../_images/b.png 2x">"""
TWO = '<h2 id="there">There</h2><p>Omega</p>'
SET = "<script>window.MathJax = {startup: {promise: Promise.resolve()}}</script>"
FIRST = Page("notebooks/one.html", "1. One", "Plane")
KNOWN = {"notebooks/one.html": "notebooks-one", "notebooks/two.html": "notebooks-two"}


@pytest.fixture
def html(tmp_path):
    """A built book of three pages, as the theme writes it."""
    root = tmp_path / "html"
    for path, title, body in (
        ("book/intro.html", "A book", "<p>Begin</p>"),
        ("notebooks/one.html", "1. One", ONE),
        ("notebooks/two.html", "2. Two", TWO + SET),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        text = PAGE.format(nav=NAV.format(up="../"), title=title, body=body)
        (root / path).write_text(text)
    (root / "_static").mkdir()
    (root / "_static" / "own.css").write_text("@media print { .bd-article { color: black; } }")
    (root / "index.html").write_text('<meta http-equiv="Refresh" content="0; url=book/intro.html">')
    return root


def test_the_order_is_that_of_the_contents_without_index_and_library(html):
    assert pdf.contents(html) == [
        Page("book/intro.html", "A book", ""),
        Page("notebooks/one.html", "1. One", "Plane"),
        Page("notebooks/two.html", "2. Two", "Plane"),
    ]


def test_places_are_unique_and_every_link_inside_has_its_place(html):
    pages = pdf.contents(html)
    text = pdf.document(html, pages, {"notebooks-two": 7}, html.parent)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    links = re.findall(r'href="#([^"]+)"', text)
    assert set(links) - {pdf.TYPESET} <= set(ids)  # that one comes when the formulas are set
    assert {"notebooks-one--here", "notebooks-two", "notebooks-two--there"} <= set(links)
    assert "search.html" not in text and 'href="https://doi.org/1"' in text
    assert '<a href="#notebooks-two">2. Two</a><span>7</span>' in text


def test_what_a_page_shows_is_found_from_the_document():
    made = rewritten(ONE, FIRST, KNOWN, "html")
    assert 'src="html/_images/a.png"' in made
    assert 'srcset="html/_images/a.png 1x, html/_images/b.png 2x"' in made
    assert "lazy" not in made and 'alt="a > b"' in made
    assert 'id="notebooks-one--c"' in made and "url(#notebooks-one--c)" in made


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("#here", "#notebooks-one--here"),
        ("two.html", "#notebooks-two"),
        ("../notebooks/two.html#there", "#notebooks-two--there"),
        ("https://doi.org/1", "https://doi.org/1"),
        ("../downloads/one.py", None),
        ("../two.html", None),
    ],
)
def test_links(address, inside):
    assert link_inside(address, FIRST, KNOWN) == inside


def test_headings_go_one_level_down():
    lowered = pdf._lowered('<h1 class="a">x</h1><h5>y</h5><hr>')
    assert lowered == '<h2 class="a">x</h2><h6>y</h6><hr>'


def test_pages_are_counted_through_the_tree_of_a_pdf():
    tree = (
        b"1 0 obj\n<</Type /Page\n>>\n2 0 obj\n<</Type /Page\n>>\n3 0 obj\n<</Type /Page\n>>\n"
        b"4 0 obj\n<</Type /Pages\n/Count 2\n/Kids [3 0 R 1 0 R]>>\nendobj\n"
        b"5 0 obj\n<</Type /Pages\n/Count 3\n/Kids [4 0 R 2 0 R]>>\nendobj\n"
        b"6 0 obj\n<</Kids [1 0 R]>>\n7 0 obj\n<</a [3 0 R /XYZ 1 2 0]\n/b-2 [2 0 R /XYZ 0 0 0]>>\n"
    )
    assert page_numbers(tree) == {"a": 1, "b-2": 3}


def test_without_a_browser_one_line_names_the_remedy(monkeypatch):
    monkeypatch.setattr(pdf, "BROWSERS", ("no-such-browser",))
    monkeypatch.setattr(pdf, "ELSEWHERE", ())
    monkeypatch.delenv("CHROMIUM", raising=False)
    with pytest.raises(UserError, match=r"apt install chromium.*CHROMIUM="):
        pdf.find_browser()
    monkeypatch.setenv("CHROMIUM", "/no/such/chrome")
    with pytest.raises(UserError, match="/no/such/chrome is no program"):
        pdf.find_browser()


def test_a_browser_that_prints_nothing_is_said_to(tmp_path):
    (tmp_path / "x.html").write_text("x")
    with pytest.raises(UserError, match="did not print the book"):
        pdf.print_page(shutil.which("false"), tmp_path / "x.html")


def test_a_page_without_an_article_is_said_to_be_old():
    with pytest.raises(UserError, match="genlab build"):
        pdf._cut("<html></html>", "article", "bd-article")


@pytest.fixture
def browser(monkeypatch):
    """A browser that is there."""
    monkeypatch.setattr(pdf, "locked", lambda name: nullcontext())
    try:
        return pdf.find_browser()
    except UserError as error:
        pytest.skip(f"NOT TESTED: {error}")


def test_formulas_are_set_if_any_page_has_them(html):
    assert pdf.WAITS in pdf.document(html, pdf.contents(html), {}, html.parent)
    page = html / "notebooks" / "two.html"
    page.write_text(page.read_text().replace(SET, ""))
    assert pdf.WAITS not in pdf.document(html, pdf.contents(html), {}, html.parent)


def test_a_book_whose_formulas_are_not_set_is_no_book(html, browser):
    page = html / "notebooks" / "two.html"
    page.write_text(page.read_text().replace("Promise.resolve()", "new Promise(() => 0)"))
    with pytest.raises(UserError, match="before its formulas were set"):
        pdf.book_pdf(html / "index.html", browser, html.parent / "book.pdf")
    assert not (html.parent / "book.pdf").exists()


def test_the_browser_prints_the_book(html, browser):
    made = pdf.book_pdf(html / "index.html", browser, html.parent / "book.pdf").read_bytes()
    numbers = page_numbers(made)
    places = [numbers[name] for name in ("book-intro", "notebooks-one", "notebooks-two")]
    assert places == [3, 4, 5]  # behind the title and the contents, a page each
    assert numbers["notebooks-two--there"] == 5
    assert made.count(b"/Type /Page\n") == 5
    assert numbers[pdf.TYPESET] == 1
    assert b"/Outlines" in made and b"(2. Two)" in made.replace(b"\x00", b"")
    assert not (html.parent / "book.html").exists()
