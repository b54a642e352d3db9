"""Sections on the Dask workers of a scheduler, wherever they are."""

import logging
import queue
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import dask
from distributed import Client, KilledWorker
from distributed.security import Security

from genlab.pipeline.execution import Stopped, Where, worker
from genlab.pipeline.execution.results import RunFailed
from genlab.pipeline.execution.task import fingerprint
from genlab.pipeline.runs import keys
from genlab.section.paths import UserError

ATTEMPTS = 3  # a section whose worker dies is tried again twice
MEMORY_SHARE = 0.8  # of a worker's memory: above it, two deaths are taken for a lack of memory
CONNECT = 10.0  # seconds for a scheduler to answer
PATIENCE = 60.0  # seconds without any worker before giving up
POLL = 0.2  # seconds between two looks at a task


def security(where: Where) -> Security | None:
    """The TLS certificates as Dask wants them, or None."""
    if not where.tls_ca:
        return None
    return Security(
        tls_ca_file=where.tls_ca,
        tls_client_cert=where.tls_cert,
        tls_client_key=where.tls_key,
        require_encryption=True,
    )


@contextmanager
def connect(where: Where) -> Iterator["Cluster"]:
    """A connection to the scheduler of `where`, closed at the end.  UserError if nobody answers."""
    _hush()
    dask.config.set({"distributed.comm.timeouts.connect": f"{CONNECT}s"})
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"})
    with _client(where) as client:
        yield Cluster(client, where.scheduler)


def _client(where: Where) -> Client:
    """A client of the scheduler.  UserError if nobody answers, or somebody who says nothing:
    `Client` itself waits for that for ever, so it is made in a thread."""
    made: queue.SimpleQueue = queue.SimpleQueue()

    def make() -> None:
        try:
            made.put(Client(where.scheduler, security=security(where), timeout=CONNECT))
        except Exception as error:  # addresses, certificates, versions: told below
            made.put(error)

    threading.Thread(target=make, daemon=True).start()
    try:
        found = made.get(timeout=2 * CONNECT)
    except queue.Empty:
        found = TimeoutError(f"it accepts a connection and says nothing for {2 * CONNECT:.0f} s")
    if isinstance(found, Client):
        return found
    raise UserError(
        f"no scheduler answers at {where.scheduler} ({_first_line(found)}): start one with "
        "`dask scheduler`, or leave --scheduler out"
    )


