"""Why a result is stale: what differs between the key of a stored run and the key of the code as it
stands, in words."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from genlab.pipeline.runs import keys, store
from genlab.pipeline.runs.pages import Section, get_section
from genlab.section.code import Ref, library
from genlab.section.paths import PACKAGE

Parts = Mapping[str, Any]


def changes(old: Parts, new: Parts) -> list[str]:
    """What differs between two keys, for one line: the part, and within it the parameter, package
    or section."""
    found = []
    for part, before, value in _differing(old, new):
        names = ", ".join(_moved(before, value)) if _are_tables(before, value) else ""
        found.append(f"{part}: {names}" if names else part)
    return found


def _differing(old: Parts, new: Parts) -> Iterator[tuple[str, Any, Any]]:
    """(part, what it was, what it is) of every part that is not as it was."""
    return ((p, old.get(p), value) for p, value in new.items() if old.get(p) != value)


def _are_tables(before: Any, now: Any) -> bool:
    return isinstance(before, dict) and isinstance(now, dict)


def _moved(before: Mapping, now: Mapping) -> list[str]:
    return sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))


def nearest_run(section: Section, profile: str, params: Mapping[str, Any]) -> store.Run | None:
    """The stored or published run to compare with: same profile, most parameters alike, then the
    newest."""
    runs = list(store.stored(section.name))
    public = store.published(section.name)
    runs += [public] if public and public.sound else []
    runs = [r for r in runs if r.record["profile"] == profile]

    def alike(run: store.Run) -> int:
        return sum(run.record["params"].get(k) == v for k, v in params.items())

    return max(runs, key=alike, default=None)


def explain(
    name: str, profile: str, given: Mapping[str, Any], told: set[str] | None = None
) -> tuple[bool, list[str]]:
    """Whether the section has a current run, and the lines that say so or say what changed since
    the nearest one.

    `told`: what has been said already, for a change that reaches a section on several ways is told
    once.
    """
    told = set() if told is None else told
    section = get_section(name)
    params = section.values(profile, given)
    parts = keys.own_parts(section, params, profile)
    try:
        parts = keys.key_parts(section, params, profile)
        current = store.find(name, store.key_of(parts))
    except keys.Unfinished:
        current = None
    if current := current or (None if given else keys.current(name, profile)):
        where = "published" if current.record_file.parent == store.PUBLISHED else "stored"
        return True, [
            f"{name} ({profile}) is current: run {current.record['key']}, {where}, made "
            f"{_date(current)}, on {current.record['device']}"
        ]
    if damaged := store.damaged(name, store.key_of(parts)):
        return False, [f"{name} ({profile}) is damaged: {damaged}: `genlab run` makes it anew"]
    run = nearest_run(section, profile, params)
    if run is None:
        return False, [
            f"{name} ({profile}) has no run: `genlab run {name} --profile {profile}` makes one"
        ]
    lines = [f"{name} ({profile}) is stale: since run {run.record['key']}, made {_date(run)}"]
    found = list(details(section, run, parts))
    lines += [f"  {change}" for change in found if change.split(" (")[0] not in told]
    told |= {change.split(" (")[0] for change in found}
    for need in section.needs:
        about = _about_need(run, need, profile, parts, params["seed"], told)
        lines += [f"  {line}" for line in about]
    return False, lines


def _about_need(
    run: store.Run, need: str, profile: str, parts: Parts, seed: int, told: set[str]
) -> list[str]:
    """Whether a needed section says something else now, or has no current run, and why not."""
    if "needs" in parts:
        same = parts["needs"][need] == run.record["key_parts"].get("needs", {}).get(need)
        return [] if same else [f"needs: {need} gives other results now"]
    if f"needs {need}" in told:
        return []
    told.add(f"needs {need}")
    current, why = explain(need, profile, {"seed": seed}, told)
    return [] if current else [f"needs: {why[0]}", *why[1:]]


def _date(run: store.Run) -> str:
    record = run.record
    started = record.get("started", "")[:16].replace("T", " ")
    at = f" at commit {record['commit']}" if record.get("commit") else ""
    return started + at + (" with changes" if record.get("dirty") else "")


def details(section: Section, run: store.Run, parts: Parts) -> Iterator[str]:
    """What changed in every part of the key but the needed sections."""
    old = run.record["key_parts"]
    if old.get("scheme") != parts["scheme"]:
        yield "the form of keys"
        return
    if old["code"] != parts["code"]:
        yield from code_changes(section, run)
    for part, before, value in _differing(old, parts):
        if part in ("code", "needs"):
            continue
        if not _are_tables(before, value):
            yield f"{part}: {before} -> {value}"
            continue
        for name in _moved(before, value):
            was, is_now = (_short(table.get(name, "absent")) for table in (before, value))
            yield f"{part}: {name} {was} -> {is_now}"


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text  # a checksum


def code_changes(section: Section, run: store.Run) -> list[str]:
    """The cells and definitions that changed themselves, not only through what they use, and the
    way to each.

    A changed definition moves the digests of all that reach it; the ones that did it are those with
    nothing new below them. Definitions that were moved or renamed have the digests that they had,
    so they are not named.
    """
    behind, here, record = keys.code_behind(section), library(PACKAGE), run.record
    known = {*record["definitions"].values(), *record["cells"]}

    def same(refs: Iterable[Ref]) -> bool:
        return all(here.digest(r) in known for r in refs if not here.opaque(r.module))

    found = []
    how = "is new or changed" if len(behind.cells) > len(record["cells"]) else "changed"
    cells = zip(behind.cells, behind.refs, section.code_cells, strict=True)
    for i, (digest, refs, cell) in enumerate(cells, start=2):
        if digest not in known and same(refs):
            line = next((ln for ln in cell.splitlines() if ln.strip()), "").strip()
            found.append(f"{section.name}.md: cell {i} {how}: `{line[:80]}`")
    for ref in behind.trail:
        digest, label = here.digest(ref), here.label(ref)
        if digest in known or here.opaque(ref.module):
            continue
        below = [r for r in here.unit(ref).refs if here.digest(r) != digest]
        if same(r for r in below if r not in _circle(here, ref)):
            found.append(f"{label} {_what(label, record)} ({_trail(section, behind, ref)})")
    for label, digest in behind.definitions.items():
        if label.endswith(": at import") and digest not in known:
            found.append(f"{label} changed (a statement outside its functions)")
    return found or [_taken_out(section, record["definitions"], behind.definitions)]


def _taken_out(section: Section, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What changed where nothing is new: definitions that are not used any more, or the order."""
    gone = [name for name in before if name not in now and before[name] not in now.values()]
    if gone:
        return f"no longer used: {', '.join(gone)}"
    return f"{section.name}.md: cells were taken out or put in another order"


def _what(label: str, record: Mapping[str, Any]) -> str:
    """Whether a definition is new to the record, or was there under the same name."""
    if label in record["definitions"]:
        return "changed"
    name = label.split(": ")[-1]
    before = [old for old in record["definitions"] if old.split(": ")[-1] == name]
    return f"changed, which was in {before[0].split(': ')[0]}" if len(before) == 1 else "is new"


def _circle(here, ref: Ref) -> set[Ref]:
    """Definitions that `ref` reaches and that reach it."""
    return {r for r in here.reach([ref]) if ref in here.reach(here.unit(r).refs)}


def _trail(section: Section, behind, ref: Ref) -> str:
    """ "ebm cell 9 > train_energy > negatives > mala": the shortest way from a cell to the
    definition."""
    way = [ref]
    while behind.trail[way[0]] is not None:
        way.insert(0, behind.trail[way[0]])
    cell = next((i for i, refs in enumerate(behind.refs, start=2) if way[0] in refs), None)
    start = f"{section.name} cell {cell}" if cell else "at import"
    return " > ".join([start, *(r.name or r.module for r in way)])
