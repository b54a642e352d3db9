"""Published results carried to changed code, where the change is shown to change nothing.

The quick profile is run on the files of the commit that computed the result and on those of today;
if every metric, array and picture is the same bit for bit, the record gets today's key and says so.
A needed section may say something else in what the page does not read.
What such a certificate does not cover: code that only the full profile reaches.
"""

import datetime
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np

from genlab.pipeline.runs import keys, store
from genlab.pipeline.runs.pages import Section, computes, get_section, in_order, read_section
from genlab.pipeline.runs.trees import by_commit, environment, package_in, tree_at
from genlab.section import code
from genlab.section.paths import PACKAGE, PUBLISHED, ROOT, UserError
from genlab.section.states import state_name

# Pandas draws one at random for a styled table.
TABLE_ID = re.compile(r"\bT_[0-9a-f]{5}(?=[\"_ #])")
# What a reader sees of a cell's output.
PICTURES = ("image/", "text/html", "application/vnd.plotly")
KINDS = ("metric", "array", "picture")
REPEATS = 4  # of the old code, where what it says is not always the same
MOST_BY_CHANCE = 1 / 2  # of a kind: a page of which more is another in every run proves nothing

Thing = tuple[str, str, str]  # kind, name, and which field of a metric


@dataclass(frozen=True)
class Certificate:
    """Two equal quick runs: how much was compared, what the names of trained states were and are,
    and what the needed sections say now that say the page the same as when it was computed."""

    equal: dict[str, int]
    states: dict[str, str]
    needs: dict[str, str]


def carry(names: Iterable[str]) -> Iterator[tuple[str, bool, str]]:
    """Carry published runs to the present code; (section, whether it is current now, what was
    compared or what moved).

    UserError if the code that runs here is not the code of a commit.
    """
    if store.git_state()[1] is not False:
        raise UserError(
            "notebooks, src or requirements.lock differ from their commit: commit them first, "
            "then carry"
        )
    stale = []
    for name in in_order(names):
        run = store.published(name)
        if name in names and run and keys.is_current(run):
            yield name, True, "is current"
        elif name in names:
            stale.append(name)
    found: dict[str, Certificate | str] = {}
    for commit, runs in by_commit(stale).items():
        try:
            with tree_at(commit) as tree:
                if same := [run for run in runs if not found.setdefault(*_refusal(run, tree))]:
                    wanted = [run.record["section"] for run in same]
                    _run_quick(tree, wanted)
                    _run_quick(ROOT, wanted)
                    found |= {run.record["section"]: _certify(run, tree) for run in same}
        except UserError as error:  # of these sections; the others go on
            found |= {n: str(error) for run in runs if not found.get(n := run.record["section"])}
    for name in stale:  # each after what it needs, whose new key is part of its own
        certificate = found[name]
        if isinstance(certificate, str):
            yield name, False, certificate
        else:
            yield name, *_carried(store.published(name), certificate)


def _refusal(run: store.Run, tree: Path) -> tuple[str, str]:
    """The section, and what is wrong before anything is run: the files of the run's commit are not
    those that computed it, the page has other cells, to which its outputs are matched, or this
    machine computes on another device."""
    record = run.record
    name, first = record["section"], record.get("carried", [record["key_parts"]])[0]["code"]
    old = read_section(tree / "notebooks" / f"{name}.md")
    if keys.code_behind(old, package_in(tree)).digest != first:
        return name, f"its files at {record['commit']} are not those that computed it: run it again"
    before, now = (sum(map(computes, s.notebook.cells)) for s in (old, get_section(name)))
    if before != now:
        return name, f"not the same: {before} cells that compute before, {now} now"
    here = keys.device_class(get_section(name))
    if record["device"] != here:
        return name, f"computed on {record['device']}, and this machine would compare on {here}"
    return name, ""


def _run_quick(tree: Path, names: list[str], *more: str) -> None:
    """The quick profile of these sections, by the tree's own `genlab`.  UserError if one fails."""
    cli = next(package_in(tree).glob("*/cli.py"))  # in `pipeline`, and once in `report`
    words = ["run", *names, "--profile", "quick", *more]
    command = [sys.executable, "-m", f"genlab.{cli.parent.name}.cli", *words]
    options = {"stdout": subprocess.PIPE, "encoding": "utf-8", "check": False}
    done = subprocess.run(command, env=environment(tree), **options)
    if done.returncode:
        where = "here" if tree == ROOT else "at its commit"
        raise UserError(
            f"the quick profile of {', '.join(names)} does not run {where}: nothing was carried"
        )


def _certify(run: store.Run, tree: Path) -> Certificate | str:
    """Compare the quick runs of the tree and of this checkout; a certificate, or what is not the
    same."""
    name = run.record["section"]
    before, after = contents(_quick_run(tree, name)), contents(keys.run_of(name, "quick"))
    moved, chance = differences(before, after), set[Thing]()
    for _ in range(REPEATS):
        if moved.keys() <= chance:
            break
        # Seconds are others in every run: the same code, run again, shows what rests on them.
        _run_quick(tree, [name], "--force")
        own = differences(before, contents(_quick_run(tree, name))).keys()
        chance |= own
        if not own:
            break
    apart = Counter(kind for kind, _ in {thing[:2] for thing in chance})
    whole = Counter(kind for kind, _ in {thing[:2] for thing in after})
    if too_many := [kind for kind in apart if apart[kind] > MOST_BY_CHANCE * whole[kind]]:
        return f"the code at its commit never gives the same {too_many[0]}s: run it again"
    if said := [said for thing, said in moved.items() if thing not in chance]:
        more = f" and {len(said) - 3} more" if len(said) > 3 else ""
        return f"not the same: {'; '.join(said[:3])}{more}"
    counts = {f"{kind}s": whole[kind] - apart[kind] for kind in KINDS}
    counts |= {f"{kind}s that no two runs share": n for kind, n in apart.items()}
    old = read_section(tree / "notebooks" / f"{name}.md")
    states = _state_names(tree, old, get_section(name), run.record["device"])
    return Certificate(counts, states, dict(_needs_that_say_the_same(run, tree)))


