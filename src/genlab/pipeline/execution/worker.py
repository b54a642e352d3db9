"""What a Dask worker does with a task: compare itself with the client, run it, and tell how it
goes."""

import time
from typing import Any

import psutil
from distributed import Status, get_worker
from distributed.worker import thread_state

from genlab.pipeline.execution import Stopped, task

EVENT_SECONDS = 1.0  # between two progress messages to the client


def run_section(asked: dict[str, Any]) -> dict[str, Any]:
    """Run one section: what `task.run` returns, or {"refused": why, "worker": address}.

    Tells the client over the event topic of the task that it started, and then seconds, memory and
    progress.
    """
    worker, name = get_worker(), thread_state.key
    if why := refusal(asked):
        return {"refused": why, "worker": worker.address}
    last = 0.0

    def tell(**what) -> None:
        worker.log_event(asked["topic"], what | {"worker": worker.address})

    def watch(seconds: float, memory_mib: float, progress: dict) -> None:
        nonlocal last
        state = worker.state.tasks.get(name)
        wanted = state is not None and state.state == "executing"
        if not wanted or worker.status not in (Status.running, Status.paused):
            raise Stopped  # the client has cancelled this task, or is gone
        if time.monotonic() - last >= EVENT_SECONDS:
            last = time.monotonic()
            tell(event="progress", seconds=seconds, memory_mib=memory_mib, progress=progress)

    tell(event="started", limit_mib=memory_limit_mib(worker))
    try:
        return task.run(asked, watch)
    except Stopped:
        return {"failed": "interrupted", "notebook": None}


def refusal(asked: dict[str, Any]) -> str | None:
    """Why this worker must not run the task, or None: its code, pinned packages or Python differ,
    or the machine cannot."""
    found = task.differences(task.fingerprint(), asked["fingerprint"])
    return "; ".join(found) or task.unfit(asked)


def memory_limit_mib(worker) -> float:
    """Memory a worker may use: its own limit, or the machine's."""
    limit = worker.memory_manager.memory_limit or psutil.virtual_memory().total
    return limit / 2**20
