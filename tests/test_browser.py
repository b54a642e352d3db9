"""The published book as readers meet it: in a real browser, from the disk, without a network.

Every check is tried first on a small page with the fault that it is for."""

import base64
import importlib.util
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import browsing
import looks
import pytest
import reader
from browsing import NARROW, WIDE, opened
from PIL import Image

from genlab.pipeline.views.book import build_book
from genlab.section.paths import ROOT

pytestmark = pytest.mark.slow
HEAVIEST, HOME_HEAVIEST = 3_000_000, 1_200_000  # bytes, with everything that is loaded
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if lacking := browsing.missing():
        warnings.warn(lacking, stacklevel=1)
        pytest.skip(lacking)
    with browsing.launched() as launched:
        yield launched


@pytest.fixture(scope="session")
def book(browser) -> Path:
    """The published book, built now if it is not current."""
    return build_book("full").parent


# --- Every page, visited once ------------------------------------------------------------------


@dataclass
class Visit:
    """What was found on one page, by kind of fault."""

    links: dict[str, list[str]]
    bytes: int
    faults: dict[str, list[str]]


def visit(browser: Any, path: Path) -> Visit:
    with opened(browser, path) as (page, heard):
        bytes_ = browsing.weight(heard.files)
        links, faults = page.evaluate(browsing.LINKS), {"moves": browsing.moving(page)}
        page.set_viewport_size(NARROW)
        browsing.settle(page)
        faults["too wide"] = page.evaluate(browsing.TOO_WIDE)
        page.set_viewport_size(WIDE)
        page.emulate_media(media="print")
        faults["on paper"] = page.evaluate(browsing.NOT_FOR_PAPER)
        page.emulate_media(media="screen")
        faults["troubles"] = list(heard.troubles)
        faults["barriers"] = browsing.barriers(page)
        return Visit(links, bytes_, faults)


def pages_of(root: Path) -> list[Path]:
    """Every page that a reader opens; one that only leads on is none."""
    aside = ("_static", "_sources", "mathjax")
    found = [p for p in sorted(root.rglob("*.html")) if p.relative_to(root).parts[0] not in aside]
    return [p for p in found if 'http-equiv="refresh"' not in p.read_text("utf-8").lower()]


@pytest.fixture(scope="session")
def visits(browser, book) -> dict[Path, Visit]:
    return {path: visit(browser, path) for path in pages_of(book)}


@pytest.mark.parametrize("kind", ["troubles", "too wide", "on paper", "moves", "barriers"])
def test_pages_are_free_of(visits, book, kind):
    assert len(visits) > 40
    found = [(p.relative_to(book), fault) for p, v in visits.items() for fault in v.faults[kind]]
    assert not found, f"{len(found)}:\n" + "\n".join(f"{p}: {fault}" for p, fault in found[:40])


def test_links_lead_somewhere(visits):
    assert sum(len(v.links["links"]) for v in visits.values()) > 3000
    assert browsing.dead_links({path: v.links for path, v in visits.items()}) == []


def test_pages_are_light(visits, book):
    heavy = {p.relative_to(book).as_posix(): v.bytes for p, v in visits.items()}
    assert {name: size for name, size in heavy.items() if size > HEAVIEST} == {}
    assert heavy["book/intro.html"] <= HOME_HEAVIEST


def tiny(folder: Path, body: str, head: str = "") -> Path:
    """A page without a fault but those of `body` and `head`."""
    (folder / "there.html").write_text('<title>t</title><p id="here">x</p>')
    path = folder / "page.html"
    path.write_text(
        f"<!doctype html><html lang=en><title>t</title><meta name=viewport "
        f"content='width=device-width'>{head}<body><main><h1>t</h1>"
        f"<p><a href='there.html#here'>there</a></p>{body}</main></html>"
    )
    return path


def film(seconds: float, loop: int) -> str:
    """An animated picture, as an address."""
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(
        told := io.BytesIO(),
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=int(500 * seconds),
        loop=loop,
    )
    return f"data:image/webp;base64,{base64.b64encode(told.getvalue()).decode()}"


