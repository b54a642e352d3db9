"""Run sections: order them, reuse what is current, run the rest here or on workers, store what
that returns."""

import datetime
import json
import signal
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import nbformat
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from genlab.pipeline.execution import HERE, Runner, Stopped, Where, results, runner_of
from genlab.pipeline.execution.results import RunFailed
from genlab.pipeline.runs import keys, store
from genlab.pipeline.runs.disk import locked
from genlab.pipeline.runs.pages import get_section, in_order
from genlab.section.paths import ROOT, UserError


@dataclass
class Job:
    """One run to be: a section with all its parameter values, and what became of it.

    Its key is known once the sections that it needs have run, for it holds what they say.
    """

    section: str
    profile: str
    params: dict[str, Any]
    parts: dict[str, Any]
    needs: list["Job"] = field(default_factory=list)
    force: bool = False
    path: float = 0.0  # seconds of the longest chain of jobs that begins with it
    key: str = ""
    run: store.Run | None = None
    state: str = "waiting"  # reused | done | failed | skipped
    message: str = ""
    seconds: float = 0.0  # that the run took, without what it waited for its turn

    def identify(self) -> None:
        """Complete the key with what the needed runs say."""
        self.parts |= {"needs": {need.section: store.content(need.run) for need in self.needs}}
        self.key = store.key_of(self.parts)


def plan(
    names: Iterable[str], given: Mapping[str, Any], profile: str, *, force: bool = False
) -> list[Job]:
    """The jobs for the sections `names` with the values `given`, each after what it needs (default
    values, same seed); `force`: these sections are run again, even if they are current."""
    jobs, wanted = plan_points([(name, given) for name in names], profile)
    for job in wanted:
        job.force = force
    return jobs


def plan_points(
    points: Sequence[tuple[str, Mapping[str, Any]]], profile: str
) -> tuple[list[Job], list[Job]]:
    """The jobs of many points (section, given values), each once and after what it needs; and the
    job of every point, in order.

    Everything is checked here, before any kernel: names, types, ranges, data files, packages,
    devices.
    """
    jobs: dict[str, Job] = {}

    def add(name: str, values: Mapping[str, Any]) -> Job:
        section = get_section(name)
        params = section.values(profile, values)
        needs = [add(need, {"seed": params["seed"]}) for need in section.needs]
        known = f"{name} {json.dumps(params, sort_keys=True)}"
        if known not in jobs:
            parts = keys.own_parts(section, params, profile)
            keys.verify_files(keys.packed(section))
            keys.verify_packages(parts)
            jobs[known] = Job(name, profile, params, parts, needs)
        return jobs[known]

    in_order(name for name, _ in points)  # refuses sections that need each other in a circle
    wanted = [add(*point) for point in points]
    return list(jobs.values()), wanted


def run_jobs(jobs: list[Job], *, where: Where = HERE) -> list[Job]:
    """Bring the jobs to their ends, each after what it needs; every job's state says what became of
    it.

    What is up to date is reused; the rest runs here, or on the workers of a scheduler.  Ctrl-C
    stops what runs (no process stays behind), keeps what is finished, and raises KeyboardInterrupt.
    """
    display = _Display(Console(stderr=True), len(jobs))
    with display.live or nullcontext():
        for job in jobs:
            if not job.force and _ready(job):
                job.identify()
                if found := store.find(job.section, job.key):
                    job.run, job.state = found, "reused"
                    display.finished(job)
        if todo := longest_first(job for job in jobs if job.state == "waiting"):
            with runner_of(where, max(job.parts["threads"] for job in todo)) as runner:
                _run_all(todo, runner, display)
    return jobs


def longest_first(jobs: Iterable[Job]) -> list[Job]:
    """The jobs, first those with which the longest chain begins, by the seconds of earlier runs."""
    jobs, seconds = list(jobs), cache(expected_seconds)
    for job in reversed(jobs):  # each stands behind what it needs
        job.path += seconds(job.section, job.profile)
        for need in job.needs:
            need.path = max(need.path, job.path)
    return sorted(jobs, key=lambda job: -job.path)


def expected_seconds(section: str, profile: str) -> float:
    """What the newest run at this profile took; else a share of the published one; else 0."""
    if taken := last_seconds(section, profile):
        return taken
    public = store.published(section)
    return public.record["seconds"] / 60 if public and public.sound else 0.0


def last_seconds(section: str, profile: str) -> float | None:
    """What the newest run of the section at this profile took, if there is one."""
    stored = (run.record for run in store.stored(section))
    return next((r["seconds"] for r in stored if r["profile"] == profile), None)


def _ready(job: Job) -> bool:
    """Whether all that the job needs is there."""
    return all(need.run for need in job.needs)


