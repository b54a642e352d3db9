"""The verdicts that were accepted (book/verdicts.json), and which have turned since.

A verdict follows from numbers, so it may turn when a page is run again.  That must not go unseen:
the tests fail until somebody has read why and accepted it with `genlab claims --accept`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from genlab.pipeline.runs import keys, store
from genlab.pipeline.runs.disk import disk_errors, write_all
from genlab.pipeline.runs.pages import section_names
from genlab.pipeline.verdicts.claims import Records, Verdict, verdicts
from genlab.pipeline.verdicts.claims import read as claims
from genlab.section.paths import ROOT, UserError

ACCEPTED = ROOT / "book" / "verdicts.json"


class Turned(NamedTuple):
    """A claim whose verdict is not the accepted one; None where there is none."""

    id: str
    before: str | None
    now: str | None


def published() -> tuple[Records, frozenset[str]]:
    """The published records {page: record}, and the pages among them that are stale."""
    found = {name: run for name in section_names() if (run := store.published(name)) and run.sound}
    stale = frozenset(name for name, run in found.items() if not keys.is_current(run))
    return {name: run.record for name, run in found.items()}, stale


def turned_here() -> list[Turned]:
    """The verdicts that are others by the full runs of this machine, with the published ones of
    the other pages, than the accepted ones."""
    records, stale = published()
    here = {name: run.record for name in section_names() if (run := keys.current(name, "full"))}
    return turned(read(), verdicts(claims(), records | here, stale - here.keys()))


def read(file: Path = ACCEPTED) -> dict[str, dict[str, Any]]:
    """{claim: what was accepted of it}; nothing if nothing was.  UserError for a file that cannot
    be read."""
    try:
        found = json.loads(file.read_text("utf-8"))
        return {id_: {"verdict": about["verdict"]} | about for id_, about in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{file.name} cannot be read: {error}: `git checkout` restores it"
        ) from None


def turned(accepted: Mapping[str, Mapping[str, Any]], now: Mapping[str, Verdict]) -> list[Turned]:
    """The claims whose verdict is not the accepted one."""
    before = {id_: about["verdict"] for id_, about in accepted.items()}
    words = {id_: verdict.word for id_, verdict in now.items()}
    return [
        Turned(id_, before.get(id_), words.get(id_))
        for id_ in sorted(before.keys() | words.keys())
        if before.get(id_) != words.get(id_)
    ]


def said(turned: list[Turned]) -> list[str]:
    """What turned, a line a claim; new claims on one line."""
    new = [t.id for t in turned if t.before is None]
    lines = [f"{t.id}: was {t.before}, is {t.now or 'gone'}" for t in turned if t.before]
    names = ", ".join(new) if len(new) < 9 else f"{len(new)} claims, {new[0]} to {new[-1]}"
    return lines + ([f"new: {names}"] if new else [])


def accept(now: Mapping[str, Verdict], file: Path = ACCEPTED) -> None:
    """Write these verdicts as the accepted ones, each with its cases, intervals and the keys of its
    runs, and with the verdict that it replaces."""
    before = read(file)
    text = json.dumps({id_: _entry(v, before.get(id_, {})) for id_, v in now.items()}, indent=1)
    with disk_errors("the verdicts"):
        write_all({file: (text + "\n").encode()})


def replaced(verdict: Verdict, before: Mapping[str, Any]) -> str | None:
    """The verdict that this one replaces, by what was accepted `before`; None if there is none."""
    return before.get("was" if before.get("verdict") == verdict.word else "verdict")


def _entry(verdict: Verdict, before: Mapping[str, Any]) -> dict[str, Any]:
    cases = []
    for case in verdict.cases:
        intervals = [[_four(x) for x in (c.effect, c.low, c.high)] for c in case.comparisons]
        cases.append({"rule": case.rule, "met": case.met, "comparisons": intervals})
    entry = {
        "verdict": verdict.word,
        "was": replaced(verdict, before),
        "unsure": verdict.unsure,
        "cases": cases,
        "keys": verdict.keys,
    }
    return {name: told for name, told in entry.items() if told}


def _four(value: float | None) -> float | None:
    """Four significant digits."""
    return None if value is None else float(f"{value:.4g}")


def margin(verdict: Verdict) -> float | None:
    """How far the closest comparison is from turning, in half widths of its interval; None if none
    has one."""
    compared = [c for case in verdict.cases for c in case.comparisons if c.high is not None]
    halves = ((c.effect, c.high - c.effect) for c in compared)
    return min((abs(effect) / half for effect, half in halves if half > 0), default=None)
