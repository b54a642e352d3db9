"""Where sections run: on this machine, or on the workers of a scheduler; and that they are to
stop."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Where:
    """`jobs` sections at a time on this machine (None: one a core), or on the workers of a Dask
    scheduler; TLS files for it."""

    jobs: int | None = None
    scheduler: str | None = None
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None


HERE = Where()  # this machine, one section a core


class Stopped(Exception):
    """The whole command was interrupted, or nobody wants the task any more."""


class Runner(Protocol):
    """What brings tasks to their ends."""

    def run(
        self, asked: dict[str, Any], stop: threading.Event, watch: Callable[[float, dict], None]
    ) -> dict[str, Any]:
        """The result of the task; watch(seconds, progress) is called now and then.  RunFailed with
        one line if nobody can run it, Stopped once `stop` is set."""


@contextmanager
def runner_of(where: Where, threads: int) -> Iterator[Runner]:
    """This machine for sections of so many `threads` each, or the scheduler that `where` names.
    UserError if it does not answer."""
    if where.scheduler is None:
        from genlab.pipeline.execution.local import Local

        yield Local(where.jobs, threads)
        return
    from genlab.pipeline.execution.farm import connect

    with connect(where) as cluster:
        yield cluster
