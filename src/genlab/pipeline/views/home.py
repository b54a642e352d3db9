"""The first page of the book: what was found, and a card for each chapter.

Words are data (book/cards.yaml), numbers are quoted from the runs that the book shows, and each
sentence may name the rules over recorded numbers that must be met for it to be said.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import nbformat
import yaml
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict

from genlab.pipeline.html import plain
from genlab.pipeline.runs.pages import get_section, section_names, toc_files
from genlab.pipeline.runs.parameters import nearest
from genlab.pipeline.verdicts import rules
from genlab.pipeline.verdicts.claims import Records, decided, from_yaml, recorded
from genlab.pipeline.verdicts.shown import NOT_JUDGED, Judged
from genlab.pipeline.views import pictures, quotes
from genlab.section.paths import ROOT, UserError

CARDS = ROOT / "book" / "cards.yaml"
FOLDER = "book/vendor/home"  # Sphinx copies what lies in book/vendor to the root of the book
UNBACKED = "The numbers of the present runs no longer bear out the sentence that stood here."
HERO = Markup(
    '<div class="genlab-hero"><picture>'
    '<source media="(prefers-reduced-motion: reduce), print" srcset="../home/hero.png">'
    '<img src="../home/hero.webp" alt="{}" width="{}" height="{}"></picture></div>'
)
FINDING = Markup("<li><b>{}</b><p>{}</p><small>{}</small></li>")
OWN_ANSWER = "**The answer.**"
COVER = "Samples of four models over the densities that they should follow"
COUNTED = {"holds": "held", "in part": "in part", "does not hold": "did not hold"}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Said(_Strict):
    """A sentence with quoted numbers, and the rules that must be met for it to be said."""

    answer: str = ""
    holds_if: tuple[str, ...] = ()


class Finding(Said):
    """One of the results that the first page begins with, of a page."""

    title: str
    page: str


class Card(Said):
    """A chapter: its question, its answer, and the figure (the first, if none is named) of which a
    part is its picture."""

    question: str
    figure: str = ""
    part: pictures.Part = (0, 0, 1, 1)


NO_CARD = Card(question="")


class Home(_Strict):
    """The whole of book/cards.yaml.  hero: the page whose first animation opens the book."""

    hero: str = ""
    findings: tuple[Finding, ...] = ()
    cards: dict[str, Card] = {}


def read(path: Path = CARDS) -> Home:
    """The words of the first page; none where there is no such file.  UserError for a file that
    cannot be read, and for a page that is not there."""
    home = from_yaml(path, Home) if path.exists() else Home()
    for name in (*home.cards, *(f.page for f in home.findings), *filter(None, [home.hero])):
        if name not in section_names():
            raise UserError(f"{path.name} names a page {name!r}{nearest(name, section_names())}")
    return home


@dataclass(frozen=True)
class Shown:
    """What the first page is made of: its words, the records and notebooks of the pages, and the
    claims, judged or not."""

    home: Home
    records: Records
    notebooks: Mapping[str, nbformat.NotebookNode]
    judged: Judged

    @cached_property
    def figures(self) -> dict[str, pictures.Figure]:
        """The figure that stands for each page, of those that have one."""
        found = {
            name: pictures.figure(notebook, self.home.cards.get(name, NO_CARD).figure)
            for name, notebook in self.notebooks.items()
        }
        return {name: figure for name, figure in found.items() if figure}

    def said(self, sentence: Said, where: str) -> str:
        """The sentence with its numbers; UNBACKED if a rule of it is not met; nothing if a page
        that it needs cannot be shown."""
        if self.judged.verdicts is None:
            return f"{NOT_JUDGED.capitalize()}."
        asked = {page for rule in sentence.holds_if for page in _pages(rule)}
        asked |= quotes.pages(sentence.answer)
        if not asked <= self.records.keys():
            return ""
        if not all(self.met(rule, where) for rule in sentence.holds_if):
            return UNBACKED
        return quotes.of_book(sentence.answer, self.records, where)

    def met(self, rule: str, where: str) -> bool:
        """Whether the rule is met beyond doubt, by its interval of 99 %."""
        find = partial(recorded, self.records, self.judged.found.spreads)
        try:
            return rules.state(rules.judged(rule, find), decided) is True
        except UserError as error:
            raise UserError(f"{where}: {error}") from None

    def findings(self) -> str:
        """The results that the page begins with, in one line of HTML; the title of one is a
        result, too."""
        if self.judged.verdicts is None:
            return f"*{NOT_JUDGED.capitalize()}.*"
        items = []
        for finding in self.home.findings:
            text = self.said(finding, f"cards.yaml, {finding.title!r}")
            title = finding.title if text not in ("", UNBACKED) else ""
            items.append(FINDING.format(title, text, self._link(finding.page)))
        made = Markup('<ol class="genlab-findings">{}</ol>').format(Markup().join(items))
        return " ".join(made.split()) if items else ""

    def cards(self) -> str:
        """A card for each chapter, under the names of the parts: Markdown."""
        lines = []
        for part, names in parts():
            cards = Markup().join(self._card(name) for name in names)
            heading = [f"### {plain(part)}", ""] if part else []
            made = Markup('<ul class="genlab-cards">{}</ul>').format(cards)
            lines += [*heading, " ".join(made.split()), ""]
        return "\n".join(lines)

    def _card(self, name: str) -> Markup:
        card = self.home.cards.get(name, NO_CARD)
        summary = get_section(name).summary if name in self.notebooks else ""
        number = section_names().index(name) + 1
        image = Markup()
        if shown := self.figures.get(name):
            image = Markup(
                '<img src="../home/{}.webp" alt="{}" width="{}" height="{}" loading="lazy">'
            ).format(name, shown.alt or f"A figure of {name}", *pictures.SIZE)
        answer = self.said(card, f"cards.yaml, {name}")
        return Markup(
            '<li class="genlab-home-card">{}<div><h4><span>{}</span> {}</h4>'
            "<p><em>{}</em></p><p>{}</p>{}</div></li>"
        ).format(
            image, number, self._link(name), card.question or summary, answer, self._counts(name)
        )

    def brief(self, name: str) -> str:
        """The answer of a page for its first screen, with a small figure that leads to the large
        one: a block of HTML.  Nothing for a page that begins with its own, or that is not
        judged."""
        answer = self.said(self.home.cards.get(name, NO_CARD), f"cards.yaml, {name}")
        own = OWN_ANSWER in self.notebooks[name].cells[0].source
        if own or self.judged.verdicts is None or answer in ("", UNBACKED):
            return ""
        image = Markup()
        if (shown := self.figures.get(name)) and shown.name:
            image = Markup('<a href="#{}"><img src="../home/{}.webp" alt="{}"></a>').format(
                shown.name, name, f"{shown.alt}: to the figure"
            )
        made = Markup('<div class="genlab-brief">{}<p><b>In brief.</b> {}</p></div>')
        return "\n\n" + " ".join(made.format(image, answer).split()) + "\n"

    def _link(self, name: str) -> Markup:
        title = get_section(name).title if name in self.notebooks else name
        return Markup('<a href="../notebooks/{}.html">{}</a>').format(name, title)

    def _counts(self, name: str) -> Markup:
        """How many claims that the page judges have which verdict, with a link to their lines."""
        own = [c for c in self.judged.found.claims if c.page == name]
        if self.judged.verdicts is None or not own:
            return Markup()
        words = Counter(self.judged.verdicts[claim.id].word for claim in own)
        counts = {said: words[w] for w, said in COUNTED.items()}
        counts["not decided here"] = words.total() - sum(counts.values())
        told = ", ".join(f"{count} {said}" for said, count in counts.items() if count)
        return Markup(
            '<p class="genlab-counts"><a href="claims.html?rows=page:{}#every-claim">'
            "Claims: {}</a></p>"
        ).format(name, told)

    def hero(self) -> str:
        """The picture that opens the book, in one line of HTML: an animation that plays once, or a
        still where a reader wants no motion; the cover where there is no animation."""
        if moving := self._moving():
            return str(HERO.format(moving.alt, *moving.size))
        return f'<div class="genlab-hero"><img src="../_static/cover.png" alt="{COVER}"></div>'

    def _moving(self) -> pictures.Animation | None:
        notebook = self.notebooks.get(self.home.hero)
        return pictures.animation(notebook) if notebook else None

    def files(self) -> dict[str, bytes]:
        """The pictures of the page, {path in the book's source: content}."""
        files = {}
        if moving := self._moving():
            files |= {f"{FOLDER}/hero.webp": moving.webp, f"{FOLDER}/hero.png": moving.still}
        for name, shown in self.figures.items():
            part = self.home.cards.get(name, NO_CARD).part
            files[f"{FOLDER}/{name}.webp"] = pictures.small(shown.png, part)
        return files


def parts() -> list[tuple[str, list[str]]]:
    """The parts of the book that have chapters, by its table of contents: (name, chapters)."""
    toc: Any = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    listed = toc.get("parts") or [{"chapters": toc.get("chapters", [])}]
    found = []
    for part in listed:
        files = toc_files(part)
        names = [name for name in section_names() if f"notebooks/{name}" in files]
        if names:
            found.append((part.get("caption", ""), names))
    return found


def _pages(rule: str) -> set[str]:
    return {name.partition(":")[0] for name in rules.parsed(rule)[1]}