def _needs_that_say_the_same(run: store.Run, tree: Path) -> Iterator[tuple[str, str]]:
    """(need, its content now) where the page reads arrays alone, and these are bit for bit those
    that it was computed from, as the tree has them; metrics may have come, gone and changed."""
    cells = keys.trees(get_section(run.record["section"]))
    if not code.takes_only(code.library(PACKAGE), cells, "needed", "arrays"):
        return
    for need, content in _computed_from(run.record).items():
        with suppress(UserError):  # a record of an older form proves nothing
            then = store.published(need, tree / PUBLISHED.relative_to(ROOT))
            now = store.published(need)
            if then and now and store.content(then) == content and arrays(then) == arrays(now):
                yield need, store.content(now)


def _computed_from(record: Mapping[str, Any]) -> dict[str, str]:
    """{need: its content when the record was computed}: that of the first certificate, if any."""
    carried = (note for note in record.get("carried", []) if "needs" in note)
    return next(carried, record["key_parts"])["needs"]


def _carried(run: store.Run, certificate: Certificate) -> tuple[bool, str]:
    """Give the published record the present key, and its trained states their present names."""
    record = run.record
    section = get_section(record["section"])
    try:
        params = section.values(record["profile"], {})
        parts = keys.key_parts(section, params, record["profile"], record["device"])
    except keys.Unfinished as error:
        return False, str(error)
    before = record["key_parts"]
    before = before | {"needs": before["needs"] | certificate.needs}
    if changed := [p for p in parts if p != "code" and not _agrees(p, parts, before)]:
        return False, f"more than its code changed ({', '.join(changed)}): run it again"
    note = {
        "from": record["key"],
        "to": store.key_of(parts),
        "code": record["key_parts"]["code"],
        "needs": record["key_parts"]["needs"],
        "commit": store.git_state()[0],
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "equal": certificate.equal,
    }
    behind = keys.code_behind(section)
    about = {"definitions": behind.definitions, "cells": behind.cells}
    store.rewrite(run, parts, **about, carried=[*record.get("carried", []), note])
    kept = store.rename_states(certificate.states)
    said = ", ".join(f"{n} {what}" for what, n in certificate.equal.items())
    return True, f"equal: {said}" + (f"; {kept} trained states follow" if kept else "")


def _agrees(part: str, now: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether a part of the key is as it was; of packages, those that count in both."""
    if part != "lock":
        return now[part] == before.get(part)
    return all(before["lock"].get(package, v) == v for package, v in now["lock"].items())


def _state_names(tree: Path, old: Section, new: Section, device: str) -> dict[str, str]:
    """{how the names of a remembered training's states begin in the tree: how they begin now}."""
    libraries = code.library(package_in(tree)), code.library(PACKAGE)
    calls = [
        [refs[0] for refs in code.arguments(lib, keys.trees(s), "remember") if refs]
        for lib, s in zip(libraries, (old, new), strict=True)
    ]
    names = {}
    for before, after in zip(*calls, strict=False) if len(calls[0]) == len(calls[1]) else ():
        for threads in map(str, keys.THREADS.values()):
            start = state_name(libraries[0], before, device, threads)
            names[start] = state_name(libraries[1], after, device, threads)
    return {a: b for a, b in names.items() if a != b}


def _quick_run(tree: Path, name: str) -> store.Run:
    """The run that `_run_quick` made in a tree, where there is no other, by whatever genlab it
    holds."""
    (made,) = (tree / "runs" / name).glob("*/record.json")
    return store.reseal(store.at(made.parent))


def contents(run: store.Run) -> dict[Thing, Any]:
    """All of a run that is compared: the fields of its metrics, its arrays, and its pictures."""
    metrics = run.record["metrics"].items()
    found = {("metric", name, part): v for name, about in metrics for part, v in about.items()}
    found |= {("array", name, ""): values for name, values in arrays(run).items()}
    return found | {("picture", str(i), ""): p for i, p in enumerate(pictures(run), start=1)}


def arrays(run: store.Run) -> dict[str, tuple]:
    """The arrays of a run, bit for bit."""
    found = np.load(run.arrays) if run.arrays else {}
    return {name: (x.dtype, x.shape, x.tobytes()) for name, x in sorted(found.items())}


def pictures(run: store.Run) -> Iterator[str]:
    """All that the run's cells show: pictures, animations, tables, in the order of the page."""
    for cell in nbformat.read(run.notebook, as_version=4).cells:
        for output in cell.get("outputs", []):
            for kind, content in output.get("data", {}).items():
                if kind.startswith(PICTURES):
                    yield TABLE_ID.sub("T_", str(content))


def differences(before: Mapping[Thing, Any], after: Mapping[Thing, Any]) -> dict[Thing, str]:
    """What is not the same in the contents of two runs, and how, in words."""
    things = dict.fromkeys([*before, *after])
    return {t: _how(t, before, after) for t in things if before.get(t) != after.get(t)}


def _how(thing: Thing, before: Mapping[Thing, Any], after: Mapping[Thing, Any]) -> str:
    kind, name, part = thing
    if thing not in after or thing not in before:
        return f"{kind} {name} is {'new' if thing in after else 'gone'}"
    how = f": {part} {before[thing]!r} -> {after[thing]!r}" if part else " differs"
    return f"{kind} {name}{how}"
