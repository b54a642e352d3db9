"""Links back: from an entry of the glossary or of the references to the pages that lead to it."""

from typing import Any, NamedTuple

from docutils import nodes


class Place(NamedTuple):
    """A place on a page."""

    docname: str
    anchor: str


def back_links(app: Any, here: str, words: str, places: list[Place]) -> list[nodes.Node]:
    """A small line of links to `places` in the order of the book, each named by its page's number
    and title; no line if there are none."""
    if not places:
        return []
    order = list(app.env.collect_relations())
    line = nodes.paragraph("", nodes.Text(f"{words} "), classes=["genlab-back"])
    for i, place in enumerate(sorted(places, key=lambda p: order.index(p.docname))):
        address = f"{app.builder.get_relative_uri(here, place.docname)}#{place.anchor}"
        line += [nodes.Text(" · ")] * (i > 0)
        said = page_name(app.env, place.docname)
        line += nodes.reference("", said, refuri=address, internal=True)
    return [line]


def page_name(env: Any, docname: str) -> str:
    """Title of a page, with its number in the book if it has one."""
    number = env.toc_secnumbers.get(docname, {}).get("", ())
    return " ".join([".".join(map(str, number)), env.titles[docname].astext()]).strip()
