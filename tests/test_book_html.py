"""The real book from its quick runs, page by page: no errors, no dead link, anchor or picture,
nothing fetched from outside."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

from genlab.pipeline.execution.plan import plan, run_jobs
from genlab.pipeline.runs.pages import section_names
from genlab.pipeline.views.book import book_tree, jupyter_book, write_tree

ERRORS = ("Traceback (most recent call last)", "system-message", "problematic", "<!-- genlab:")


def faults(root: Path) -> list[str]:
    """Everything that is wrong with the HTML pages below `root`, one line each."""
    pages = {
        p.resolve(): BeautifulSoup(p.read_text(), "html.parser")
        for p in sorted(root.rglob("*.html"))
    }
    pages = {
        p: soup for p, soup in pages.items() if "_static" not in p.relative_to(root.resolve()).parts
    }
    anchors = {p: {e["id"] for e in soup.find_all(id=True)} for p, soup in pages.items()}
    found = []
    for path, soup in pages.items():
        found += [f"{path.name}: {fault}" for fault in page_faults(path, soup, anchors)]
    return found


def page_faults(path: Path, soup: BeautifulSoup, anchors: dict[Path, set[str]]) -> list[str]:
    text = path.read_text()
    found = [f"contains {error!r}" for error in ERRORS if error in text]
    found += [
        f"glued value {e.get_text()!r}"
        for e in soup.select(".pasted-text, .pasted-inline")
        if not e.get_text()
    ]
    found += [
        f"no alternative text: {str(i)[:80]}"
        for i in soup.select("article img")
        if not i.get("alt", "").strip()
    ]
    found += [
        f"no alt attribute: {str(i)[:80]}" for i in soup.select("img") if i.get("alt") is None
    ]
    loaded = [
        (e, e.get("src")) for e in soup.select("script[src], img[src], iframe[src], source[src]")
    ]
    loaded += [
        (e, e.get("href"))
        for e in soup.select("link[rel~=stylesheet], link[rel~=icon], link[rel~=preload]")
    ]
    for element, address in loaded:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") or parts.netloc:
            found.append(f"fetches <{element.name}> {address}")
        elif parts.scheme != "data" and not target(path, parts.path).is_file():
            found.append(f"<{element.name}> {address} is not there")
    return found + [
        link for a in soup.select("a[href]") if (link := dead_link(path, a["href"], anchors))
    ]


def target(page: Path, address: str) -> Path:
    return (page.parent / unquote(address)).resolve() if address else page


def dead_link(page: Path, address: str, anchors: dict[Path, set[str]]) -> str | None:
    """What is wrong with a link inside the book; links to elsewhere are not followed."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or address == "#":
        return None
    file = target(page, parts.path)
    if not file.exists():
        return f"link to {address}: no such file"
    anchor = unquote(parts.fragment)
    if anchor and file in anchors and anchor not in anchors[file]:
        return f"link to {address}: no such anchor"
    return None


@pytest.fixture(scope="module")
def html(tmp_path_factory) -> Path:
    """The book of the quick runs, which are computed now if they are not there."""
    jobs = run_jobs(plan(list(section_names()), {}, "quick"))
    assert all(job.state in ("done", "reused") for job in jobs), [job.message for job in jobs]
    folder = tmp_path_factory.mktemp("book")
    (folder / "source").mkdir()
    write_tree(book_tree("quick"), folder / "source")
    jupyter_book(folder / "source", folder, strict=True)
    return folder / "_build" / "html"


@pytest.mark.slow
def test_every_page_is_sound(html):
    assert faults(html) == []


@pytest.mark.slow
def test_every_section_has_its_page_with_pictures_and_run_line(html):
    for name in section_names():
        soup = BeautifulSoup((html / "notebooks" / f"{name}.html").read_text(), "html.parser")
        assert len(soup.select("article figure img, article .cell_output img")) >= 4
        assert "quick" in soup.select_one(".genlab-run").get_text()
        assert not soup.select(".genlab-stale")


@pytest.mark.slow
def test_mathematics_is_typeset_from_the_book_itself(html):
    page = html / "notebooks" / "toy_data.html"
    (script,) = [
        s["src"]
        for s in BeautifulSoup(page.read_text(), "html.parser").select("script[src*=mathjax]")
    ]
    assert target(page, urlsplit(script).path) == (html / "mathjax" / "startup.js").resolve()
    assert list((html / "mathjax" / "output" / "chtml" / "fonts" / "woff-v2").glob("*.woff"))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="gone.html">x</a>', "no such file"),
        ('<a href="#nowhere">x</a>', "no such anchor"),
        ('<img src="data:image/png;base64,AA==">', "no alternative text"),
        ('<img src="gone.png" alt="x">', "is not there"),
        ('<script src="https://example.org/x.js"></script>', "fetches <script>"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "fetches <link>"),
        ("<pre>Traceback (most recent call last)</pre>", "Traceback"),
    ],
)
def test_a_broken_page_is_seen(tmp_path, body, fault):
    (tmp_path / "page.html").write_text(
        f'<article id="here"><a href="#here">fine</a>{body}</article>'
    )
    assert any(fault in line for line in faults(tmp_path)), faults(tmp_path)
    (tmp_path / "page.html").write_text('<article id="here"><a href="#here">fine</a></article>')
    assert faults(tmp_path) == []