def _run_all(waiting: list[Job], runner: Runner, display: "_Display") -> None:
    """One thread a job, which waits for its turn."""
    stop, running, waiting = threading.Event(), dict[Future, Job](), list(waiting)
    with ThreadPoolExecutor(min(len(waiting), 64)) as pool:
        try:
            while waiting or running:
                for job in list(waiting):
                    if failed := [n for n in job.needs if n.state in ("failed", "skipped")]:
                        why = f"needs {failed[0].section}, which {failed[0].state}"
                        job.state, job.message = "skipped", why
                    elif _ready(job):
                        job.identify()
                        running[pool.submit(_run_one, job, runner, stop, display)] = job
                    else:
                        continue
                    waiting.remove(job)
                for future in wait(running, timeout=0.5, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    future.result()
                    display.finished(job)
        except BaseException:
            stop.set()  # each running job cancels its task, whose worker kills its processes
            raise


def _run_one(job: Job, runner: Runner, stop: threading.Event, display: "_Display") -> None:
    """Bring one job to its end; never raises for a failure of the section itself."""
    try:
        with locked(f"{job.section}-{job.key}"):
            found = None if job.force else store.find(job.section, job.key)
            if found:
                job.run, job.state = found, "reused"
            else:
                job.run, job.state = _execute(job, runner, stop, display), "done"
                job.seconds = job.run.record["seconds"]
    except (RunFailed, UserError) as error:
        job.state, job.message = "failed", str(error)
    except Stopped:
        job.state, job.message = "failed", "interrupted"


def _execute(job: Job, runner: Runner, stop: threading.Event, display: "_Display") -> store.Run:
    section = get_section(job.section)
    expected = last_seconds(job.section, job.profile)
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    result = runner.run(_task(job), stop, partial(display.update, job, expected))
    if "failed" in result:
        notebook = result.get("notebook")
        kept = store.keep_failed(job.section, notebook, str(result["failed"]))
        where = f"; partial notebook: {kept.relative_to(ROOT)}" if kept else ""
        raise RunFailed(f"{result['failed']}{where}")
    metrics = results.received(result, section.notebook)
    commit, dirty = store.git_state()
    outcome = result["outcome"]
    behind = keys.code_behind(section)
    record = {
        "section": job.section,
        "title": section.title,
        "profile": job.profile,
        "params": job.params,
        "seed": job.params["seed"],
        "key": job.key,
        "key_parts": job.parts,
        "definitions": behind.definitions,
        "cells": behind.cells,
        "device": job.parts["device"],
        "seconds": round(outcome["seconds"], 2),
        "peak_memory_mib": round(outcome["peak_memory_mib"]),
        **({"gpu": outcome["gpu"]} if outcome.get("gpu") else {}),
        "started": started,
        "commit": commit,
        "dirty": dirty,
        "versions": result["versions"],
        "cell_seconds": [round(s, 2) for s in outcome["cell_seconds"]],
        "metrics": metrics,
    }
    return store.put(record, result["notebook"], result["arrays"])


def _task(job: Job) -> dict[str, Any]:
    """All a worker needs to run the job, as bytes and plain values: no disk is shared."""
    section = get_section(job.section)
    needs = {}
    for need in job.needs:
        try:
            arrays = need.run.arrays.read_bytes() if need.run.arrays else None
            needs[need.section] = {"record": need.run.record_file.read_bytes(), "arrays": arrays}
        except FileNotFoundError:
            raise RunFailed(
                f"the needed run of {need.section} is gone from the store: run again"
            ) from None
    return {
        "section": job.section,
        "key": job.key,
        "profile": job.profile,
        "notebook": nbformat.writes(section.notebook),
        "params": job.params,
        "budget": {"seconds": section.budget_seconds, "memory_mib": section.budget_mib},
        "needs": needs,
        "data": keys.packed(section),
        "lock": job.parts["lock"],
        "device": job.parts["device"],
        "threads": job.parts["threads"],
        "fresh": job.force,
        "path": job.path,
    }


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class _Display:
    """Progress with time left: live bars in a terminal, a line now and then anywhere else."""

    def __init__(self, console: Console, total: int):
        self.console, self.total, self.count = console, total, 0
        self.tasks: dict[int, Any] = {}
        self.said: dict[int, float] = {}
        columns = (
            TextColumn("{task.description:<28}", markup=False),
            BarColumn(28),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
        )
        live = console.is_terminal
        self.live = Progress(*columns, console=console, transient=True) if live else None

    def update(self, job: Job, expected: float | None, seconds: float, progress: dict) -> None:
        # Trainings that are only read back count in what was expected.
        worth = seconds + progress.get("remembered", 0.0)
        if expected:
            share = min(worth / expected, 0.99)
            note = f"about {clock(max(expected - worth, 1))} left"
        else:
            share, note = progress.get("done", 0) / progress.get("total", 1), "first run"
        if "what" in progress:
            note = f"{progress['what']} {progress['done']}/{progress['total']}, {note}"
        if self.live:
            if id(job) not in self.tasks:
                self.tasks[id(job)] = self.live.add_task(job.section, total=1.0, note=note)
            self.live.update(self.tasks[id(job)], completed=share, note=note)
        elif seconds - self.said.get(id(job), -10.0) >= 10:
            self.said[id(job)] = seconds
            self.console.out(f"  {job.section}: {clock(seconds)}, {note}", highlight=False)

    def finished(self, job: Job) -> None:
        self.count += 1
        if self.live and id(job) in self.tasks:
            self.live.remove_task(self.tasks.pop(id(job)))
        done, failed = f"done in {clock(job.seconds)}", f"FAILED: {job.message}"
        said = {"reused": "up to date", "done": done, "failed": failed}[job.state]
        self.console.out(f"[{self.count}/{self.total}] {job.section}: {said}", highlight=False)


def interrupt_on_terminate() -> None:
    """Let SIGTERM clean up as Ctrl-C does, and let both work where the shell started us with
    interrupts ignored."""

    def handler(*_):
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)
        signal.signal(signal.SIGINT, handler)