def _hush() -> None:
    """Silence Dask's own log: a lost worker or scheduler is told by us, in one line; and its
    warning that there is no way to the internet, which nobody needs."""
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="distributed.utils")
    for name in ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict):
        if name.split(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def gpu_of_workers(where: Where) -> str:
    """Name of the GPU on the workers of a remote scheduler, or "none"; goes into keys as the device
    class.

    Only workers started with `--resources GPU=1` count: on the others no section that wants a GPU
    would ever run.
    """
    with connect(where) as cluster:
        workers = cluster.client.scheduler_info(n_workers=-1)["workers"].items()
        willing = [address for address, about in workers if about.get("resources", {}).get("GPU")]
        found = {}
        if willing:
            with suppress(Exception):  # a worker with another genlab will refuse, with the reason
                found = cluster.client.run(keys.gpu_name, workers=willing, on_error="ignore")
    return min(filter(None, found.values()), default="none")


@dataclass
class _Watched:
    """What the events of one task said so far."""

    events: queue.SimpleQueue = field(default_factory=queue.SimpleQueue)
    starts: int = 0
    memory_mib: float = 0.0  # the most that was seen
    limit_mib: float = float("inf")


class Cluster:
    """Runs tasks on the workers of one Dask client."""

    def __init__(self, client: Client, name: str):
        self.client, self.name = client, name
        self.refused: dict[str, str] = {}  # worker address -> why

    def run(
        self, task: dict[str, Any], stop: threading.Event, watch: Callable[[float, dict], None]
    ) -> dict[str, Any]:
        """Bring one section to its end on some worker, through deaths and refusals of workers.
        RunFailed with one line if none can."""
        task = task | {"fingerprint": fingerprint()}
        while True:
            refused = dict(self.refused)  # to which other tasks add
            willing = [w for w in self.workers() if w not in refused] if refused else None
            if willing == []:
                told = "; ".join(f"{w} refused: {why}" for w, why in refused.items())
                raise RunFailed(f"no worker may run it: {told}")
            result = self._attempt(task, willing, stop, watch)
            if not isinstance(result, dict):
                raise RunFailed(f"a worker of {self.name} returned what is no result")
            if "refused" not in result:
                return result
            self.refused[str(result.get("worker"))] = str(result["refused"])

    def workers(self) -> list[str]:
        """Addresses of the workers the scheduler has now."""
        try:
            return list(self.client.nthreads())
        except Exception as error:
            raise self._lost(f" ({_first_line(error)})") from None

    def _lost(self, why: str = "") -> RunFailed:
        return RunFailed(
            f"lost the scheduler at {self.name}{why}: finished runs are stored; start it and "
            "repeat the command"
        )

    def _attempt(self, task, willing, stop, watch) -> dict[str, Any]:
        name = f"{task['section']}-{task['key']}-{uuid.uuid4().hex[:8]}"
        topic, seen = f"genlab-{name}", _Watched()
        self.client.subscribe_topic(topic, lambda event: seen.events.put(event[1]))
        future = self.client.submit(
            worker.run_section,
            task | {"topic": topic},
            key=name,
            pure=False,
            workers=willing,
            priority=task["path"],
            resources={"GPU": 1} if task["device"] != "cpu" else None,
        )
        try:
            self._wait(future, seen, stop, watch)
            return self._result(future, seen)
        finally:
            future.cancel(reason="genlab") if not future.done() else future.release()
            if self.client.status == "running":
                self.client.unsubscribe_topic(topic)

    def _wait(self, future, seen: _Watched, stop: threading.Event, watch) -> None:
        """Return when the task is done; raise if the command was interrupted, or if its workers
        keep dying or are all gone."""
        alone = looked = time.monotonic()
        while not future.done():
            if stop.wait(POLL):
                raise Stopped
            while not seen.events.empty():
                self._hear(seen.events.get(), seen, watch)
            if self.client.status not in ("running", "connecting"):
                break
            if time.monotonic() - looked > 3:
                looked = time.monotonic()
                if self.workers():
                    alone = looked
                elif looked - alone > PATIENCE:
                    raise RunFailed(
                        f"{self.name} has had no worker for {PATIENCE:.0f} s: start one with "
                        f"`dask worker {self.name}`"
                    )

    def _hear(self, event: dict[str, Any], seen: _Watched, watch) -> None:
        if event["event"] == "started":
            seen.starts += 1
            seen.limit_mib = min(seen.limit_mib, event["limit_mib"])
            deaths = seen.starts - 1
            starved = deaths >= 2 and seen.memory_mib > MEMORY_SHARE * seen.limit_mib
            if deaths >= ATTEMPTS or starved:
                raise RunFailed(_killed(deaths, seen))
        else:
            seen.memory_mib = max(seen.memory_mib, event["memory_mib"])
            watch(event["seconds"], event["progress"])

    def _result(self, future, seen: _Watched) -> dict[str, Any]:
        if future.status in ("cancelled", "lost") or not future.done():
            raise self._lost()
        try:
            return future.result(timeout=30)
        except KilledWorker:
            raise RunFailed(_killed(seen.starts, seen)) from None
        except Exception as error:  # it could not even read the task: another version of genlab
            raise RunFailed(
                f"a worker of {self.name} cannot run sections ({_first_line(error)}): install "
                "this checkout there"
            ) from None


def _killed(deaths: int, seen: _Watched) -> str:
    limit = f" of the {seen.limit_mib:,.0f} MiB there" if seen.limit_mib < float("inf") else ""
    return (
        f"it killed its worker {deaths} times, the last memory seen was {seen.memory_mib:,.0f} "
        f"MiB{limit}: give the workers more memory, or ask less of the section"
    )


def _first_line(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0][:160]
