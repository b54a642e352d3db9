"""Pages in a real browser: finding one, opening a page without a network, and what is wrong with
it, a function for each kind of fault."""

import base64
import importlib.util
import io
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from PIL import Image, UnidentifiedImageError

NAMES = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("playwright", "axe_playwright_python")
OFFLINE = ("--proxy-server=127.0.0.1:9", "--host-resolver-rules=MAP * ~NOTFOUND")
STEADY = ("--font-render-hinting=none", "--disable-lcd-text", "--force-color-profile=srgb")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 400, "height": 800}


def missing(environ: Mapping[str, str] = os.environ) -> str:
    """What these tests lack here, with the remedy; nothing if they can run."""
    if not all(map(importlib.util.find_spec, PACKAGES)):
        return (
            "NO TEST IN A BROWSER HAS RUN: playwright is not installed: "
            "`make test EXTRA=browser`, with Debian's chromium or Chrome on the machine"
        )
    if program(environ) is None:
        return (
            "NO TEST IN A BROWSER HAS RUN: no chromium, chromium-browser or google-chrome on PATH: "
            "`apt-get install chromium`, or name one: `CHROMIUM=/path/to/chrome make test`"
        )
    return ""


def program(environ: Mapping[str, str] = os.environ) -> str | None:
    """The browser: $CHROMIUM, which must be there if it is set, or the first of NAMES on PATH."""
    path = environ.get("PATH", "")
    if named := environ.get("CHROMIUM"):
        if found := shutil.which(named, path=path):
            return found
        raise FileNotFoundError(f"CHROMIUM is {named!r}, which is no program")
    return next((found for name in NAMES if (found := shutil.which(name, path=path))), None)


@contextmanager
def launched() -> Iterator[Any]:
    """A browser that reaches no host."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program(), args=["--no-sandbox", *OFFLINE, *STEADY]
        )
        yield browser
        browser.close()


@dataclass
class Heard:
    """What a browser said while a page was open: its troubles, and the files that it read."""

    troubles: list[str] = field(default_factory=list)
    files: set[Path] = field(default_factory=set)


@contextmanager
def opened(browser: Any, path: Path, **how: Any) -> Iterator[tuple[Any, Heard]]:
    """The page of a file in a window of its own, typeset; how: settings of the window."""
    how = {"viewport": WIDE, "color_scheme": "light"} | how
    context = browser.new_context(offline=True, **how)
    context.set_default_timeout(20_000)
    page, heard = context.new_page(), Heard()
    page.on("console", lambda told: heard.troubles.extend(_error(told)))
    page.on("pageerror", lambda error: heard.troubles.append(f"uncaught: {error}"))
    page.on("requestfailed", lambda request: heard.troubles.append(f"failed: {short(request.url)}"))
    page.on("request", lambda request: _requested(request.url, heard))
    page.goto(path.as_uri(), wait_until="load")
    settle(page)
    try:
        yield page, heard
    finally:
        context.close()


def _error(told: Any) -> list[str]:
    return [f"console: {told.text}"] if told.type == "error" else []


def _requested(url: str, heard: Heard) -> None:
    parts = urlsplit(url)
    if parts.scheme == "file":
        heard.files.add(Path(unquote(parts.path)))
    elif parts.scheme not in ("data", "blob"):
        heard.troubles.append(f"asks for {short(url)}")


def short(text: str, most: int = 120) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def settle(page: Any) -> None:
    """Wait until formulas are typeset and fonts are there, and let what slides arrive."""
    page.evaluate(
        """async () => {
          await window.MathJax?.startup?.promise;
          await document.fonts.ready;
          const ends = (a) => Number.isFinite(a.effect?.getComputedTiming().endTime);
          document.getAnimations().filter(ends).forEach((a) => a.finish());
        }"""
    )


def weight(files: set[Path]) -> int:
    """Bytes of a page and everything that it has loaded, as they lie on the disk."""
    return sum(path.stat().st_size for path in files if path.is_file())


# --- Links -------------------------------------------------------------------------------------

LINKS = """() => ({
  links: [...document.querySelectorAll("a[href]")].map((a) => a.href),
  anchors: [...document.querySelectorAll("[id], a[name]")].map((e) => e.id || e.name),
})"""


def dead_links(pages: Mapping[Path, Mapping[str, list[str]]]) -> list[str]:
    """Links of pages (what LINKS gives, by file) that lead to no file, or to no place in it."""
    anchors = {path: set(page["anchors"]) for path, page in pages.items()}
    found = []
    for path, page in pages.items():
        for link in page["links"]:
            parts = urlsplit(link)
            if parts.scheme != "file":
                continue
            file, anchor = Path(unquote(parts.path)), unquote(parts.fragment)
            if not file.is_file():
                found.append(f"{path.name}: no file {short(link)}")
            elif anchor and file in anchors and anchor not in anchors[file]:
                found.append(f"{path.name}: no place {short(link)}")
    return found


# --- Layout ------------------------------------------------------------------------------------

# What scrolls, or is cut on purpose (text for screen readers alone), holds what is wider than it.
TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth, found = [];
  const held = (e) => {
    for (let at = e.parentElement; at && at !== document.body; at = at.parentElement) {
      const { overflowX, position } = getComputedStyle(at);
      if (["auto", "scroll"].includes(overflowX)) return true;
      if (overflowX !== "visible" && at.clientWidth <= 1) return true;
    }
    return false;
  };
  const seen = { checkOpacity: true, checkVisibilityCSS: true };
  for (const e of document.body.querySelectorAll("*")) {
    const box = e.getBoundingClientRect();
    if (box.width < 1 || box.height < 1 || (box.right <= width + 1 && box.left >= -1)) continue;
    if (box.right <= 0 || box.left >= width || !e.checkVisibility(seen) || held(e)) continue;
    found.push(`${e.tagName.toLowerCase()}.${e.getAttribute("class") ?? ""} from ` +
      `${Math.round(box.left)} to ${Math.round(box.right)} of ${width}`);
  }
  const reach = document.documentElement.scrollWidth;
  if (reach > width + 1) found.push(`the page is ${reach} wide in ${width}`);
  return found;
}"""

