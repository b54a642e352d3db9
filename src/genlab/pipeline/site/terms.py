"""Words of the glossary in the text of pages: the first on a page leads to its entry, and below the
entry stand the pages that use the word."""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

from genlab.pipeline.site.places import around, back_links

BLOCK = re.compile(r"^(`{3,}|:{3,})\{glossary\}[^\n]*\n(.*?)^\1", re.DOTALL | re.MULTILINE)
COMMENT = ".. in the text:"
OPAQUE = (
    nodes.title,
    nodes.term,
    nodes.reference,
    nodes.literal,
    nodes.FixedTextElement,
    nodes.math,
    nodes.thead,
    nodes.caption,
    nodes.Admonition,
    nodes.Invisible,
    addnodes.pending_xref,
)  # what holds these texts is a link already, is no prose, or shall stay quiet

USES = "genlab-words"  # of a page's metadata, which Sphinx keeps: the words it uses, and where
Entries = tuple[tuple[str, ...], ...]  # of each entry its first name, and the forms to look for


def words_below(folder: Path) -> Entries:
    """The entries of all glossaries in the Markdown pages below a folder, read before Sphinx."""
    pages = (path.read_text("utf-8") for path in sorted(folder.rglob("*.md")))
    return tuple(names for page in pages for names in entries(page))


def entries(page: str) -> Iterator[tuple[str, ...]]:
    """Of each entry in the glossaries of a page its first name, and the forms to look for: all its
    names or, where these are everyday words, those of a comment `.. in the text: the score, …`."""
    for _, block in BLOCK.findall(page):
        for part in re.split(r"\n\s*\n", block):
            lines = [line for line in part.splitlines() if re.match(r"[^\s:]", line)]
            names = [line for line in lines if not line.startswith(COMMENT)]
            told = [line.removeprefix(COMMENT).split(",") for line in lines if line not in names]
            if names:
                yield names[0], *(map(str.strip, told[0]) if told else names)


def within(text: str, words: Entries) -> Iterator[tuple[int, int, str]]:
    """Start, end and first name of the entry, of each whole word of the glossary in `text`."""
    pattern, firsts = _matcher(words)
    for found in pattern.finditer(text):
        yield found.start(), found.end(), firsts[found.lastgroup]


@lru_cache
def _matcher(words: Entries) -> tuple[re.Pattern[str], dict[str, str]]:
    named = [(form, first) for first, *forms in words for form in forms]
    named.sort(key=lambda pair: -len(pair[0]))  # the longest that fits
    forms = "|".join(f"(?P<w{i}>{_form(name)})" for i, (name, _) in enumerate(named))
    pattern = re.compile(rf"(?<![\w\-/])(?:{forms or '(?!)'})(?![\w\-/])")
    return pattern, {f"w{i}": first for i, (_, first) in enumerate(named)}


def _form(name: str) -> str:
    """A pattern of a name: singular or plural, at any break of a line; a small letter may stand for
    the first one unless it is part of an acronym."""
    first, rest = re.escape(name[0]), r"\s+".join(map(re.escape, name[1:].split(" ")))
    if not any(sign.isupper() or sign.isdigit() for sign in name.split()[0][1:]):
        first = f"[{re.escape(name[0].upper())}{re.escape(name[0].lower())}]"
    return f"{first}{rest[:-1]}(?:y|ies)" if rest.endswith("y") else f"{first}{rest}(?:s|es)?"


class Links(SphinxTransform):
    """Make the first of each word on a page a link, and remember the place."""

    default_priority = 840  # after quotes became curly ones (750), before the index is read (850)

    def apply(self, **_: Any) -> None:
        docname = self.env.docname
        if docname.startswith("reference/"):  # signatures and docstrings, where a word is a name
            return
        words, seen = self.config.genlab_words, {}
        for text in [text for text in _texts(self.document) if not around(text, OPAQUE)]:
            entry = around(text, nodes.definition_list_item)
            own = {term.astext().lower() for term in entry.findall(nodes.term)} if entry else set()
            parts, end = [], 0
            for start, stop, name in within(text, words):
                if name in seen or name.lower() in own:
                    continue
                seen[name] = f"word-{nodes.make_id(name)}"
                parts += [nodes.Text(text[end:start]), *self._link(text[start:stop], name, seen)]
                end = stop
            if parts:
                text.parent.replace(text, [*parts, nodes.Text(text[end:])])
        self.env.metadata[docname][USES] = seen

    def _link(self, said: str, name: str, seen: dict[str, str]) -> list[nodes.Node]:
        """A reference for Sphinx to resolve, and a line in the index: below the word the page."""
        shown = nodes.inline(said, said, classes=["genlab-term"], ids=[seen[name]])
        link = addnodes.pending_xref(
            "", shown, refdomain="std", reftype="term", reftarget=name, refexplicit=True,
            refwarn=True, refdoc=self.env.docname,
        )  # fmt: skip
        if self.document.next_node(addnodes.glossary):  # an entry is in the index as itself
            return [link]
        title = self.document.next_node(nodes.title)
        line = f"{name}; {title.astext() if title else self.env.docname}"
        return [addnodes.index(entries=[("single", line, seen[name], "", None)]), link]


def _texts(document: nodes.document) -> list[nodes.Text]:
    """All texts, those of lines that follow each other in one."""
    for element in list(document.findall(nodes.TextElement)):
        joined: list[nodes.Node] = []
        for are_texts, found in groupby(element.children, lambda c: isinstance(c, nodes.Text)):
            children = list(found)
            joined += [nodes.Text("".join(children))] if are_texts else children
        if len(joined) < len(element.children):
            element.children = []
            element += joined
    return list(document.findall(nodes.Text))


def below_entries(app: Any, doctree: nodes.document, docname: str) -> None:
    """Say below each entry of a glossary which pages use the word."""
    glossaries = pages_of_glossaries(app.env)
    uses = {page: about.get(USES, {}) for page, about in app.env.metadata.items()}
    for glossary in doctree.findall(addnodes.glossary):
        for item in glossary.findall(nodes.definition_list_item):
            name = next(item.findall(nodes.term)).astext()
            using = (page for page in uses if page not in glossaries and name in uses[page])
            places = {page: uses[page][name] for page in using}
            item[-1] += back_links(app, docname, "Used in", places)


def pages_of_glossaries(env: Any) -> set[str]:
    """The pages that have a glossary: other pages change what they show."""
    terms = env.get_domain("std").get_objects()
    return {docname for _, _, kind, docname, _, _ in terms if kind == "term"}


def setup(app: Any) -> None:
    """Connect to Sphinx; a change in the words makes it read every page again."""
    app.add_config_value("genlab_words", words_below(Path(app.srcdir)), "env")
    app.add_transform(Links)
    app.connect("doctree-resolved", below_entries)
    app.connect("env-updated", lambda app, env: pages_of_glossaries(env))
