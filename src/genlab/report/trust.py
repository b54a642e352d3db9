"""The commands about trust in a result: why, baseline, check, compare."""

import sys
import webbrowser

import click

from genlab.report.options import PARAMETER, PROFILE, SEED, assignments, chosen, fail_if_any, runs_somewhere
from genlab.report.paths import ROOT, UserError


@click.command()
@click.argument("section")
@PARAMETER
@PROFILE
@SEED
def why(section, parameters, profile, seed):
    """Say what changed since the stored run of SECTION: file, cell, parameter, package or needed section."""
    from genlab.report.why import explain

    given = assignments(parameters) | ({} if seed is None else {"seed": seed})
    for line in explain(chosen([section], False)[0], profile, given)[1]:
        click.echo(line)


@click.command()
@click.argument("sections", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="every section of the book")
def rekey(sections, everything):
    """Give published results whose key has an old form one of the present form, where the old key still proves them."""
    from genlab.report.rekey import rekey

    for name, said in rekey(chosen(sections, everything)):
        click.echo(f"{name}: {said}")


@click.command()
@click.argument("sections", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="every section of the book")
def carry(sections, everything):
    """Carry published results of SECTIONS to the present code, where the quick profile gives the same bits before and after.

    For changes that are meant to change nothing.  What only the full profile reaches is not covered.
    """
    from genlab.report.carry import carry

    refused = False
    for name, good, said in carry(chosen(sections, everything)):
        refused |= not good
        click.echo(f"{name}: {said if good else f'NOT carried: {said}'}", err=not good)
    sys.exit(refused)


@click.command()
@click.argument("sections", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="every section of the book")
@PROFILE
@click.option("--seeds", type=click.IntRange(8), default=8, show_default=True, help="seeds behind each baseline")
@runs_somewhere
def baseline(sections, everything, profile, seeds, where):
    """Write the baselines of SECTIONS: run them at several seeds, keep every metric's values for `genlab check`."""
    from rich.console import Console

    from genlab.report import baseline
    from genlab.report.run import plan_points, run_jobs

    names = chosen(sections, everything)
    numbers = range(baseline.FIRST_SEED, baseline.FIRST_SEED + seeds)
    planned, points = plan_points([(name, {"seed": seed}) for name in names for seed in numbers], profile)
    run_jobs(planned, where=where)
    fail_if_any(planned)
    for name in names:
        runs = [job.run for job in points if job.section == name]
        made, thumbnails = baseline.make(runs)
        before = baseline.read(name, made.profile, made.device)
        Console(width=None if sys.stdout.isatty() else 160).print(baseline.changes(before, made))
        click.echo(f"{made.tests()} quantities in {baseline.write(made, thumbnails).relative_to(ROOT)}")


@click.command()
@click.argument("sections", nargs=-1)
@PROFILE
@click.option(
    "--seeds", type=click.IntRange(1), help="judge the mean over this many seeds, running those that are missing"
)
@click.option("--alarm-rate", type=click.FloatRange(0, 0.5, min_open=True), default=0.01, show_default=True,
              help="chance of a false alarm anywhere in the book")  # fmt: skip
@click.option("--open", "show", is_flag=True, help="open the report in a browser")
@runs_somewhere
def check(sections, profile, seeds, alarm_rate, show, where):
    """Compare the current runs of SECTIONS (all, if none is named) with their baselines; exit 1 if a result got worse."""
    from rich.console import Console

    from genlab.report import check
    from genlab.report.run import plan_points, run_jobs

    names = chosen(sections, not sections)
    if seeds:
        first = {name: check.section_seed(name) for name in names}
        given = [(name, {"seed": first[name] + i}) for name in names for i in range(seeds)]
        run_jobs(plan_points(given, profile)[0], where=where)
    results = check.check(names, profile, seeds=seeds or 1, alarm_rate=alarm_rate)
    Console(width=None if sys.stdout.isatty() else 180).print(check.summary(results))
    page = check.report(results, profile, alarm_rate)
    click.echo(f"report: {page.relative_to(ROOT)}")
    if show:
        webbrowser.open(page.as_uri())
    failed = [r.section for r in results if not r.passed]
    if failed:
        click.echo(f"genlab: the gate did not pass: {', '.join(failed)}: see the report, `genlab why SECTION`, "
                   "`genlab compare SECTION published`", err=True)  # fmt: skip
        sys.exit(1)


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@click.option("--open", "show", is_flag=True, help="open the page in a browser")
def compare(runs, show):
    """Compare runs: a section (its newest run), a key, a run's folder, or `published`."""
    from rich.console import Console

    from genlab.report import compare

    if len(runs) < 2:
        raise UserError("a comparison needs two runs or more, as in `genlab compare ebm published`")
    found = compare.find_runs(runs)
    table = compare.rows(found)
    Console(width=None if sys.stdout.isatty() else 180).print(compare.shown(found, table))
    page = compare.report(found, table)
    click.echo(f"page: {page.relative_to(ROOT)}")
    if show:
        webbrowser.open(page.as_uri())
