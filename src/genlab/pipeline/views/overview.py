"""Tables for the terminal: the sections, the parameters of one, and what became of some jobs."""

from collections.abc import Sequence

from rich.table import Table

from genlab.pipeline.execution.plan import Job
from genlab.pipeline.options import table, tell_broken
from genlab.pipeline.runs import keys, store
from genlab.pipeline.runs.pages import PROFILES, get_section, section_names
from genlab.section.paths import UserError


def sections() -> Table:
    """One row a section: what it needs, its device policy, and whether its results are current."""
    made = table("section", "needs", "device", *PROFILES, "published", "summary")
    for name in section_names():
        try:
            made.add_row(*_row(name))
        except UserError as error:
            made.add_row(name, "?", "?", *["broken"] * (len(PROFILES) + 1), "")
            tell_broken(name, error)
    return made


def _row(name: str) -> list[str]:
    """A section's row in the list."""
    section = get_section(name)
    current = {p: keys.current_key(name, p) for p in PROFILES}
    states = ["current" if current[p] and store.find(name, current[p]) else "-" for p in PROFILES]
    public = store.published(name)
    if public is None:
        shown = "-"
    elif not public.sound:
        shown = "damaged"
    else:
        shown = "current" if keys.is_current(public) else "stale"
    needs = ", ".join(section.needs) or "-"
    return [name, needs, section.device, *states, shown, section.summary]


def about(name: str) -> str:
    """Title, summary, needs, device and budget of a section."""
    s = get_section(name)
    return (
        f"{s.title}\n{s.summary}\nneeds: {', '.join(s.needs) or 'nothing'}   device: {s.device}   "
        f"budget: {s.budget_seconds:g} s, {s.budget_mib:g} MiB"
    )


def parameters(name: str) -> Table:
    """One row a parameter: type, default, quick value, unit, rule, meaning."""
    section = get_section(name)
    made = table("parameter", "type", "default (full)", "quick", "unit", "rule", "meaning")
    for p in section.parameters:
        quick = repr(section.quick.get(p.name, p.default))
        made.add_row(p.name, p.type_name, repr(p.default), quick, p.unit, p.rule, p.meaning)
    return made


def jobs(done: Sequence[Job]) -> Table:
    """One row a job: state, time, memory, number of metrics, key."""
    numbers = ("seconds", "MiB", "metrics")
    made = table("section", "profile", "state", *numbers, "key", right=numbers)
    for job in done:
        record = job.run.record if job.run else {}
        measured = (
            [record["seconds"], record["peak_memory_mib"], len(record["metrics"])] if record else []
        )
        cells = [str(round(m, 1)) for m in measured] or ["", "", ""]
        made.add_row(job.section, job.profile, job.state, *cells, job.key)
    return made
