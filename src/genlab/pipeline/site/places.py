"""Links back: from an entry of the glossary or of the references to the pages that lead to it; and
what a node stands in."""

from collections.abc import Mapping
from typing import Any

from docutils import nodes


def around(node: nodes.Node, kinds: type | tuple[type, ...]) -> nodes.Node | None:
    """The nearest node of these kinds in which a node stands."""
    while (node := node.parent) is not None:
        if isinstance(node, kinds):
            return node
    return None


def back_links(app: Any, here: str, words: str, places: Mapping[str, str]) -> list[nodes.Node]:
    """A small line of links to `places`, the anchor on each page, in the order of the book, each
    named by its page's number and title; no line if there are none."""
    if not places:
        return []
    line = nodes.paragraph("", nodes.Text(f"{words} "), classes=["genlab-back"])
    for i, page in enumerate(sorted(places, key=list(app.env.collect_relations()).index)):
        address = f"{app.builder.get_relative_uri(here, page)}#{places[page]}"
        line += [nodes.Text(" · ")] * (i > 0)
        line += nodes.reference("", page_name(app.env, page), refuri=address, internal=True)
    return [line]


def page_name(env: Any, docname: str) -> str:
    """Title of a page, with its number in the book if it has one."""
    number = env.toc_secnumbers.get(docname, {}).get("", ())
    return " ".join([".".join(map(str, number)), env.titles[docname].astext()]).strip()
