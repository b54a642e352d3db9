"""Claims of the sources (book/claims.yaml), and their verdicts by what the shown runs recorded.

A claim holds, holds in part, does not hold, or is undecided; is open, where no recorded number
judges it yet; or cannot be tested here.  A comparison is decided if its interval of 99 % leaves
zero out.  Of so many comparisons one in a hundred may be decided wrongly by chance; those that hold
for the whole book at once (Holm 1979) are told from those that hold alone.
"""

import fnmatch
import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from genlab.pipeline.runs.parameters import nearest
from genlab.pipeline.verdicts import rules
from genlab.pipeline.verdicts.rules import COVERAGE, Comparison, Recorded
from genlab.section.paths import ROOT, UserError

CLAIMS = ROOT / "book" / "claims.yaml"
WRONG_RATE = 1 - COVERAGE  # chance of one wrong decision or more in the whole book, by Holm
Records = Mapping[str, Mapping[str, Any]]
YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it is built
WORDS = ("holds", "in part", "does not hold", "undecided", "open", "could not be tested")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """One of the documents that the book re-runs."""

    title: str


class Spread(_Strict):
    """What `sd` means in the records of a page that does not say so itself: "sd" over `repeats`
    repetitions, "se" of the value, or "nothing" that is an error of the value."""

    names: str
    sd_is: Literal["sd", "se", "nothing"]
    repeats: int | None = None


class Claim(_Strict):
    """What a source says, in our words, and what judges it: rules, one a case (`each` makes a case
    of every value), or why there are none."""

    id: Annotated[str, Field(pattern=r"^[A-Z]\d{2,3}$")]
    source: str
    where: str
    claim: str
    kind: Literal["number", "comparison", "cause", "recommendation"]
    page: str
    each: dict[str, list[str | int | float]] = {}
    holds_if: tuple[str, ...] = ()
    why: str = ""
    open: str = ""
    untestable: str = ""
    instead: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(map(bool, (self.holds_if, self.open, self.untestable))) != 1:
            raise ValueError("needs one of holds_if, open and untestable")
        return self

    @property
    def cases(self) -> tuple[str, ...]:
        """The rules, one a case."""
        made = []
        for values in itertools.product(*self.each.values()):
            named = dict(zip(self.each, map(str, values), strict=True))
            for rule in self.holds_if:
                made.append(re.sub(r"\[(\w+)\]", lambda m, n=named: n.get(m[1], m[0]), rule))
        return tuple(dict.fromkeys(made))


class Claims(_Strict):
    """The whole of book/claims.yaml."""

    sources: dict[str, Source]
    spreads: tuple[Spread, ...] = ()
    claims: tuple[Claim, ...]


def from_yaml(path: Path, kind: Any) -> Any:
    """What a YAML file holds, as the pydantic type `kind`.  UserError, which names file, place and
    fault, if it cannot be read."""
    try:
        return TypeAdapter(kind).validate_python(yaml.load(path.read_text("utf-8"), YAML))
    except (OSError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(f"{path.name} cannot be read: {said}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path.name}: {where}: {first['msg']}") from None


def read(path: Path = CLAIMS) -> Claims:
    """The claims, none where there is no such file.  UserError, which names claim and fault, if
    they cannot be read."""
    if not path.exists():
        return Claims(sources={}, claims=())
    found, name = from_yaml(path, Claims), path.name
    ids = [claim.id for claim in found.claims]
    for claim in found.claims:
        if ids.count(claim.id) > 1:
            raise UserError(f"{name}: claim {claim.id} stands there {ids.count(claim.id)} times")
        if claim.source not in found.sources:
            raise UserError(f"{name}: claim {claim.id} is of a source {claim.source!r}, not listed")
        if claim.instead and claim.instead not in ids:
            raise UserError(f"{name}: claim {claim.id} is replaced by {claim.instead}, not there")
        for rule in claim.cases:
            _of_claim(claim, rules.parsed, rule)
    return found


@dataclass(frozen=True)
class Case:
    """One rule of a claim: whether it is met (None: undecided), and its comparisons."""

    rule: str
    met: bool | None
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True)
class Verdict:
    """A claim, judged.  word: one of WORDS.  keys: of the runs that were asked.  unsure: what
    weakens the verdict, in words."""

    claim: Claim
    word: str
    cases: tuple[Case, ...] = ()
    keys: Mapping[str, str] | None = None
    unsure: tuple[str, ...] = ()


def verdicts(
    found: Claims, records: Records, stale: frozenset[str] = frozenset()
) -> dict[str, Verdict]:
    """The verdict of every claim by these records {page: record}, of which the `stale` ones are of
    other code than the present.  UserError for a rule that names what its page's record has not."""
    asked = partial(recorded, records, found.spreads)
    cases = {
        claim.id: tuple(_of_claim(claim, _case, rule, asked) for rule in claim.cases)
        for claim in found.claims
        if pages_of(claim) <= records.keys()
    }
    sure = holm(c for of_one in cases.values() for case in of_one for c in case.comparisons)
    return {
        claim.id: _verdict(claim, cases.get(claim.id), sure, records, stale)
        for claim in found.claims
    }


