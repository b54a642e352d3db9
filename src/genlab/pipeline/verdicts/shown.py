"""Claims and verdicts as the book shows them: a word in prose, the table of a page, the ledger of
all claims and its summary."""

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape
from rich.markup import escape as escaped
from rich.table import Table

from genlab.pipeline import options
from genlab.pipeline.html import number, sortable
from genlab.pipeline.runs.pages import section_names
from genlab.pipeline.verdicts import accepted
from genlab.pipeline.verdicts.claims import WORDS, Case, Claims, Records, Verdict, read, verdicts
from genlab.pipeline.verdicts.rules import Comparison
from genlab.section.paths import UserError

QUOTED = re.compile(r"\{glue:text\}`claim/([A-Z]\d{2,3})`")
OF_PAGE = "<!-- genlab:claims -->"
NOT_JUDGED = "not judged (only full runs are)"
HEADS = ("claim", "what the source says", "verdict", "by how much", "page")
COLUMNS = ("claim", "source", "where", "says", "verdict")
LEDGER = "../book/claims.html"
COMPUTED = (
    "Verdicts are computed from the recorded numbers, each comparison by an interval of 99 %; "
    f'the <a href="{LEDGER}">ledger of claims</a> says how.'
)
MANY = 12  # claims: more are folded


@dataclass(frozen=True)
class Judged:
    """The claims as a book shows them: with their verdicts, or without (None), where its numbers
    are no results.  `before`: the accepted verdicts."""

    found: Claims
    verdicts: Mapping[str, Verdict] | None = None
    before: Mapping[str, Mapping[str, Any]] | None = None

    @classmethod
    def of(cls, records: Records | None = None, stale: frozenset[str] = frozenset()) -> "Judged":
        """By these records; without them, claims that are not judged."""
        found = read()
        if records is None:
            return cls(found)
        return cls(found, verdicts(found, records, stale), accepted.read())

    def filled(self, text: str, page: str) -> str:
        """Prose of a page with the verdict of every claim that it quotes, a link to the ledger, and
        the table of the claims that the page judges in the place of OF_PAGE.  UserError for a claim
        that is not there."""

        def word(quoted: re.Match) -> str:
            if quoted[1] not in {claim.id for claim in self.found.claims}:
                raise UserError(f"{page} quotes claim {quoted[1]}, which book/claims.yaml has not")
            if self.verdicts is None:
                return NOT_JUDGED
            return str(_linked(quoted[1], _badge(self.verdicts[quoted[1]].word)))

        text = QUOTED.sub(word, text)
        return text.replace(OF_PAGE, self.of_page(page)) if OF_PAGE in text else text

    def of_page(self, page: str) -> str:
        """The claims that this page judges, with their verdicts: Markdown, folded if they are
        many."""
        if self.verdicts is None:
            return f"*The claims that this page judges: {NOT_JUDGED}.*"
        own = [v for v in self.verdicts.values() if v.claim.page == page]
        rows = [
            (_linked(v.claim.id, v.claim.id), v.claim.claim, _badge(v.word), _why(v)) for v in own
        ]
        table = sortable(HEADS[:4], rows, plain=True)
        if len(own) > MANY:
            title = f"All {len(own)} claims of the sources that this page judges"
            table = f"```{{admonition}} {title}\n:class: dropdown\n\n{table}\n```"
        return f"{COMPUTED}\n\n{table}"

    def ledger(self) -> str:
        """All claims with their verdicts: HTML for a page."""
        if self.verdicts is None:
            return f"*{NOT_JUDGED.capitalize()}.*"
        rows = [_row(v, self.before.get(id_, {})) for id_, v in self.verdicts.items()]
        return sortable(HEADS, rows, ids=list(self.verdicts))

    def summary(self) -> str:
        """How many claims of each source have which verdict: a Markdown table."""
        if self.verdicts is None:
            return ""
        rows = [f"| source | {' | '.join(WORDS)} | claims |"]
        rows.append("|---|" + "--:|" * (len(WORDS) + 1))
        titles = {id_: f"{id_}, *{s.title}*" for id_, s in self.found.sources.items()}
        for id_, title in (titles | {"": "all"}).items():
            judged = self.verdicts.values()
            words = Counter(v.word for v in judged if id_ in ("", v.claim.source))
            counts = " | ".join(str(words[word]) for word in WORDS)
            rows.append(f"| {title} | {counts} | {words.total()} |")
        return "\n".join(rows)

    def csv(self) -> str:
        """All claims as CSV, a line a case."""
        out = io.StringIO()
        write = csv.writer(out, lineterminator="\n").writerow
        write([*COLUMNS, "rule", "met", "effect", "low", "high"])
        for verdict in (self.verdicts or {}).values():
            claim = verdict.claim
            about = [claim.id, claim.source, claim.where, claim.claim, verdict.word]
            if not verdict.cases:
                write([*about, claim.open or claim.untestable, "", "", "", ""])
            for case in verdict.cases:
                one = case.comparisons[0] if len(case.comparisons) == 1 else None
                bounds = [one.effect, one.low, one.high] if one else ["", "", ""]
                write([*about, case.rule, MET[case.met][0], *bounds])
        return out.getvalue()


