"""The whole book as one PDF: the articles of all pages in one document, printed by a browser."""

import datetime
import html
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

import yaml
from bs4 import BeautifulSoup

from genlab.pipeline.html import render
from genlab.pipeline.runs.disk import disk_errors, locked
from genlab.pipeline.runs.store import git_state
from genlab.section.paths import BUILD, ROOT, UserError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ELSEWHERE = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)
SECONDS = 300  # what a browser may take to print
TYPESET = "genlab-typeset"  # a place in the PDF, once the formulas are set
WAITS = "genlab-waits"  # the same place until then
TAG = re.compile(r"""<[a-zA-Z][\w:-]*(?:[^>"']|"[^"]*"|'[^']*')*>""")
ATTRIBUTE = re.compile(
    r"""(?<=\s)(?P<name>id|for|headers|aria-labelledby|aria-describedby|aria-controls|href"""
    r"""|xlink:href|src|srcset|loading)=(?P<quote>["'])(?P<value>.*?)(?P=quote)""",
    re.DOTALL,
)


class Page(NamedTuple):
    """A page of the book: its path below the HTML, its title with its number, and its part."""

    path: str
    title: str
    part: str

    @property
    def id(self) -> str:
        """What its places begin with in the one document."""
        return self.path.removesuffix(".html").replace("/", "-")


def book_pdf(first: Path, browser: str, target: Path = BUILD / "genlab.pdf") -> Path:
    """Print the built book whose first page is `first`: once to see on which pages its parts are,
    and again with these numbers in the contents.  UserError if the browser cannot."""
    root, source = first.parent, target.with_suffix(".html")
    pages = contents(root)
    with locked("book-pdf"), disk_errors("the PDF"):
        source.write_text(document(root, pages, {}, source.parent), "utf-8")
        numbers = page_numbers(print_page(browser, source, plain=True))
        source.write_text(document(root, pages, numbers, source.parent), "utf-8")
        printed = print_page(browser, source)
        if WAITS in source.read_text("utf-8") and TYPESET not in page_numbers(printed):
            raise UserError(f"{browser} printed the book before its formulas were set: try again")
        target.write_bytes(printed)
        source.unlink()
    return target


def find_browser() -> str:
    """A browser that prints: the one that CHROMIUM names, else Chromium or Chrome."""
    named = os.environ.get("CHROMIUM")
    for name in (named,) if named else (*BROWSERS, *ELSEWHERE):
        if found := shutil.which(name):
            return found
    raise UserError(
        f"CHROMIUM={named} is no program: name a Chromium or Chrome" if named else
        "a PDF needs Chromium or Chrome, and none is on PATH: install one (apt install chromium), "
        "or say where it is, as in CHROMIUM=/opt/chrome/chrome genlab pdf"
    )  # fmt: skip


def contents(root: Path) -> list[Page]:
    """The pages of a built book in the order of its contents, without the index and the library,
    which nobody reads on paper."""
    start = re.search(r"url=([^\"']+)", (root / "index.html").read_text("utf-8"))
    first = start[1] if start else "index.html"
    nav = BeautifulSoup(_cut((root / first).read_text("utf-8"), "nav", "bd-links"), "html.parser")
    pages, part = [], ""
    for item in nav.select("p.caption, li > a.reference.internal"):
        if item.name == "p":
            part = item.get_text(strip=True)
            continue
        path = urljoin(first, item["href"])
        title = " ".join(item.get_text().split())
        if path not in ("genindex.html", "book/library.html") and path.split("/")[0] != "reference":
            pages.append(Page(path, title, part))
    return pages


def _cut(text: str, tag: str, kind: str) -> str:
    """The first element of a kind in the text of a page."""
    begin = re.search(rf'<{tag}\b[^>]*class="[^"]*\b{kind}\b', text)
    if begin is None:
        raise UserError(f"a page of the book has no <{tag} class={kind!r}>: `genlab build` it anew")
    return text[begin.start() : text.index(f"</{tag}>", begin.start()) + len(f"</{tag}>")]


def document(root: Path, pages: list[Page], numbers: Mapping[str, int], folder: Path) -> str:
    """One HTML document, to lie in `folder`, of the articles of all pages, with the page numbers
    of the contents as far as they are known."""
    texts = {page.path: (root / page.path).read_text("utf-8") for page in pages}
    base = os.path.relpath(root, folder)
    known = {page.path: page.id for page in pages}
    commit, changed = git_state()
    head = re.findall(r'<link [^>]*rel="stylesheet"[^>]*>', texts[pages[0].path])
    setters = next(filter(None, map(_setters, texts.values())), [])  # where there is a formula
    return render(
        "pdf.html",
        title=yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["title"],
        styles=[rewritten(link, pages[0], known, base) for link in head],
        scripts=[rewritten(script, pages[0], known, base) for script in setters],
        articles=[
            (page, rewritten(_lowered(_cut(texts[page.path], "article", "bd-article")),
                             page, known, base))
            for page in pages
        ],
        numbers=numbers,
        typeset=TYPESET,
        waits=WAITS,
        version=version("genlab"),
        commit=f"{commit}{' with changes' if changed else ''}" if commit else "",
        date=datetime.date.today().isoformat(),
    )  # fmt: skip


