"""The whole book from quick runs: no errors, no broken links, no picture without words, nothing fetched from elsewhere."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

from genlab.report.build import build_book
from genlab.report.paths import BUILD
from genlab.report.run import plan, run_jobs
from genlab.report.sections import section_names

HTML = BUILD / "html"


@pytest.fixture(scope="module")
def pages() -> dict[Path, BeautifulSoup]:
    jobs = run_jobs(plan(section_names(), {}, "quick"), workers=2)
    assert all(job.state in ("done", "reused") for job in jobs), [job.message for job in jobs]
    build_book("quick")
    found = {
        path: BeautifulSoup(path.read_text(), "html.parser")
        for path in HTML.rglob("*.html")
        if "_static" not in path.parts
    }
    assert {f"notebooks/{name}.html" for name in section_names()} <= {str(p.relative_to(HTML)) for p in found}
    return found


def test_no_page_shows_an_error(pages):
    for path, page in pages.items():
        assert not page.select(".system-message, .problematic, .output.traceback, .stderr"), path
        body = page.select_one("main") or page
        text = body.get_text()
        assert "Traceback (most recent call last)" not in text and "{glue" not in text and "{cite" not in text, path
        assert not [a for a in body.select("a.reference.internal") if "??" in a.get_text()], path


def test_every_picture_has_words(pages):
    for path, page in pages.items():
        article = page.select_one("article") or page
        for image in article.select("img"):
            assert image.get("alt", "").strip(), f"{path.name}: {str(image)[:80]}"
            assert not image["alt"].startswith(("_images", "../_images")), f"{path.name}: a file name is no description"


def test_local_links_lead_somewhere(pages):
    ids = {path: {tag["id"] for tag in page.select("[id]")} for path, page in pages.items()}
    for path, page in pages.items():
        for tag, attribute in (("a", "href"), ("img", "src"), ("script", "src"), ("link", "href")):
            for element in page.select(f"{tag}[{attribute}]"):
                url = urlsplit(element[attribute])
                if url.scheme or url.netloc or element[attribute].startswith("#!"):
                    continue
                target = (path.parent / unquote(url.path)).resolve() if url.path else path
                target = target / "index.html" if target.is_dir() else target
                assert target.exists(), f"{path.relative_to(HTML)} -> {element[attribute]}"
                if url.fragment and target in ids and tag == "a":
                    assert unquote(url.fragment) in ids[target], f"{path.relative_to(HTML)} -> {element[attribute]}"


def test_nothing_is_fetched_from_elsewhere(pages):
    for path, page in pages.items():
        loads = [e.get("src") for e in page.select("script[src], img[src], iframe[src], source[src]")]
        loads += [
            e["href"] for e in page.select("link[href]") if {"stylesheet", "preload", "icon"} & set(e.get("rel", []))
        ]
        assert not [url for url in loads if url.startswith(("http:", "https:", "//"))], path


def test_sections_show_their_animations_and_their_runs(pages):
    for name in section_names():
        page = pages[HTML / f"notebooks/{name}.html"]
        assert "quick profile" in page.select_one(".genlab-run").get_text()
    for name in ("ebm", "dsm", "ddpm", "gan_toy"):
        picture = pages[HTML / f"notebooks/{name}.html"].select_one("picture")
        assert picture.source["srcset"].startswith("data:image/png") and "image/webp" in str(picture)
        assert len(str(picture.img["src"])) < 500_000 * 4 / 3
