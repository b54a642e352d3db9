"""Search that needs no server: what each section of the book says, in a script that the page loads
when somebody searches.

A page that is read from a disk may not fetch its neighbours, so the texts from which excerpts are
cut are in that script, too; MiniSearch ranks them in the browser.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes
from sphinx import addnodes

MOST = 4000  # characters of a section that are searched
OLD = ("searchtools.js", "searchindex.js", "language_data.js", "sphinx_highlight.js")
SILENT = (
    nodes.literal_block, nodes.math_block, nodes.comment, nodes.raw, nodes.section, nodes.title,
    addnodes.desc, nodes.glossary if hasattr(nodes, "glossary") else addnodes.glossary,
)  # fmt: skip

Entry = dict[str, str]  # where (address), page, title, text


def setup(app: Any) -> None:
    """Take the place of Sphinx's own search, which needs a server and marks nothing."""
    app.connect("builder-inited", without_own_search)
    app.connect("doctree-resolved", note)
    app.connect("html-collect-pages", lambda app: [("search", {"title": "Search"}, "search.html")])
    app.connect("html-page-context", without_old_scripts, priority=950)
    app.connect("build-finished", write)


def without_own_search(app: Any) -> None:
    app.builder.search = False
    app.genlab_search = {}


def note(app: Any, doctree: nodes.document, page: str) -> None:
    """Remember the entries of a page that is written."""
    if app.builder.format == "html":
        app.genlab_search[page] = list(entries(doctree, app.builder.get_target_uri(page)))


def without_old_scripts(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    scripts = context.get("script_files", [])
    context["script_files"] = [
        s for s in scripts if not str(getattr(s, "filename", s)).endswith(OLD)
    ]


def write(app: Any, exception: Exception | None) -> None:
    """Write the script; pages that were not written now are as in the last build."""
    if exception or app.builder.format != "html":
        return
    kept = Path(app.doctreedir) / "search.json"
    before = json.loads(kept.read_text("utf-8")) if kept.is_file() else {}
    pages = {page: found for page, found in (before | app.genlab_search).items()}
    pages = {page: pages[page] for page in sorted(pages) if page in app.env.found_docs}
    kept.write_text(json.dumps(pages), "utf-8")
    told = [entry for found in pages.values() for entry in found]
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    (Path(app.outdir) / "search-texts.js").write_text(f"genlabTexts({text});\n", "utf-8")


def entries(doctree: nodes.document, address: str) -> Iterator[Entry]:
    """An entry for each section of a page, for each term of a glossary, each definition of the
    library and each row with a name in a table."""
    page = title_of(next(iter(doctree.findall(nodes.section)), None))
    words = " ".join(
        meta["content"] for meta in doctree.findall(nodes.meta) if meta.get("name") == "keywords"
    )
    for section in doctree.findall(nodes.section):
        first = section.parent is doctree
        where = address if first else f"{address}#{section['ids'][0]}"
        found = " ".join(filter(None, map(said, section.children)))
        yield entry(where, page, title_of(section), f"{found} {words if first else ''}")
    for item in doctree.findall(nodes.definition_list_item):
        term = item.next_node(nodes.term)
        if isinstance(item.parent.parent, addnodes.glossary) and term is not None and term["ids"]:
            text = " ".join(d.astext() for d in item.findall(nodes.definition))
            yield entry(f"{address}#{term['ids'][0]}", page, term.astext(), text)
    for desc in doctree.findall(addnodes.desc):
        sign, about = desc.next_node(addnodes.desc_signature), desc.next_node(nodes.paragraph)
        if sign is not None and sign["ids"]:
            text = about.astext() if about is not None else ""
            yield entry(f"{address}#{sign['ids'][0]}", page, sign["ids"][0], text[:300])
    for raw in doctree.findall(nodes.raw):
        if "<tr id=" in raw.astext():
            for row in BeautifulSoup(raw.astext(), "html.parser").select("tr[id]"):
                text = " ".join(cell.get_text(" ") for cell in row.find_all("td"))
                yield entry(f"{address}#{row['id']}", page, str(row["id"]), text)


def entry(where: str, page: str, title: str, text: str) -> Entry:
    text = re.sub(r"\s+", " ", text).strip()[:MOST]
    return {"where": where, "page": page, "title": title, "text": text}


def title_of(section: nodes.Element | None) -> str:
    title = section.next_node(nodes.title) if section is not None else None
    return title.astext() if title is not None else ""


def said(node: nodes.Node) -> str:
    """The text of a node without code, formulas, and what has an entry of its own."""
    if isinstance(node, SILENT):
        return ""
    if isinstance(node, nodes.Text):
        return node.astext()
    if isinstance(node, nodes.TextElement):
        return node.astext()
    return " ".join(filter(None, map(said, node.children)))
