"""What a Dask worker does with a section: compare itself with the client, run the section in a
process, return the run's bytes.

A task and its result are plain dicts, so that two versions of genlab can still tell each other how
they differ.
"""

import platform
import time
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import psutil
from distributed import Status, get_worker
from distributed.worker import thread_state

from genlab.pipeline.execution import process
from genlab.pipeline.execution.results import RunFailed
from genlab.pipeline.runs import keys
from genlab.pipeline.runs.disk import workspace
from genlab.pipeline.runs.keys import sha256
from genlab.section.packages import installed_differently, pinned
from genlab.section.paths import PACKAGE, UserError

EVENT_SECONDS = 1.0  # between two progress messages to the client
running: set[str] = set()  # Dask keys of the tasks this process runs now


class _Unwanted(Exception):
    """The client has cancelled this task, or is gone."""


@cache
def fingerprint() -> dict[str, dict[str, str]]:
    """What must be the same on client and worker: every source file of genlab, the pinned packages,
    Python."""
    files = {
        str(p.relative_to(PACKAGE)): sha256(p.read_bytes()) for p in sorted(PACKAGE.rglob("*.py"))
    }
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


def refusal(task: dict[str, Any]) -> str | None:
    """Why this machine must not run the task, or None: code, packages (pinned and installed), data
    or device differ."""
    found = differences(fingerprint(), task["fingerprint"])
    if not found:
        found = installed_differently(task["lock"])
        try:
            keys.verify_files(task["data"])
        except UserError as error:
            found.append(str(error))
        if task["device"] != "cpu" and task["device"] != f"cuda:{keys.gpu_name()}":
            found.append(f"device: {task['device']} wanted, {keys.gpu_name() or 'no GPU'} here")
    return "; ".join(found) or None


def run_section(task: dict[str, Any]) -> dict[str, Any]:
    """Run one section; {"refused": why}, {"failed": why, "notebook": bytes | None} or {"notebook",
    "arrays", "outcome"}.

    Tells the client over the event topic of the task that it started, and then seconds, memory and
    progress.
    """
    worker, name = get_worker(), thread_state.key
    if why := refusal(task):
        return {"refused": why, "worker": worker.address}
    last = 0.0

    def tell(**what) -> None:
        worker.log_event(task["topic"], what | {"worker": worker.address})

    def watch(seconds: float, memory_mib: float, progress: dict) -> None:
        nonlocal last
        state = worker.state.tasks.get(name)
        if (
            state is None
            or state.state != "executing"
            or worker.status not in (Status.running, Status.paused)
        ):
            raise _Unwanted
        if time.monotonic() - last >= EVENT_SECONDS:
            last = time.monotonic()
            tell(event="progress", seconds=seconds, memory_mib=memory_mib, progress=progress)

    tell(event="started", limit_mib=memory_limit_mib(worker))
    running.add(name)
    try:
        with workspace(task["section"]) as folder:
            return _run_in(folder, task, watch)
    except UserError as error:
        return {"failed": str(error), "notebook": None}
    except _Unwanted:
        return {"failed": "interrupted", "notebook": None}
    except Exception as error:  # of ours, not of the section's: say what, and where
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return {"failed": f"the worker failed ({said})", "notebook": None}
    finally:
        running.discard(name)


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
    env = process.environment(folder, needs, task["device"], task["threads"], fresh=task["fresh"])
    notebook = nbformat.reads(task["notebook"], as_version=4)
    target, arrays = folder / "notebook.ipynb", folder / "arrays.npz"
    try:
        outcome = process.execute(
            notebook, task["params"], folder, env, watch, budget=task["budget"]
        )
    except RunFailed as error:
        return {"failed": str(error), "notebook": target.read_bytes() if target.is_file() else None}
    return {
        "notebook": target.read_bytes(),
        "arrays": arrays.read_bytes() if arrays.is_file() else None,
        "outcome": outcome.__dict__,
        "versions": keys.versions(),
    }


def memory_limit_mib(worker) -> float:
    """Memory a worker may use: its own limit, or the machine's."""
    limit = worker.memory_manager.memory_limit or psutil.virtual_memory().total
    return limit / 2**20
