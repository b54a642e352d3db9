"""The published book as readers meet it: in a real browser, from the disk, without a network.

Every check is tried first on a small page with the fault that it is for."""

import base64
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import browsing
import looks
import pytest
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
        faults["barriers"] = browsing.barriers(page)
        return Visit(links, bytes_, {**faults, "troubles": heard.troubles})


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
    found = {p.relative_to(book).as_posix(): v.faults[kind] for p, v in visits.items()}
    assert len(found) > 40
    assert {name: faults for name, faults in found.items() if faults} == {}


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


WEBP = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x12\0\0\0"
FAULTS = [
    ("troubles", "<script>console.error('ouch')</script>", "console: ouch"),
    ("troubles", "<script>nowhere()</script>", "nowhere is not defined"),
    ("troubles", "<script src='gone.js'></script>", "failed: file:"),
    ("troubles", "<img src='https://example.org/x.png' alt='x'>", "asks for https://example.org"),
    ("too wide", "<div style='width:500px'>x</div>", "of 400"),
    ("on paper", "<button>press</button>", "prints button"),
    ("on paper", f"<pre>{'x' * 400}</pre>", "cuts pre"),
    (
        "moves",
        f"<img alt=x src='data:image/webp;base64,{base64.b64encode(WEBP).decode()}'>",
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
    body += f"<img alt=x src='data:image/png;base64,{picture}'>"
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


@contextmanager
def reading(browser: Any, path: Path, **how: Any) -> Iterator[Any]:
    """A page that a reader uses; nothing that the reader does may give trouble."""
    with opened(browser, path, **how) as (page, heard):
        before = len(heard.troubles)  # of opening it: the visits tell them
        yield page
        assert heard.troubles[before:] == []


def look(part: Any) -> bytes:
    """What is to be seen now where an element is (which may change places with another)."""
    return part.page.screenshot(clip=part.bounding_box(), animations="disabled")


def becomes_other(part: Any, before: bytes) -> bytes:
    """How an element looks when it looks other than before, which it must within seconds."""
    for _ in range(40):
        if (now := look(part)) != before:
            return now
        part.page.wait_for_timeout(50)
    raise AssertionError(f"{part} looks as before")


def in_sight(part: Any) -> bool:
    return part.evaluate(
        "(e) => { const { top, bottom } = e.getBoundingClientRect();"
        " return bottom > 0 && top < innerHeight; }"
    )


def test_search_finds_places_and_shows_them(browser, book):
    with reading(browser, book / "notebooks" / "dsm.html") as page:
        page.keyboard.press("Control+k")
        page.keyboard.type("contrastive divergence")
        hits = page.locator("#genlab-results li")
        hits.first.wait_for()
        told = hits.evaluate_all(
            "(all) => all.map((e) => [e.querySelector('a.genlab-hit').href,"
            " [...e.querySelectorAll('p mark')].map((m) => m.textContent.toLowerCase()).join(' ')])"
        )
        addresses = [address for address, _ in told]
        assert any("#" in a and "/notebooks/rbm.html" in a for a in addresses), addresses
        words = [marked for _, marked in told]
        assert all("contrastive" in w or "divergence" in w for w in words), words
        first = next(i for i, a in enumerate(addresses) if "#" in a and "rbm.html" in a)
        hits.nth(first).locator("a.genlab-hit").click()
        page.wait_for_url("**/rbm.html*")
        marks = page.locator("mark.genlab-mark")
        marks.first.wait_for()
        page.wait_for_timeout(300)
        shown = marks.evaluate_all("(all) => all.map((e) => e.textContent.toLowerCase())")
        assert {"contrastive", "divergence"} & set(" ".join(shown).split()), shown
        assert any(in_sight(marks.nth(i)) for i in range(marks.count()))


def test_search_leaves_by_escape_and_says_when_nothing_is_found(browser, book):
    with reading(browser, book / "book" / "intro.html") as page:
        page.keyboard.press("Control+k")
        page.keyboard.type("qqqxyzzy")
        page.wait_for_timeout(500)
        assert page.locator("#genlab-results a.genlab-hit").count() == 0
        page.keyboard.press("Escape")
        page.locator("dialog[open]").wait_for(state="detached")


def test_slider_moves_by_keyboard_and_pointer(browser, book):
    with reading(browser, book / "notebooks" / "transport.html") as page:
        box = page.locator(".genlab-slider").first
        handle, picture = box.locator("input[type=range]"), box.locator("img, canvas").last
        box.scroll_into_view_if_needed()
        handle.focus()
        seen, told = [look(picture)], []
        for key in ("Home", "ArrowRight", "End"):
            page.keyboard.press(key)
            seen.append(becomes_other(box.locator("img:visible, canvas:visible"), seen[-1]))
            told.append(handle.get_attribute("aria-valuetext"))
        assert len(set(told)) == 3 and all(told)
        place = handle.bounding_box()
        page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        becomes_other(box.locator("img:visible, canvas:visible"), seen[-1])
        page.wait_for_timeout(100)
        assert handle.get_attribute("aria-valuetext") not in (told[0], told[2])


def test_hover_map_shows_the_point_and_walks_by_arrows(browser, book):
    with reading(browser, book / "notebooks" / "autoencoder_finetuning.html") as page:
        box = page.locator(".genlab-hover").first
        box.scroll_into_view_if_needed()
        shown, circle = box.locator("canvas"), box.locator("circle").nth(100)
        blank = look(shown)
        circle.hover(force=True)
        first = becomes_other(shown, blank)
        assert box.locator("circle.on").count() == 1 and box.locator("output").inner_text()
        box.locator("svg").focus()
        page.keyboard.press("ArrowLeft")
        becomes_other(shown, first)
        where = circle.bounding_box()
        box.get_by_role("button").last.click()
        page.wait_for_timeout(1000)
        assert circle.bounding_box() != where


PLAYER = "notebooks/gan_toy.html"


def test_player_rests_until_it_is_asked(browser, book):
    """No start of its own, with or without the wish for less motion: nothing has changed after
    five seconds."""
    for wish in ("no-preference", "reduce"):
        with reading(browser, book / PLAYER, reduced_motion=wish) as page:
            box = page.locator(".genlab-player").first
            box.scroll_into_view_if_needed()
            page.wait_for_timeout(500)
            before = page.screenshot()
            page.wait_for_timeout(5500 if wish == "no-preference" else 1000)
            assert page.screenshot() == before
            assert box.locator("button.genlab-play").get_attribute("aria-pressed") == "false"


def test_player_plays_pauses_steps_and_scrubs(browser, book):
    with reading(browser, book / PLAYER) as page:
        box = page.locator(".genlab-player").first
        box.scroll_into_view_if_needed()
        play, handle = box.locator("button.genlab-play"), box.locator("input[type=range]")
        picture = box.locator("img:visible, canvas:visible")
        place = lambda: int(handle.input_value())  # noqa: E731
        handle.focus()
        page.keyboard.press("Home")
        start = look(picture)
        play.click()
        assert play.get_attribute("aria-pressed") == "true"
        page.wait_for_function("(e) => e.value > 1", arg=handle.element_handle())
        becomes_other(picture, start)
        play.click()
        assert play.get_attribute("aria-pressed") == "false"
        page.wait_for_timeout(300)
        paused, shot = place(), look(picture)
        page.wait_for_timeout(1200)
        assert place() == paused and look(picture) == shot
        box.locator("button.genlab-step[data-step='1']").click()
        assert place() == paused + 1
        box.locator("button.genlab-step[data-step='-1']").click()
        assert place() == paused
        handle.focus()
        page.keyboard.press("End")
        assert place() == int(handle.get_attribute("max"))
        becomes_other(picture, shot)


def test_copy_button_copies_the_code(browser, book):
    with reading(browser, book / "book" / "how_to_rerun.html") as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        block = page.locator("div.highlight:visible").first
        block.hover()
        block.locator("button.copybtn").click()
        page.wait_for_timeout(200)
        code = block.locator("pre").inner_text()
        assert page.evaluate("navigator.clipboard.readText()").strip() == code.strip() != ""


def test_lightbox_opens_and_closes_and_gives_the_focus_back(browser, book):
    with reading(browser, book / "notebooks" / "dsm.html") as page:
        box = page.locator("dialog.genlab-lightbox[open]")
        page.locator("article figure img:visible").first.click()
        box.wait_for()
        assert box.locator("img").first.bounding_box()["width"] > 600
        page.keyboard.press("Escape")
        box.wait_for(state="detached")
        focused = "document.activeElement !== document.body && !!document.activeElement.closest("
        assert page.evaluate(f"{focused}'figure, .genlab-zoom') || {focused}'a, button')")
        page.keyboard.press("Enter")
        box.wait_for()
        page.keyboard.press("Escape")
        box.wait_for(state="detached")


def numbers(column: list[str]) -> list[float]:
    return [float(text) for text in column if text]


def test_table_sorts_and_filters(browser, book):
    with reading(browser, book / "book" / "ledger.html") as page:
        table = page.locator("table.genlab-sortable").first
        heads = table.locator("thead th").all_inner_texts()
        column = next(i for i, head in enumerate(heads) if "value" in head)
        head = table.locator("thead th").nth(column)
        cells = f"(t) => [...t.tBodies[0].rows].map((r) => r.cells[{column}].dataset.value ?? '')"
        for way, reverse in (("ascending", False), ("descending", True)):
            head.locator("button").click()
            assert head.get_attribute("aria-sort") == way
            values = numbers(table.evaluate(cells))
            assert values == sorted(values, reverse=reverse) and len(set(values)) > 100
        shown = table.locator("tbody tr:visible")
        whole = shown.count()
        page.locator(".genlab-filter input").first.fill("dsm w2")
        page.wait_for_timeout(300)
        texts = [text.lower() for text in shown.all_inner_texts()]
        assert 0 < len(texts) < whole and all("dsm" in t and "w2" in t for t in texts)
        page.locator(".genlab-filter input").first.fill("")
        page.wait_for_timeout(300)
        assert shown.count() == whole


def test_theme_is_kept_from_page_to_page(browser, book):
    with reading(browser, book / "book" / "intro.html", color_scheme="dark") as page:
        theme = lambda: page.evaluate("document.documentElement.dataset.theme")  # noqa: E731
        ground = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
        assert theme() == "dark"  # as the system wants it
        dark = ground()
        for _ in range(3):
            page.locator("button.theme-switch-button:visible").first.click()
            if theme() == "light":
                break
        assert theme() == "light" and ground() != dark
        page.goto((book / "notebooks" / "dsm.html").as_uri())
        assert theme() == "light" and ground() != dark


def test_citation_shows_its_card(browser, book):
    with reading(browser, book / "notebooks" / "rbm.html") as page:
        cited = page.locator("article a[href*='references.html#']:visible").first
        card = page.locator(".genlab-hovercard:visible")
        cited.focus()
        card.first.wait_for()
        assert len(card.first.inner_text()) > 20
        page.keyboard.press("Escape")
        card.first.wait_for(state="hidden")
        cited.hover()
        card.first.wait_for()


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
    assert "apt-get install chromium" in browsing.missing({"PATH": str(tmp_path)})
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
