"""What a card over a link shows: the entries of glossary and references, in one script, which pages
load when the first card is asked for."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from bs4 import BeautifulSoup, Tag

from genlab.pipeline.site.citations import pages_of_references
from genlab.pipeline.site.terms import pages_of_glossaries

FILE = "_static/cards-data.js"  # not listed in html_js_files: no page loads it before it needs it


def cards(page: str, html: str) -> dict[str, str]:
    """What to show for a link to each entry of a glossary or of the references on a page, by the
    link's address from the root of the book."""
    soup, found = BeautifulSoup(html, "html.parser"), {}
    for back in soup.select(".genlab-back, .headerlink"):
        back.decompose()
    for link in soup.select("ul.genlab-references a[href], dl.glossary a[href]"):
        link["href"] = urljoin(page, link["href"])
    for entry in soup.select("ul.genlab-references > li[id]"):
        found[f"{page}#{entry['id']}"] = _inside(entry)
    for term in soup.select("dl.glossary dt[id]"):
        meaning = term.find_next_sibling("dd")
        terms = term.parent.find_all("dt", recursive=False)
        names = [dt for dt in terms if dt.find_next_sibling("dd") is meaning]
        title = " · ".join(dt.get_text(" ", strip=True) for dt in names)
        found[f"{page}#{term['id']}"] = f"<p><strong>{title}</strong></p>{_inside(meaning)}"
    return found


def _inside(entry: Tag) -> str:
    for marked in entry.select("[id]"):
        del marked["id"]
    return re.sub(r"\s+", " ", entry.decode_contents()).strip()


def write(app: Any, failed: Exception | None) -> None:
    """Write the script, from the pages as they lie in the output."""
    if failed:
        return
    found: dict[str, str] = {}
    for docname in sorted(pages_of_glossaries(app.env) | pages_of_references(app.env)):
        page = app.builder.get_target_uri(docname)
        path = Path(app.outdir, page)
        if path.is_file():
            found |= cards(page, path.read_text("utf-8"))
    text = f"window.genlabCards = {json.dumps(found, ensure_ascii=False)};\n"
    Path(app.outdir, FILE).write_text(text, "utf-8")


def setup(app: Any) -> None:
    """Connect to the end of a build."""
    app.connect("build-finished", write)
