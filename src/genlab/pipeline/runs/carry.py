"""Published results carried to changed code, where the change is shown to change nothing.

The quick profile is run on the files of the commit that computed the result and on those of today; if every metric, array
and picture is the same bit for bit, the record gets today's key and says so.  What such a certificate does not cover: code
that only the full profile reaches.
"""

import datetime
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat
import numpy as np

from genlab.pipeline.runs import keys, store
from genlab.pipeline.runs.pages import Section, get_section, read_section
from genlab.pipeline.runs.trees import by_commit, environment, package_in, tree_at
from genlab.section import code
from genlab.section.paths import PACKAGE, ROOT, RUNS, UserError
from genlab.section.states import state_name

PICTURES = (
    "image/",
    "text/html",
    "application/vnd.plotly",
)  # what a reader sees of a cell's output


def carry(names: Iterable[str]) -> Iterator[tuple[str, bool, str]]:
    """Carry published runs to the present code; (section, whether it is current now, what was compared or what moved).

    UserError if the code that runs here is not the code of a commit.
    """
    commit, dirty = store.git_state()
    if commit is None or dirty:
        raise UserError(
            "notebooks, src or requirements.lock differ from their commit: commit them first, then carry"
        )
    stale = []
    for name in names:
        run = store.published(name)
        if run and run.record["key"] == keys.current_key(name, "full"):
            yield name, True, "is current"
        else:
            stale.append(name)
    for commit, runs in by_commit(stale).items():
        with tree_at(commit) as tree:
            wanted = [run.record["section"] for run in runs]
            _run_quick(tree, wanted)
            _run_quick(ROOT, wanted)
            for run in runs:
                yield _carry_one(run, tree)


def _run_quick(tree: Path, names: list[str]) -> None:
    """The quick profile of these sections, by the tree's own `genlab`.  UserError if one fails."""
    project = tree / "pyproject.toml"
    scripts = (
        tomllib.loads(project.read_text("utf-8"))["project"]["scripts"] if project.is_file() else {}
    )
    module, function = scripts.get("genlab", "genlab.report.cli:main").split(":")
    command = [
        sys.executable,
        "-c",
        f"from {module} import {function}; {function}()",
        "run",
        *names,
        "--profile",
        "quick",
    ]
    done = subprocess.run(
        command, env=environment(tree), stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        where = "here" if tree == ROOT else "at its commit"
        raise UserError(
            f"the quick profile of {', '.join(names)} does not run {where}: nothing was carried"
        )


def _carry_one(run: store.Run, tree: Path) -> tuple[str, bool, str]:
    record = run.record
    name, origin = record["section"], record.get("carried", [record])[0]
    section, old = get_section(name), read_section(tree / "notebooks" / f"{name}.md")
    computed = keys.own_parts(old, record["params"], record["profile"], package_in(tree))["code"]
    first = origin["code"] if "carried" in record else record["key_parts"]["code"]
    if computed != first:
        return (
            name,
            False,
            f"its files at {record['commit']} are not those that computed it: run it again",
        )
    try:
        parts = keys.key_parts(section, section.values(record["profile"], {}), record["profile"])
    except keys.Unfinished as error:
        return name, False, str(error)
    changed = [p for p in parts if p != "code" and parts[p] != record["key_parts"].get(p)]
    if changed:
        return name, False, f"more than its code changed ({', '.join(changed)}): run it again"
    before, after = _newest_quick(tree, name), store.find(name, keys.current_key(name, "quick"))
    if moved := differences(before, after):
        more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
        return name, False, f"not the same: {'; '.join(moved[:3])}{more}"
    counts = {
        "metrics": len(after.record["metrics"]),
        "arrays": len(arrays(after)),
        "pictures": len(pictures(after)),
    }
    note = {
        "from": record["key"], "to": keys.key_of(parts), "code": record["key_parts"]["code"], "commit": store.git_state()[0],
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(), "equal": counts,
    }  # fmt: skip
    store.rewrite(run, parts, keys.code_behind(section), carried=[*record.get("carried", []), note])
    followed = _states_follow(tree, old, section, record["device"])
    counts |= {"trained states": followed} if followed else {}
    return name, True, "equal: " + ", ".join(f"{n} {what}" for what, n in counts.items())


def _states_follow(tree: Path, old: Section, new: Section, device: str) -> int:
    """Give the states of the section's remembered trainings the names they have under the present code; how many."""
    libraries = code.library(package_in(tree)), code.library(PACKAGE)
    calls = [
        [r for refs in code.arguments(lib, keys.trees(s), "remember") for r in refs[:1]]
        for lib, s in zip(libraries, (old, new), strict=True)
    ]
    count = 0
    for before, after in set(zip(*calls, strict=False)) if len(calls[0]) == len(calls[1]) else ():
        for threads in map(str, keys.THREADS.values()):
            stems = [
                state_name(lib, ref, device, threads)
                for lib, ref in zip(libraries, (before, after), strict=True)
            ]
            for file in (
                (RUNS / "trained").glob(f"{stems[0]}-*.pkl") if stems[0] != stems[1] else ()
            ):
                copy = file.with_name(file.name.replace(*stems))
                if not copy.exists():
                    shutil.copy2(file, copy)
                    count += 1
    return count


def _newest_quick(tree: Path, name: str) -> store.Run:
    """The run that `_run_quick` made."""
    runs = [store.at(f.parent) for f in (tree / "runs" / name).glob("*/record.json")]
    return max(
        (r for r in runs if r.record["profile"] == "quick"),
        key=lambda r: r.record_file.stat().st_mtime,
    )


def pictures(run: store.Run) -> list[str]:
    """Everything that the run's cells show: pictures, animations, tables, in the order of the page."""
    cells = nbformat.read(run.notebook, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [
        str(content)
        for output in outputs
        for kind, content in output.get("data", {}).items()
        if kind.startswith(PICTURES)
    ]


def arrays(run: store.Run) -> dict[str, np.ndarray]:
    return dict(np.load(run.arrays)) if run.arrays else {}


def differences(before: store.Run, after: store.Run) -> list[str]:
    """What is not the same bit for bit in two runs, in words."""
    a, b = before.record["metrics"], after.record["metrics"]
    found = [f"metric {m} is gone" for m in a if m not in b] + [
        f"metric {m} is new" for m in b if m not in a
    ]
    for m in (m for m in a if m in b and a[m] != b[m]):
        part = next(k for k in (*a[m], *b[m]) if a[m].get(k) != b[m].get(k))
        found.append(f"metric {m}: {part} {a[m].get(part)!r} -> {b[m].get(part)!r}")
    x, y = arrays(before), arrays(after)
    found += [f"array {n} is {'new' if n in y else 'gone'}" for n in sorted(x.keys() ^ y.keys())]
    for n in sorted(x.keys() & y.keys()):
        if (x[n].dtype, x[n].shape, x[n].tobytes()) != (y[n].dtype, y[n].shape, y[n].tobytes()):
            found.append(f"array {n} differs")
    p, q = pictures(before), pictures(after)
    if len(p) != len(q):
        found.append(f"{len(p)} pictures and tables before, {len(q)} now")
    return found + [
        f"picture {i} differs"
        for i, (s, t) in enumerate(zip(p, q, strict=False), start=1)
        if s != t
    ]