def _setters(text: str) -> list[str]:
    """The scripts of a page that set its formulas."""
    scripts = re.findall(r"<script[^>]*>[^<]*</script>", text)
    return [script for script in scripts if "mathjax" in script.lower()]


def _lowered(article: str) -> str:
    """Headings one level down: the first is the part's."""
    return re.sub(r"(</?h)([1-5])\b", lambda tag: f"{tag[1]}{int(tag[2]) + 1}", article)


def rewritten(text: str, page: Page, known: Mapping[str, str], base: str) -> str:
    """HTML of a page as part of the one document: its places are named after the page, links to
    pages of the book stay inside, what it shows is found from `base`, the path to the book."""

    def attribute(found: re.Match[str]) -> str:
        name, value = found["name"], html.unescape(found["value"])
        if name == "loading":  # what is loaded when it is scrolled to is not printed
            return ""
        if name in ("src", "srcset"):
            value = ", ".join(_from(base, page, part.strip()) for part in value.split(", "))
        elif name.endswith("href"):
            inside = link_inside(value, page, known)
            if inside is None and found.string.startswith("<a"):
                return ""
            value = inside or _from(base, page, value)
        else:
            value = " ".join(f"{page.id}--{word}" for word in value.split())
        return f'{name}="{html.escape(value)}"'

    def tag(found: re.Match[str]) -> str:
        return re.sub(r"url\((['\"]?)#", rf"url(\1#{page.id}--", ATTRIBUTE.sub(attribute, found[0]))

    return TAG.sub(tag, text)


def link_inside(address: str, page: Page, known: Mapping[str, str]) -> str | None:
    """A link of a page as one of the document: to another host as it is, inside the book to a
    place; None to what is not printed."""
    if re.match(r"[a-z]+:", address):
        return address
    path, _, anchor = urljoin(page.path, address).partition("#")
    if path not in known:
        return None
    return f"#{known[path]}--{anchor}" if anchor else f"#{known[path]}"


def _from(base: str, page: Page, address: str) -> str:
    """Where a file lies that a page refers to, seen from the document."""
    if re.match(r"[a-z]+:", address):
        return address
    return f"{base}/{urljoin(page.path, address)}"


def print_page(browser: str, source: Path, *, plain: bool = False) -> bytes:
    """The PDF of an HTML file, with an outline and what screen readers need unless it is `plain`;
    nothing is fetched from another host."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "book.pdf")
        command = [
            browser, "--headless", "--disable-gpu", "--no-first-run", "--disable-extensions",
            f"--user-data-dir={folder}/profile", "--host-resolver-rules=MAP * ~NOTFOUND",
            "--disable-pdf-tagging" if plain else "--generate-pdf-document-outline",
            "--no-pdf-header-footer", "--virtual-time-budget=600000",
            f"--print-to-pdf={target}", source.as_uri(),
        ]  # fmt: skip
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # as in a container
            command.insert(2, "--no-sandbox")
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise UserError(f"{browser} did not print the book in {SECONDS} s") from None
        if done.returncode or not target.is_file():
            said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise UserError(f"{browser} did not print the book: it said {said[0]!r}")
        return target.read_bytes()


def page_numbers(pdf: bytes) -> dict[str, int]:
    """The page on which each named place of a PDF of Chromium is: its tree of pages and its table
    of places are written as plain text."""
    nodes = re.findall(rb"(?m)^(\d+) 0 obj\n<</Type /Pages\b[^>]*?/Kids \[([^\]]*)\]", pdf)
    kids = {int(node): list(map(int, re.findall(rb"(\d+) 0 R", inside))) for node, inside in nodes}
    below = {kid for inside in kids.values() for kid in inside}
    order: list[int] = []

    def walk(node: int) -> None:
        order.extend([] if node in kids else [node])
        for kid in kids.get(node, ()):
            walk(kid)

    for node in kids.keys() - below:
        walk(node)
    numbers = {node: number for number, node in enumerate(order, 1)}
    places = re.findall(rb"/([\w.-]+) \[(\d+) 0 R /XYZ", pdf)
    return {name.decode(): numbers[int(node)] for name, node in places if int(node) in numbers}
