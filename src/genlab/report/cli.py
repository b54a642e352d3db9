"""The command `genlab`: list, describe, run, sweep, build, page, publish, clean; and, from `trust`, why, baseline, check, compare."""

import itertools
import shutil
import sys
import time
import webbrowser

import click

from genlab.report import trust
from genlab.report.options import PARAMETER, PROFILE, SEED, assignments, chosen, fail_if_any, runs_somewhere
from genlab.report.paths import BUILD, ROOT, RUNS, UserError


class Commands(click.Group):
    """Turns a user's mistake into one line on stderr and exit code 2, an interrupt into one line and 130."""

    def main(self, *args, **kwargs):
        try:
            super().main(*args, **kwargs, standalone_mode=False)
        except (UserError, click.ClickException) as error:
            text = error.format_message() if isinstance(error, click.ClickException) else str(error)
            click.echo(f"genlab: {' '.join(text.split())}", err=True)
            sys.exit(2)
        except (KeyboardInterrupt, click.Abort):
            click.echo("genlab: interrupted: finished runs are kept, nothing else was stored", err=True)
            sys.exit(130)


@click.group(cls=Commands)
@click.version_option(package_name="genlab")
def main():
    """Generative Models, Reproduced: run its sections, sweep their parameters, build the book."""


@main.command("list")
def list_sections():
    """Sections, what each needs, device policy, and whether their results are current."""
    from rich.console import Console
    from rich.table import Table

    from genlab.report import keys, store
    from genlab.report.sections import PROFILES, get_section, section_names

    table = Table(box=None, header_style="bold")
    for column in ("section", "needs", "device", "quick", "full", "published", "summary"):
        table.add_column(column)
    for name in section_names():
        section = get_section(name)
        current = {p: keys.current_key(name, p) for p in PROFILES}
        states = ["current" if current[p] and store.find(name, current[p]) else "-" for p in PROFILES]
        public = store.published(name)
        if public is None:
            shown = "-"
        elif not public.sound:
            shown = "damaged"
        else:
            shown = "current" if public.record["key"] == current["full"] else "stale"
        table.add_row(name, ", ".join(section.needs) or "-", section.device, *states, shown, section.summary)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@main.command()
