"""A section to be run, as plain values and bytes: what must be the same where it is asked for and
where it runs, and the run itself.

A task and its result are plain dicts, so that two versions of genlab can still tell each other how
they differ.
"""

import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import nbformat

from genlab.pipeline.execution import Stopped, process
from genlab.pipeline.execution.results import RunFailed
from genlab.pipeline.runs import keys
from genlab.pipeline.runs.disk import checksum, workspace
from genlab.section.packages import installed_differently, pinned
from genlab.section.paths import PACKAGE, UserError


@cache
def fingerprint() -> dict[str, dict[str, str]]:
    """What must be the same on client and worker: every source file of genlab, the pinned packages,
    Python."""
    files = {str(p.relative_to(PACKAGE)): checksum(p) for p in sorted(PACKAGE.rglob("*.py"))}
    return {"code": files, "lock": dict(pinned()), "python": {"version": platform.python_version()}}


def differences(here: dict, there: dict) -> list[str]:
    """Where two fingerprints differ, as "part: name, name"."""
    found = []
    for part in sorted(here.keys() | there.keys()):
        a, b = here.get(part, {}), there.get(part, {})
        if names := sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k)):
            more = f" and {len(names) - 4} more" if len(names) > 4 else ""
            found.append(f"{part}: {', '.join(names[:4])}{more}")
    return found


def unfit(task: dict[str, Any]) -> str | None:
    """Why this machine cannot run the task, or None: installed packages, data or device differ."""
    found = installed_differently(task["lock"])
    try:
        keys.verify_files(task["data"])
    except UserError as error:
        found.append(str(error))
    if task["device"] != "cpu" and task["device"] != f"cuda:{keys.gpu_name()}":
        found.append(f"device: {task['device']} wanted, {keys.gpu_name() or 'no GPU'} here")
    return "; ".join(found) or None


def run(task: dict[str, Any], watch: Callable[[float, float, dict], None]) -> dict[str, Any]:
    """Run the section in a process of its own; {"failed": why, "notebook": bytes | None} or
    {"notebook", "arrays", "outcome", "versions"}.

    watch(seconds, memory in MiB, progress) is called now and then; Stopped from it ends the run.
    """
    try:
        with workspace(task["section"]) as folder:
            return _run_in(folder, task, watch)
    except UserError as error:
        return {"failed": str(error), "notebook": None}
    except Stopped:
        raise
    except Exception as error:  # of ours, not of the section's: say what, and where
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return {"failed": f"the worker failed ({said})", "notebook": None}


def _run_in(folder: Path, task: dict[str, Any], watch) -> dict[str, Any]:
    needs = {}
    for name, files in task["needs"].items():
        base = folder / "needs" / name
        base.mkdir(parents=True)
        needs[name] = {"record": str(base / "record.json"), "arrays": None}
        (base / "record.json").write_bytes(files["record"])
        if files["arrays"] is not None:
            (base / "arrays.npz").write_bytes(files["arrays"])
            needs[name]["arrays"] = str(base / "arrays.npz")
    figures = "published" if task["profile"] == "full" else "plain"
    about = {"fresh": task["fresh"], "figures": figures}
    env = process.environment(folder, needs, task["device"], task["threads"], **about)
    notebook = nbformat.reads(task["notebook"], as_version=4)
    target, arrays = folder / "notebook.ipynb", folder / "arrays.npz"
    try:
        outcome = process.execute(notebook, task["params"], folder, env, watch, task["budget"])
    except RunFailed as error:
        return {"failed": str(error), "notebook": target.read_bytes() if target.is_file() else None}
    return {
        "notebook": target.read_bytes(),
        "arrays": arrays.read_bytes() if arrays.is_file() else None,
        "outcome": outcome,
        "versions": keys.versions(),
    }