def table(judged: Judged, words: Sequence[str] = ()) -> Table:
    """For the terminal: the claims that the words name, by id or page; without words all.  The
    margin is that of the comparison that is closest to turning, in half widths of its interval.
    UserError for a word that names none."""
    known = {name for claim in judged.found.claims for name in (claim.id, claim.page)}
    if unknown := [word for word in words if word not in known]:
        raise UserError(f"{unknown[0]!r} is no claim and no page that judges one")
    heads = ("claim", "page", "verdict", "cases", "margin", "what the source says")
    made = options.table(*heads)
    for verdict in judged.verdicts.values():
        claim = verdict.claim
        if not words or {claim.id, claim.page} & set(words):
            cases = " ".join(MET[case.met][1] for case in verdict.cases)
            about = "; ".join((claim.claim, *verdict.unsure))
            margin = accepted.margin(verdict)
            told = "" if margin is None else f"{margin:.1f}"
            made.add_row(claim.id, claim.page, verdict.word, cases, told, escaped(about))
    return made


MET = {True: ("yes", "✓"), False: ("no", "✗"), None: ("undecided", "?")}


def _row(verdict: Verdict, before: Mapping[str, Any]) -> tuple:
    claim, word = verdict.claim, _badge(verdict.word)
    if was := accepted.replaced(verdict, before):
        word += Markup("<br><small>was: {}</small>").format(was)
    link = Markup('<a href="../notebooks/{0}.html">{0}</a>').format(claim.page)
    page = link if claim.page in section_names() else claim.page  # open claims name pages to come
    place = Markup("{}<br><small>{}</small>").format(claim.id, claim.where)
    return place, claim.claim, word, _why(verdict), page


def _why(verdict: Verdict) -> Markup:
    """What the verdict rests on: its cases, or why there are none."""
    claim = verdict.claim
    if not verdict.cases:
        more = f" In its place: {claim.instead}." if claim.instead else ""
        return escape((claim.open or claim.untestable) + more)
    body = Markup("<br>").join(map(_case, verdict.cases))
    for more in (claim.why, "; ".join(verdict.unsure)):
        body += Markup("<br><small>{}</small>").format(more) if more else ""
    return Markup(
        '<div class="genlab-why"><details><summary>{}</summary>{}</details></div>'
    ).format(_in_brief(verdict.cases), body)


def _in_brief(cases: Sequence[Case]) -> str:
    """How many cases are met, and of a single comparison by how much."""
    if len(cases) == 1 and len(cases[0].comparisons) == 1:
        return _margin(cases[0].comparisons[0])
    unknown = sum(case.met is None for case in cases)
    more = f", {unknown} undecided" if unknown else ""
    return f"{sum(case.met is True for case in cases)} of {len(cases)} cases{more}"


def _case(case: Case) -> Markup:
    """A case: each comparison, by how much it is met and its interval."""
    told = [Markup("<code>{}</code>: {}").format(c.text, _margin(c)) for c in case.comparisons]
    return Markup("{} {}").format(MET[case.met][1], Markup("; ").join(told))


def _margin(comparison: Comparison) -> str:
    """By how much a comparison is met, negative if it is not, and the interval of that."""
    interval = ""
    if comparison.low is not None:
        interval = f" [{number(comparison.low)}, {number(comparison.high)}]"
    return f"{comparison.effect:+.3g}{interval}".replace("-", "\N{MINUS SIGN}")


def _badge(word: str) -> Markup:
    return Markup('<span class="genlab-verdict genlab-{}">{}</span>').format(
        word.replace(" ", "-"), word
    )


def _linked(id_: str, text: str | Markup) -> Markup:
    """A link to the claim's line in the ledger."""
    return Markup('<a href="{}#{}">{}</a>').format(LEDGER, id_, text)
