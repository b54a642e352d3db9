"""Sections on this machine: as many at a time as there is room for, each in its own process."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from genlab.pipeline.execution import Stopped, task
from genlab.pipeline.execution.results import RunFailed

POLL = 0.2  # seconds between two looks at whether the command was interrupted


class Local:
    """Runs tasks here: `jobs` at a time, or as many as the cores allow with so many `threads` each,
    and one at a time on a GPU."""

    def __init__(self, jobs: int | None, threads: int):
        self.at_once = jobs or max((os.cpu_count() or 1) // threads, 1)
        self.cores = threading.Semaphore(self.at_once)
        self.gpu = threading.Semaphore(1)

    def run(
        self, asked: dict[str, Any], stop: threading.Event, watch: Callable[[float, dict], None]
    ) -> dict[str, Any]:
        """Bring one section to its end when its turn comes; see `Runner`."""

        def look(seconds: float, memory_mib: float, progress: dict) -> None:
            if stop.is_set():
                raise Stopped
            watch(seconds, progress)

        with ExitStack() as turn:
            # The GPU first: who waits for it takes no core from others.
            for room in [self.gpu, self.cores] if asked["device"] != "cpu" else [self.cores]:
                turn.enter_context(_taken(room, stop))
            if why := task.unfit(asked):
                raise RunFailed(f"this machine cannot run it: {why}")
            return task.run(asked, look)


@contextmanager
def _taken(room: threading.Semaphore, stop: threading.Event) -> Iterator[None]:
    while not stop.is_set():
        if room.acquire(timeout=POLL):
            try:
                yield
            finally:
                room.release()
            return
    raise Stopped
