"""Sections on this machine: as many at a time as there is room for, each in its own process."""

import itertools
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
        self.cores, self.gpu = Room(self.at_once), Room(1)

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
                turn.enter_context(room.taken(asked["path"], stop))
            if why := task.unfit(asked):
                raise RunFailed(f"this machine cannot run it: {why}")
            return task.run(asked, look)


class Room:
    """Places for so many; a free one goes to whoever waits with the longest path, then to who came
    first."""

    def __init__(self, places: int):
        self.free, self.changed = places, threading.Condition()
        self.waiting: set[tuple[float, int]] = set()
        self.numbers = itertools.count()

    @contextmanager
    def taken(self, path: float, stop: threading.Event) -> Iterator[None]:
        """Hold a place, once there is one.  Raises Stopped if `stop` is set before."""
        with self.changed:
            me = -path, next(self.numbers)
            self.waiting.add(me)
            try:
                while not (self.free and min(self.waiting) == me):
                    if stop.is_set():
                        raise Stopped
                    self.changed.wait(POLL)
                self.free -= 1
            finally:
                self.waiting.remove(me)
                self.changed.notify_all()
        try:
            yield
        finally:
            with self.changed:
                self.free += 1
                self.changed.notify_all()
