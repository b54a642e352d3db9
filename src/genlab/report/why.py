"""Why a result is stale: what differs between the key of a stored run and the key of the code as it stands, in words."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import nbformat

from genlab.report import keys, store
from genlab.report.closure import imported_modules, module_file
from genlab.report.paths import PACKAGE
from genlab.report.sections import Section, get_section

Parts = Mapping[str, Any]


def changes(old: Parts, new: Parts) -> list[str]:
    """What differs between two keys, for one line: the part, and within it the file, parameter, package or section."""
    found = []
    for part, value in new.items():
        before = old.get(part)
        if before == value:
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            found.append(f"{part}: {', '.join(_moved(before, value))}")
        else:
            found.append(part)
    return found


def _moved(before: Mapping, now: Mapping) -> list[str]:
    return sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))


def nearest_run(section: Section, profile: str, params: Mapping[str, Any]) -> store.Run | None:
    """The stored or published run to compare with: same profile, most parameters alike, then the newest."""
    runs = store.stored(section.name)
    public = store.published(section.name)
    runs += [public] if public and public.sound else []
    runs = [r for r in runs if r.record["profile"] == profile]
    return max(runs, key=lambda r: sum(r.record["params"].get(k) == v for k, v in params.items()), default=None)


def explain(name: str, profile: str, given: Mapping[str, Any]) -> tuple[bool, list[str]]:
    """Whether the section has a current run, and the lines that say so or say what changed since the nearest one.

    A change that also reached the section through what it needs is told once.
    """
    section = get_section(name)
    params = section.values(profile, given)
    parts = keys.key_parts(section, params, profile)
    key = keys.key_of(parts)
    current = store.find(name, key)
    if current:
        where = "published" if current.record_file.parent == store.PUBLISHED else "stored"
        return True, [f"{name} ({profile}) is current: run {key}, {where}, made {_date(current)}"]
    run = nearest_run(section, profile, params)
    if run is None:
        return False, [f"{name} ({profile}) has no run: `genlab run {name} --profile {profile}` makes one"]
    lines = [f"{name} ({profile}) is stale: since run {run.record['key']}, made {_date(run)}"]
    told = {change: f"  {change}{trail}" for change, trail in _details(section, run, parts)}
    moved = _moved(run.record["key_parts"].get("needs", {}), parts["needs"])
    if moved:
        told[""] = f"  needs: {', '.join(moved)} would be run again" + ("" if told else ", because of")
    for needed in map(get_section, moved):
        values = needed.values(profile, {"seed": params["seed"]})
        before = nearest_run(needed, profile, values)
        for change, trail in _details(needed, before, keys.key_parts(needed, values, profile)) if before else ():
            told.setdefault(change, f"  {change}{trail}")
    return False, lines + list(told.values())


def _date(run: store.Run) -> str:
    record = run.record
    at = f" at commit {record['commit']}" if record.get("commit") else ""
    return record.get("started", "")[:16].replace("T", " ") + at + (" with changes" if record.get("dirty") else "")


def _details(section: Section, run: store.Run, parts: Parts) -> Iterator[tuple[str, str]]:
    """(what changed, how it reaches the section) for every part of the key but the needed sections."""
    old = run.record["key_parts"]
    if old.get("code") != parts["code"]:
        yield from ((change, "") for change in _cells(section, run))
    for part in [p for p in parts if p not in ("code", "needs")]:
        before, value = old.get(part), parts[part]
        if before == value:
            continue
        if not (isinstance(value, dict) and isinstance(before, dict)):
            yield f"{part}: {before} -> {value}" if isinstance(value, str) else f"{part}: recorded in another form", ""
            continue
        for name in _moved(before, value):
            if part == "modules":
                yield _module_change(name, before, value), _trail(section, name)
            else:
                yield f"{part}: {name} {_short(before.get(name, 'absent'))} -> {_short(value.get(name, 'absent'))}", ""


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text  # a checksum


def _module_change(name: str, before: Mapping, now: Mapping) -> str:
    path = module_file(name)
    file = "src/" + "/".join(path.parts[len(PACKAGE.parts) - 1 :]) if path else name
    what = "changed" if name in before and name in now else "no longer counts" if name in before else "newly imported"
    return f"modules: {file} {what}"


def _trail(section: Section, target: str) -> str:
    """ " (imported by notebooks/x.md through a, b)": the shortest way from the section to the module."""
    ways: list[list[str]] = [
        [m] for m in sorted(set().union(*(imported_modules(keys.plain(c)) for c in section.code_cells)))
    ]
    seen = {way[0] for way in ways}
    for way in ways:  # grows while it is read: breadth first
        if way[-1] == target:
            through = f" through {', '.join(way[:-1])}" if len(way) > 1 else ""
            return f" (imported by notebooks/{section.name}.md{through})"
        path = module_file(way[-1])
        for module in sorted(imported_modules(path.read_text()) - seen) if path else []:
            seen.add(module)
            ways.append([*way, module])
    return ""


def _cells(section: Section, run: store.Run) -> Iterator[str]:
    """Code cells that changed, by number on the page and first line."""
    notebook = nbformat.read(run.notebook, as_version=4)
    skip = {"parameters", "injected-parameters"}
    old = [c.source for c in notebook.cells if c.cell_type == "code" and not skip & set(c.metadata.get("tags", []))]
    new = section.code_cells
    for what, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            continue
        for n, cell in enumerate(new[k:m] or old[i:j], start=k + 2):  # the parameters cell is the first
            line = next((ln for ln in cell.splitlines() if ln.strip()), "").strip()
            words = {"replace": "changed", "insert": "is new", "delete": "is gone"}[what]
            yield f"code: {section.name}.md, cell {n} {words}: `{line[:80]}`"