def _case(rule: str, asked: Callable[[str], Recorded]) -> Case:
    node = rules.judged(rule, asked)
    return Case(rule, rules.state(node, decided), tuple(rules.comparisons(node)))


def _of_claim(claim: Claim, make: Callable, *arguments: Any) -> Any:
    """make(*arguments); a UserError says of which claim it is."""
    try:
        return make(*arguments)
    except UserError as error:
        raise UserError(f"claim {claim.id}: {error}") from None


def decided(c: Comparison) -> bool:
    """Whether the interval of a comparison leaves zero out, or nothing tells its error."""
    return c.p is None or c.p < 1 - COVERAGE


def holm(comparisons: Iterable[Comparison]) -> set[str]:
    """The texts of the comparisons that are decided for all of them at once, with at most
    WRONG_RATE of one wrong (Holm 1979)."""
    p = {c.text: c.p for c in comparisons if c.p is not None}
    sure = set()
    for i, text in enumerate(sorted(p, key=p.__getitem__)):
        if p[text] > WRONG_RATE / (len(p) - i):
            break
        sure.add(text)
    return sure


def pages_of(claim: Claim) -> set[str]:
    """The pages whose numbers judge the claim."""
    return {name.partition(":")[0] for rule in claim.cases for name in rules.parsed(rule)[1]}


def _verdict(
    claim: Claim,
    cases: tuple[Case, ...] | None,
    sure: set[str],
    records: Records,
    stale: frozenset[str],
) -> Verdict:
    pages = sorted(pages_of(claim))
    if not claim.holds_if:
        return Verdict(claim, "open" if claim.open else "could not be tested")
    if cases is None:
        missing = ", ".join(page for page in pages if page not in records)
        return Verdict(claim, "undecided", unsure=(f"no run of {missing} is shown",))
    comparisons, unsure = [c for case in cases for c in case.comparisons], []
    if any(c.unknown for c in comparisons):
        bare = all(c.p is None for c in comparisons)
        unsure.append("one run, no error is known" if bare else "errors are partly known")
    if any(c.p is not None and decided(c) and c.text not in sure for c in comparisons):
        unsure.append("by its own interval, not by Holm over the book")
    if old := [page for page in pages if page in stale]:
        unsure.append(f"stale: {', '.join(old)}")
    keys = {page: records[page]["key"] for page in pages}
    return Verdict(claim, word_of([case.met for case in cases]), cases, keys, tuple(unsure))


def word_of(met: list[bool | None]) -> str:
    """The verdict of a claim whose cases are met, not met, or undecided."""
    if True in met:
        return "holds" if all(met) else "in part"
    return "undecided" if None in met else "does not hold"


def recorded(records: Records, spreads: tuple[Spread, ...], name: str) -> Recorded:
    """The number {page:metric} or {page:metric.field} with its error, as the record tells it."""
    page, _, metric = name.partition(":")
    metrics = records[page]["metrics"]
    if metric in metrics:
        return _of_value(page, metric, metrics[metric], spreads)
    base, _, field = metric.rpartition(".")
    about = metrics.get(base, {})
    if field not in about or field not in ("limit", "null_mean", "null_sd"):
        known = nearest(metric, list(metrics))
        raise UserError(f"{{{name}}}: {page} recorded no such number{known}")
    if field == "null_mean":
        draws = about["null_draws"]
        return Recorded(about[field], about["null_sd"] / math.sqrt(draws), draws - 1)
    return Recorded(about[field], 0.0)


def _of_value(
    page: str, metric: str, about: Mapping[str, Any], spreads: tuple[Spread, ...]
) -> Recorded:
    value, sd = float(about["value"]), about.get("sd")
    if "se" in about:  # a record that says itself what its errors are
        return Recorded(value, about["se"], (about.get("repeats") or math.inf) - 1)
    told = next((s for s in spreads if fnmatch.fnmatch(f"{page}:{metric}", s.names)), None)
    kind = told.sd_is if told else None
    if kind == "sd" and sd is not None and told.repeats:
        return Recorded(value, sd / math.sqrt(told.repeats), told.repeats - 1)
    if kind == "se" and sd is not None:
        return Recorded(value, sd, (about.get("n") or math.inf) - 1)
    if kind != "nothing" and sd is None and about.get("null_sd"):
        # of one sample of a model: real samples of that size scatter so
        return Recorded(value, about["null_sd"], about["null_draws"] - 1)
    return Recorded(value)