# On paper nothing can be pressed, and nothing scrolls.
NOT_FOR_PAPER = """() => {
  const seen = (e) => e.checkVisibility({ checkVisibilityCSS: true }) && e.getClientRects().length;
  const parts = "button, input, select, [role=button]";  // but not a head that sorts, or a figure
  const pressed = [...document.querySelectorAll(parts)].filter(
    (e) => seen(e) && !e.closest("th") && !e.querySelector("img, svg, table"));
  const cut = [...document.querySelectorAll("pre")].filter(
    (e) => seen(e) && e.scrollWidth > e.clientWidth + 1);
  const told = (e) => `${e.tagName.toLowerCase()}.${e.getAttribute("class") ?? ""} ` +
    (e.getAttribute("aria-label") ?? e.textContent).trim().slice(0, 50);
  return [...pressed.map((e) => `prints ${told(e)}`), ...cut.map((e) => `cuts ${told(e)}`)];
}"""


# --- What moves --------------------------------------------------------------------------------

# What a picture shows now: the first source that is meant for such a screen, or its own.
PICTURES = """() => [...document.images].map((e) => {
  const others = [...(e.closest("picture")?.querySelectorAll("source") ?? [])];
  const source = others.find((o) => matchMedia(o.media || "all").matches);
  const address = source ? source.srcset.trim().split(/\\s+/)[0] : e.getAttribute("src");
  return new URL(address, document.baseURI).href;
})"""
LOOPS = """() => document.getAnimations()
  .filter((a) => a.effect?.getComputedTiming().iterations === Infinity)
  .map((a) => `${a.effect.target?.className} moves for ever`)"""
AT_MOST = 5000  # milliseconds: what moves for longer must have a way to stop it (WCAG 2.2.2)


def moving(page: Any) -> list[str]:
    """Pictures of a page that move by themselves for long, or where less motion is wished, and
    styles that never rest."""
    found = []
    for wish, most in (("no-preference", AT_MOST), ("reduce", 0)):
        page.emulate_media(reduced_motion=wish)
        shown = [a for a in page.evaluate(PICTURES) if _moves(_content(a)) > most]
        found += [f"{short(address, 60)} moves, {wish}" for address in shown]
    page.emulate_media(reduced_motion="no-preference")
    return found + page.evaluate(LOOPS)


def _content(address: str) -> bytes:
    if address.startswith("data:"):
        head, _, data = address.partition(",")
        return base64.b64decode(unquote(data)) if head.endswith("base64") else b""
    file = Path(unquote(urlsplit(address).path))
    return file.read_bytes() if file.is_file() else b""


def _moves(content: bytes) -> float:
    """For how many milliseconds a picture moves."""
    try:
        image = Image.open(io.BytesIO(content))
    except UnidentifiedImageError:  # an SVG
        return 0.0
    frames = getattr(image, "n_frames", 1)
    if frames == 1:
        return 0.0
    times = image.info.get("loop", 1) or math.inf
    return times * sum(_duration(image, i) for i in range(frames))


def _duration(image: Image.Image, frame: int) -> float:
    image.seek(frame)
    image.load()
    return image.info.get("duration", 100)


# --- Access ------------------------------------------------------------------------------------

GRAVE = ("critical", "serious")

# axe looks at each element alone, for a minute where there are thousands.  Of tokens of code of one
# class, and of rows of one table, the first few stand for all.
THIN = """() => {
  const met = {};
  for (const token of document.querySelectorAll("pre span")) {
    met[token.className] = (met[token.className] ?? 0) + 1;
    if (met[token.className] > 4) token.replaceWith(...token.childNodes);
  }
  document.querySelectorAll("pre").forEach((e) => e.normalize());
  document.querySelectorAll("tbody tr:nth-child(n+7)").forEach((e) => e.remove());
}"""
OPEN = "() => document.querySelectorAll('details').forEach((e) => { e.open = true; })"
DARK = "() => { document.documentElement.dataset.theme = 'dark'; }"


def barriers(page: Any) -> list[str]:
    """Critical and serious violations that axe finds with everything unfolded, in both modes.
    Changes the page."""
    page.evaluate(THIN)
    page.evaluate(OPEN)
    settle(page)
    found = [f"{fault}, light" for fault in _violations(page)]
    page.emulate_media(color_scheme="dark")
    page.evaluate(DARK)
    settle(page)
    return found + [f"{fault}, dark" for fault in _violations(page, "color-contrast")]


def _violations(page: Any, *rules: str) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    options: dict[str, Any] = {"resultTypes": ["violations"], "iframes": False, "preload": False}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    violations = Axe().run(page, options=options).response["violations"]
    return [
        f"{v['id']} ({v['impact']}) at {len(v['nodes'])}: {short(v['nodes'][0]['html'])}"
        for v in violations
        if v["impact"] in GRAVE
    ]
