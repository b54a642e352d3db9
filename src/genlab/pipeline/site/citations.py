"""The list of references: labels of author and year, and below each entry the pages that cite."""

from collections.abc import Iterable, Iterator
from typing import Any

from docutils import nodes
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as Plain
from sphinx.transforms.post_transforms import SphinxPostTransform

from genlab.pipeline.site.places import back_links


class AuthorYear:
    """Labels such as "Ho et al., 2020"; the letter of a year that two works share is in the file of
    references, where the text finds it, too."""

    def format_labels(self, entries: Iterable[Any]) -> Iterator[str]:
        for entry in entries:
            yield f"{_authors(entry)}, {entry.fields['year']}"


def _authors(entry: Any) -> str:
    names = [
        " ".join(map(str, (*person.rich_prelast_names, *person.rich_last_names)))
        for person in entry.persons["author"]
    ]
    return f"{names[0]} et al." if len(names) > 2 else " and ".join(names)


class Style(Plain):
    """Entries in the order of their authors, with labels of author and year."""

    default_label_style = "genlab_author_year"


class Entries(SphinxPostTransform):
    """The list of references as a list: label, entry, and the pages that cite it.

    What docutils makes of citations is a list whose items are none to a screen reader.
    """

    default_priority = 6  # bibtex makes the citations at 5, references are resolved at 10

    def run(self, **_: Any) -> None:
        for parent in {entry.parent for entry in self.document.findall(nodes.citation)}:
            made = nodes.bullet_list("", classes=["genlab-references"])
            made += [self._item(entry) for entry in parent.findall(nodes.citation)]
            parent.children = []
            parent += made

    def _item(self, entry: nodes.citation) -> nodes.list_item:
        label, text = entry.children
        text.insert(0, nodes.strong("", label.astext(), classes=["genlab-label"]))
        text.insert(1, nodes.Text(" "))
        places = citing(self.env, entry["ids"][0])
        back = back_links(self.app, self.env.docname, "Cited in", places)
        return nodes.list_item("", text, *back, ids=entry["ids"])


def citing(env: Any, anchor: str) -> dict[str, str]:
    """Where each page first cites the entry of the references that has this anchor: {page: place
    there}."""
    domain, places = env.get_domain("cite"), {}
    keys = {citation.key for citation in domain.citations if citation.citation_id == anchor}
    for ref in domain.citation_refs:
        if keys & {target.key for target in ref.targets}:
            places.setdefault(ref.docname, ref.citation_ref_id)
    return places


def pages_of_references(env: Any) -> set[str]:
    """The pages that list references: other pages change what they show."""
    return {key.docname for key in env.get_domain("cite").bibliographies}


def setup(app: Any) -> None:
    """Tell pybtex the style, and connect to Sphinx."""
    register_plugin("pybtex.style.labels", "genlab_author_year", AuthorYear)
    register_plugin("pybtex.style.formatting", "genlab", Style)
    app.add_post_transform(Entries)
    app.connect("env-updated", lambda app, env: pages_of_references(env))
