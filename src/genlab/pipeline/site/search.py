"""What a search can find: the sections, terms, claims and functions of every page, collected as
Sphinx reads them, and written as one script that a page loads when somebody searches."""

import json
import re
import unicodedata
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx import addnodes

from genlab.pipeline.site.places import around

INDEX = "search-index.js"
KEPT = "genlab-search"  # of a page's metadata, which Sphinx keeps: its entries
FIRST_LINES = 120  # characters of what stands below the name of a function
LONGEST_NAME = 80  # characters of the authors of a work
LONGEST = 6_000  # characters of a section: more would be a table of numbers


class Entry(NamedTuple):
    """A place that can be found."""

    kind: str  # page, section, fold, term, row, number or code
    anchor: str
    heading: str
    text: str


def setup(app: Any) -> None:
    """Sphinx collects nothing for its own search; what is found here is kept page by page."""
    app.connect("builder-inited", without_sphinx_search)
    app.connect("doctree-read", collect, priority=900)  # after all have added theirs
    app.connect("html-collect-pages", lambda app: [("search", {"title": "Search"}, "search.html")])
    app.connect("build-finished", write)


def without_sphinx_search(app: Any) -> None:
    app.builder.search = False


def collect(app: Any, doctree: nodes.document) -> None:
    app.env.metadata[app.env.docname][KEPT] = list(entries(doctree))


def found(env: Any) -> dict[str, list[Entry]]:
    """What was collected, by page."""
    return {page: about[KEPT] for page, about in sorted(env.metadata.items()) if KEPT in about}


def write(app: Any, exception: Exception | None) -> None:
    """Write the entries of all pages to the book."""
    if exception:
        return
    pages, listed, places = [], [], {}
    for docname, told in found(app.env).items():
        number = ".".join(map(str, app.env.toc_secnumbers.get(docname, {}).get("", ())))
        title = next((entry.heading for entry in told if entry.kind == "page"), docname)
        keywords = app.env.metadata[docname].get("keywords", "")
        places[docname] = len(pages)
        pages.append((app.builder.get_target_uri(docname), number, title, keywords))
        listed += [(docname, entry) for entry in told]
    listed += cited(app.env)
    told = [
        (places[docname], kind, anchor, "" if heading == anchor else heading, text)
        for docname, (kind, anchor, heading, text) in listed
    ]
    index = {"pages": pages, "entries": told}
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    Path(app.outdir, INDEX).write_text(f"genlabSearchIndex({text});\n", "utf-8")


def cited(env: Any) -> Iterator[tuple[str, Entry]]:
    """The works of the literature that is cited, each with the page of its list."""
    for citation in env.get_domain("cite").citations:
        text = " ".join(citation.formatted_entry.text.render_as("text").split())
        heading = re.split(r"(?<=\w\w)\. ", text)[0][:LONGEST_NAME]  # not after an initial
        yield citation.bibliography_key.docname, Entry("row", citation.citation_id, heading, text)


def entries(doctree: nodes.document) -> Iterator[Entry]:
    """Every place of a page that can be found, in their order by kind."""
    for section in doctree.findall(nodes.section):
        whole = isinstance(section.parent, nodes.document)
        title = section.next_node(nodes.title)
        yield Entry(
            "page" if whole else "section",
            "" if whole else section["ids"][0],
            spoken(title) if title else "",
            told(section)[:LONGEST].rstrip(";"),
        )
    for box in doctree.findall(_is_fold):
        yield Entry("fold", "", spoken(box.next_node(nodes.title)), told(box))
    for item in doctree.findall(nodes.definition_list_item):
        names = [node for node in item.children if isinstance(node, nodes.term) and node["ids"]]
        if names and isinstance(item.parent.parent, addnodes.glossary):
            heading = ", ".join(map(spoken, names))
            yield Entry("term", names[0]["ids"][0], heading, told(item.children[-1]))
    for table in doctree.findall(nodes.table):
        yield from _symbols(table)
    for described in doctree.findall(addnodes.desc):
        yield from _code(described)
    for raw in doctree.findall(nodes.raw):
        if not around(raw, nodes.container):
            yield from rows(raw.astext())


def _symbols(table: nodes.table) -> Iterator[Entry]:
    """The rows of a table that says what symbols mean."""
    rows = [[told(cell) for cell in row.children] for row in table.findall(nodes.row)]
    if rows and rows[0][0] == "symbol":
        for symbol, *meaning in rows[1:]:
            yield Entry("term", "", symbol, " · ".join(filter(None, meaning)))