@click.argument("section")
def describe(section):
    """Parameters of SECTION: type, default, quick value, meaning, unit, rule."""
    from rich.console import Console
    from rich.table import Table

    from genlab.report.sections import get_section

    found = get_section(section)
    click.echo(f"{found.title}\n{found.summary}\nneeds: {', '.join(found.needs) or 'nothing'}   device: {found.device}   "
               f"budget: {found.budget_seconds:g} s, {found.budget_mib:g} MiB")  # fmt: skip
    table = Table(box=None, header_style="bold")
    for column in ("parameter", "type", "default (full)", "quick", "unit", "rule", "meaning"):
        table.add_column(column)
    for p in found.parameters:
        table.add_row(
            p.name, p.type_name, repr(p.default), repr(found.quick.get(p.name, p.default)), p.unit, p.rule, p.meaning
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def finish(jobs) -> None:
    """Print the summary and the failures; exit 1 if there are any."""
    from rich.console import Console

    from genlab.report.run import summary

    Console(width=None if sys.stdout.isatty() else 140).print(summary(jobs))
    fail_if_any(jobs)


@main.command()
@click.argument("sections", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="every section of the book")
@PARAMETER
@PROFILE
@SEED
@click.option("--force", is_flag=True, help="run again even if the stored run is current, trainings included")
@runs_somewhere
def run(sections, everything, parameters, profile, seed, force, where):
    """Run SECTIONS (and what they need); an up-to-date run is reused."""
    from genlab.report.run import plan, run_jobs

    given = assignments(parameters) | ({} if seed is None else {"seed": seed})
    finish(run_jobs(plan(chosen(sections, everything), given, profile, force=force), where=where))


@main.command()
@click.argument("section")
@click.option(
    "-g", "grid", multiple=True, metavar="NAME=V1,V2,…", help="values of one parameter; several -g make a product"
)
@PARAMETER
@PROFILE
@click.option("--seeds", type=click.IntRange(1), default=1, help="run every point with seeds 0 … N-1")
@runs_somewhere
def sweep(section, grid, parameters, profile, seeds, where):
    """Run SECTION over the product of a grid; one table of parameters and metrics, printed and as CSV."""
    from rich.console import Console

    from genlab.report.run import plan_points, run_jobs
    from genlab.report.sweep import report, table, write

    chosen([section], False)
    if not grid:
        raise UserError("a sweep needs at least one -g NAME=V1,V2, as in -g sigma=0.05,0.1,0.2")
    axes = {name: values.split(",") for name, values in assignments(grid).items()}
    fixed = assignments(parameters)
    grid_points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    given = [(section, fixed | point | {"seed": seed}) for point in grid_points for seed in range(seeds)]
    planned, points = plan_points(given, profile)
    run_jobs(planned, where=where)
    rows = table(points, [*axes, "seed"])
    path, number = write(section, rows)
    page = report(section, rows, points, [*axes, "seed"], number)
    Console(width=None if sys.stdout.isatty() else 160).print(rows.shown)
    click.echo(f"{len(points)} runs, all metrics in {path.relative_to(ROOT)}, page {page.relative_to(ROOT)}")
    fail_if_any(planned)


@main.command()
@click.option(
    "--profile", default="full", show_default=True, help="which runs the pages show: full (published) or quick (stored)"
)
@click.option("--open", "show", is_flag=True, help="open the book in a browser")
def build(profile, show):
    """Build the HTML book from stored and published runs; nothing is executed."""
    from genlab.report.build import build_book

    page = build_book(profile)
    click.echo(f"the book is at {page.relative_to(ROOT)}")
    if show:
        webbrowser.open(page.as_uri())


@main.command()
@click.argument("section")
@PARAMETER
@PROFILE
@SEED
@click.option("--open", "show", is_flag=True, help="open the page in a browser")
def page(section, parameters, profile, seed, show):
    """Build the HTML page of one stored run of SECTION, with the parameters it was run with."""
    from genlab.report.build import build_page

    given = assignments(parameters) | ({} if seed is None else {"seed": seed})
    path = build_page(chosen([section], False)[0], given, profile)
    click.echo(f"the page is at {path.relative_to(ROOT)}")
    if show:
        webbrowser.open(path.as_uri())


@main.command()
@click.argument("sections", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="every section of the book")
def publish(sections, everything):
    """Make the current full runs of SECTIONS the published ones (book/published/)."""
    from genlab.report import keys, store

    runs = {}
    for name in chosen(sections, everything):
        key = keys.current_key(name, "full")
        runs[name] = store.find(name, key) if key else None
        if runs[name] is None:
            raise UserError(f"{name} has no current full run to publish: `genlab run {name} --profile full` first")
    for name, found in runs.items():
        if found.record["dirty"]:
            click.echo(f"genlab: note: {name} was run from a checkout with uncommitted changes", err=True)
        if found.record_file.parent.name != "published":
            store.publish(found)
        click.echo(f"published {name} ({found.record['key']})")


@main.command()
@click.option("--dry-run", is_flag=True, help="only say what would go")
@click.option(
    "--days", type=click.IntRange(0), default=30, show_default=True, help="keep trained states used within so many days"
)
def clean(dry_run, days):
    """Remove old and failed runs, stale trained states and build leftovers; never published results."""
    from genlab.report import keys, store
    from genlab.report.sections import PROFILES, section_names

    current = {keys.current_key(name, p) for name in section_names() for p in PROFILES}
    folders = [f for f in RUNS.glob("[!.]*/*") if f.is_dir() and f.parent.name not in ("trained", "sweeps")]
    old = [f for f in folders if f.name not in current]
    age = time.time() - days * 86_400
    old += [f for f in (RUNS / "trained").glob("*") if max(f.stat().st_atime, f.stat().st_mtime) < age]
    old += [*RUNS.glob(".partial/*"), BUILD / "pages"]
    old = [f for f in old if f.exists()]
    with store.disk_errors("the store"):
        for path in [] if dry_run else old:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in old:
        click.echo(f"{'would remove' if dry_run else 'removed'} {path.relative_to(ROOT)}")
    click.echo(f"{len(old)} {'to remove' if dry_run else 'removed'}; published results are never touched")


for command in (trust.why, trust.rekey, trust.carry, trust.baseline, trust.check, trust.compare):
    main.add_command(command)


if __name__ == "__main__":
    main()