STIR = "prefers-reduced-motion: no-preference"
FAULTS = [
    ("troubles", "<script>console.error('ouch')</script>", "console: ouch"),
    ("troubles", "<script>nowhere()</script>", "nowhere is not defined"),
    ("troubles", "<script src='gone.js'></script>", "failed: file:"),
    ("troubles", "<img src='https://example.org/x.png' alt='x'>", "asks for https://example.org"),
    ("too wide", "<div style='width:500px'>x</div>", "of 400"),
    ("on paper", "<button>press</button>", "prints button"),
    ("on paper", f"<pre>{'x' * 400}</pre>", "cuts pre"),
    ("moves", f"<img alt=x src='{film(2, 0)}'>", "moves, no-preference"),
    ("moves", f"<img alt=x src='{film(2, 1)}'>", "moves, reduce"),
    (
        "moves",
        f"<picture><source media='({STIR})' srcset='{film(6, 1)}'><img alt=x src=x.png></picture>",
        "moves",
    ),
    (
        "moves",
        "<style>@keyframes k {to {opacity: .2}}</style><p style='animation: k 1s infinite'>x</p>",
        "for ever",
    ),
    ("barriers", "<img src='x.png'>", "image-alt (critical)"),
    (
        "barriers",
        "<p style='color:#999; background:#fff'>grey words</p>",
        "color-contrast (serious)",
    ),
    (
        "barriers",
        "<style>[data-theme=dark] i {color: #444; background: #222}</style>"
        "<p><i>grey words</i></p>",
        "color-contrast (serious) at 1: <i>grey words</i>, dark",
    ),
    (
        "barriers",
        "<details><summary>s</summary>"
        "<p style='color:#999; background:#fff'>grey words</p></details>",
        "color-contrast",
    ),
]


@pytest.mark.parametrize(("kind", "body", "told"), FAULTS)
def test_a_fault_is_seen(browser, tmp_path, kind, body, told):
    (tmp_path / "x.png").write_bytes(PIXEL)
    found = visit(browser, tiny(tmp_path, body)).faults
    assert any(told in fault for fault in found[kind]), found


def test_a_page_without_fault_passes(browser, tmp_path):
    """With what is allowed: a container that scrolls, buttons hidden on paper, a still."""
    style = "<style>@media print { button { display: none } pre { white-space: pre-wrap; "
    style += "overflow-wrap: anywhere } }</style>"
    body = "<div style='overflow-x:auto' tabindex=0><div style='width:500px'>x</div></div>"
    body += f"<button>press</button><pre tabindex=0 style='overflow:auto'>{'x' * 400}</pre>"
    picture = base64.b64encode(PIXEL).decode()
    once = f"<source media='({STIR})' srcset='{film(2, 1)}'>"
    body += f"<picture>{once}<img alt=x src='data:image/png;base64,{picture}'></picture>"
    body += "<table><tr><th scope=col><button style='display:inline'>a</button></table>"
    seen = visit(browser, tiny(tmp_path, body, style))
    assert {kind: faults for kind, faults in seen.faults.items() if faults} == {}
    assert seen.bytes == (tmp_path / "page.html").stat().st_size


def test_a_dead_link_and_a_heavy_page_are_seen(browser, tmp_path):
    links = "".join(f"<a href='{to}'>{to}</a>" for to in ("gone.html", "there.html#no", "#no"))
    path = tiny(tmp_path, f"{links}<a href='https://example.org'>out</a>")
    seen = {p: visit(browser, p) for p in (path, tmp_path / "there.html")}
    dead = browsing.dead_links({p: v.links for p, v in seen.items()})
    assert [line.rpartition("/")[2] for line in dead] == [
        "gone.html",
        "there.html#no",
        "page.html#no",
    ]
    (tmp_path / "heavy.js").write_text(" " * HEAVIEST)
    assert visit(browser, tiny(tmp_path, "<script src=heavy.js></script>")).bytes > HEAVIEST


# --- What a reader does ------------------------------------------------------------------------


@pytest.mark.parametrize("what", reader.CHECKS)
def test_a_reader_finds_that(browser, book, what):
    name, check = reader.CHECKS[what]
    with opened(browser, book / f"{name}.html") as (page, heard):
        before = len(heard.troubles)  # of opening it: the visits tell them
        check(page)
        assert heard.troubles[before:] == []


@pytest.mark.parametrize("what", reader.CHECKS)
def test_a_page_without_its_scripts_fails(browser, book, what):
    """Of each check: where nothing answers, it sees that."""
    from playwright.sync_api import Error

    name, check = reader.CHECKS[what]
    with opened(browser, book / f"{name}.html", java_script_enabled=False) as (page, _):
        page.set_default_timeout(1000)
        with pytest.raises((AssertionError, Error)):
            check(page)