def _code(described: addnodes.desc) -> Iterator[Entry]:
    """The name of a function, class or value, and the beginning of what is said of it."""
    signature = described.next_node(addnodes.desc_signature)
    first = described.next_node(nodes.paragraph)
    if signature is None or not signature["ids"]:
        return
    about = " ".join(spoken(first).split()) if first else ""
    yield Entry("code", signature["ids"][0], signature["ids"][0], about[:FIRST_LINES])


ROW = re.compile(r"<tr id=['\"]([^'\"]+)['\"]>(.*?)</tr>", re.DOTALL)
CELL = re.compile(r"<td[^>]*>(.*?)</td>", re.DOTALL)
ASIDE = re.compile(
    r"<(script|style|svg|details|template)\b.*?</\1>|<div class=[\"']genlab-(why|run).*?</div>",
    re.DOTALL,
)


def rows(html: str) -> Iterator[Entry]:
    """The rows of a table that have an anchor each: claims and recorded numbers."""
    for anchor, row in ROW.findall(html):
        name, cells = unescape(anchor), map(without_tags, CELL.findall(ASIDE.sub("", row)))
        for part in name.split(":"):  # what the name says already
            cells = [cell.removeprefix(part).lstrip() for cell in cells]
        kind = "number" if ":" in name else "row"
        yield Entry(kind, name, name, " · ".join(filter(None, cells)))


def without_tags(html: str) -> str:
    text = ASIDE.sub(" ", html).replace("<wbr>", "")
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def _is_fold(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Admonition) and "dropdown" in node["classes"]


# Code, and what has an entry of its own or shows no text.
NOT_SPOKEN = (nodes.literal_block, nodes.Invisible, nodes.footnote_reference, nodes.system_message)
NOT_SPOKEN += (addnodes.desc, addnodes.glossary)


def told(node: nodes.Element) -> str:
    """The text below the title of a node, without its subsections."""
    parts = (part for part in node.children if not isinstance(part, (nodes.section, nodes.title)))
    text = " ".join(" ".join(map(spoken, parts)).split())
    return re.sub(r"\s+(?=[,.;:)])", "", text)  # where a citation was left out


def spoken(node: nodes.Node) -> str:
    """The text of a node."""
    if isinstance(node, nodes.Text):
        return node.astext()
    if isinstance(node, (nodes.math, nodes.math_block)):
        return readable(node.astext())
    if isinstance(node, nodes.raw):
        text = node.astext()
        return "" if "genlab-run" in text or ROW.search(text) else without_tags(text)
    if isinstance(node, NOT_SPOKEN) or _is_fold(node) or _is_label(node) or "mime_type" in node:
        return ""
    parts = [spoken(child) for child in node.children]
    if isinstance(node, nodes.row):
        return " · ".join(part.strip() for part in parts if part.strip()) + ";"
    inline = isinstance(node, (nodes.TextElement, nodes.Inline))
    return "".join(parts) if inline else " ".join(parts)


def _is_label(node: nodes.Node) -> bool:
    """Whether a reference still shows the label of its target in the place of words."""
    return isinstance(node, addnodes.pending_xref) and (
        node.get("refdomain") == "cite"
        or (node.get("reftype") in ("doc", "eq", "ref", "numref") and not node.get("refexplicit"))
    )


SIGNS = {
    **dict(nabla="∇", int="∫", sum="∑", prod="∏", infty="∞", le="≤", ge="≥", ne="≠", sim="~"),
    **dict(times="×", cdot="·", to="→", leftarrow="←", mapsto="↦", propto="∝", approx="≈", pm="±"),
    **{"in": "∈", "partial": "∂", "odot": "⊙", "mid": "|"},
    **{name: name for name in ("log", "exp", "min", "max", "sup", "inf", "lim", "det", "tanh")},
}


def readable(latex: str) -> str:
    """A formula as plain text: Greek letters and common signs as they are, without commands."""

    def sign(found: re.Match) -> str:
        name = found[1]
        case = "CAPITAL" if name[0].isupper() else "SMALL"
        greek = re.sub("^var(?=[a-z])", "", name.lower())
        greek = {"lambda": "lamda"}.get(greek, greek)
        try:
            return unicodedata.lookup(f"GREEK {case} LETTER {greek.upper()}")
        except KeyError:
            return SIGNS.get(name, "")

    text = re.sub(r"\\([A-Za-z]+)", sign, latex)
    text = re.sub(r"[{}&$]", "", re.sub(r"\\.", " ", text))
    text = re.sub(r"_(\d)", lambda found: chr(0x2080 + int(found[1])), text)
    return " ".join(text.replace("^2", "²").split())