def test_what_moves_by_itself_is_seen(browser, tmp_path):
    moving = "setInterval(() => { document.querySelector('h1').textContent += 'x'; }, 200)"
    path = tiny(tmp_path, f"<script>{moving}</script>")
    with opened(browser, path) as (page, _), pytest.raises(AssertionError):
        reader.rests(page, 1)
    with opened(browser, tiny(tmp_path, "")) as (page, _):
        reader.rests(page, 1)


# --- How pages look ----------------------------------------------------------------------------


@pytest.mark.parametrize("view", looks.VIEWS)
@pytest.mark.parametrize("name", looks.PAGES)
def test_page_looks_as_kept(browser, book, name, view, tmp_path):
    with looks.shown(browser, book, name, view) as page:
        if looks.other_fonts(page):
            told = "NO LOOK IS COMPARED: other fonts than where tests/browser was made"
            warnings.warn(told, stacklevel=1)
            pytest.skip(told)
        now = looks.look(page)
    now.save(tmp_path / "now.png")
    alike = looks.likeness(Image.open(looks.kept(name, view)).convert("RGB"), now)
    assert alike >= looks.ALIKE, (
        f"{alike:.2f}: compare {tmp_path}/now.png with {looks.kept(name, view)}; if the change was "
        "meant, `.venv/bin/python tests/looks.py` keeps the new looks"
    )


UNSTYLED = "() => document.querySelectorAll('link[href*=genlab]').forEach((e) => e.remove())"
WITHOUT = "() => { const all = [...document.querySelectorAll('article img')];"
WITHOUT += "all.find((e) => e.checkVisibility()).style.%s; }"


@pytest.mark.parametrize("view", looks.VIEWS)
def test_another_look_is_seen(browser, book, view):
    """On the page as it is now: a second rendering, other digits, and what must not pass."""
    name, other = "notebooks/dsm", {"wide": "dark", "narrow": "light"}[view]
    with looks.shown(browser, book, name, view) as page:
        first = looks.look(page)
    changes = {
        "again": "() => 0",
        "digits": "() => document.querySelectorAll('article p').forEach((e) => {"
        "e.innerHTML = e.innerHTML.replace(/[0-9](?=[^<>]*<)/g, '7'); })",
        "unstyled": UNSTYLED,
        "no picture": WITHOUT % "visibility = 'hidden'",
        "no place": WITHOUT % "display = 'none'",
    }
    alike = {}
    for fault, change in changes.items():
        with looks.shown(browser, book, name, view) as page:
            page.evaluate(change)
            alike[fault] = looks.likeness(first, looks.look(page))
    with looks.shown(browser, book, name, view, color_scheme=other) as page:
        alike["mode"] = looks.likeness(first, looks.look(page))
    assert alike.pop("again") > 0.98 and alike.pop("digits") > looks.ALIKE
    assert all(value < looks.ALIKE for value in alike.values()), alike


def test_kept_looks_are_few_and_small():
    files = [p for p in looks.KEPT.iterdir() if p.suffix == ".webp"]
    assert {p.name for p in files} == {
        looks.kept(n, v).name for n in looks.PAGES for v in looks.VIEWS
    }
    assert sum(p.stat().st_size for p in files) <= 300_000


# --- Where there is no browser -----------------------------------------------------------------


def test_a_browser_is_found_or_its_lack_is_told(tmp_path):
    assert browsing.program({"PATH": str(tmp_path)}) is None
    lack = "apt-get install chromium"
    if not all(map(importlib.util.find_spec, browsing.PACKAGES)):
        lack = "make test EXTRA=browser"
    assert lack in browsing.missing({"PATH": str(tmp_path)})
    (tmp_path / "google-chrome").write_text("#!/bin/sh\n")
    (tmp_path / "google-chrome").chmod(0o755)
    there = str(tmp_path / "google-chrome")
    assert browsing.program({"PATH": str(tmp_path)}) == there
    assert browsing.program({"PATH": "", "CHROMIUM": there}) == there
    with pytest.raises(FileNotFoundError, match="CHROMIUM is '/gone'"):
        browsing.program({"PATH": str(tmp_path), "CHROMIUM": "/gone"})


def test_a_skip_is_loud(tmp_path):
    """In pytest's summary there is a line with the remedy."""
    one = f"{__file__}::test_pages_are_light"
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", one],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path), "CHROMIUM": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 skipped" in result.stdout and "NO TEST IN A BROWSER HAS RUN" in result.stdout
