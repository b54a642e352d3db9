"""The command `genlab`: run sections and sweeps, build the book, publish results, and say what can
be trusted."""

import json
import sys

import click

from genlab.pipeline import options, publishing
from genlab.pipeline.gate import LEAST_SEEDS, SEEDS
from genlab.section.paths import ROOT, UserError


@click.group(cls=options.Commands)
@click.version_option(package_name="genlab")
def main():
    """Generative Models, Reproduced: run its sections, sweep their parameters, build the book."""


for made in publishing.COMMANDS:
    main.add_command(made)


@main.command("list")
def list_sections():
    """Sections, what each needs, device policy, and whether their results are current."""
    from genlab.pipeline.views.overview import sections

    options.show_table(sections())


@main.command()
@click.argument("section")
def describe(section):
    """Parameters of SECTION: type, default, quick value, meaning, unit, rule."""
    from genlab.pipeline.views.overview import about, parameters

    click.echo(about(section))
    options.show_table(parameters(section))


@main.command()
@options.some_or_all
@options.PARAMETER
@options.PROFILE
@options.SEED
@click.option(
    "--force", is_flag=True, help="run again even if the stored run is current, trainings included"
)
@options.runs_somewhere
def run(names, parameters, profile, seed, force, where):
    """Run SECTIONS (and what they need); an up-to-date run is reused."""
    from genlab.pipeline.execution.plan import plan, run_jobs
    from genlab.pipeline.views.overview import jobs

    given = options.combined(parameters, seed)
    done = run_jobs(plan(names, given, profile, force=force), where=where)
    options.show_table(jobs(done))
    options.fail_if_any(done)


@main.command()
@click.argument("section")
@click.option(
    "-g",
    "grid",
    multiple=True,
    metavar="NAME=V1,V2,…",
    help="values of one parameter (of lists: A,B;C,D); several -g make a product",
)
@options.PARAMETER
@options.PROFILE
@click.option("--seeds", type=click.IntRange(1), help="run every point with seeds 0 … N-1")
@options.runs_somewhere
def sweep(section, grid, parameters, profile, seeds, where):
    """Run SECTION over the product of a grid; one table of parameters and metrics, printed and as
    CSV."""
    from genlab.pipeline.execution.plan import plan_points, run_jobs
    from genlab.pipeline.views.sweep import report, shown, table, write

    options.chosen([section], False)
    if not grid:
        raise UserError("a sweep needs at least one -g NAME=V1,V2, as in -g sigma=0.05,0.1,0.2")
    names, given = options.points(section, grid, parameters, seeds)
    planned, wanted = plan_points([(section, point) for point in given], profile)
    run_jobs(planned, where=where)
    rows = table(wanted, names)
    path, number = write(section, rows)
    page = report(section, rows, wanted, names, number)
    options.show_table(shown(rows, names))
    click.echo(
        f"{len(wanted)} runs, all metrics in {path.relative_to(ROOT)}, page "
        f"{page.relative_to(ROOT)}"
    )
    options.fail_if_any(planned)


@main.command()
@click.option("--dry-run", is_flag=True, help="only say what would go")
@click.option(
    "--days",
    type=click.IntRange(0),
    default=30,
    show_default=True,
    help="keep trained states used within so many days",
)
def clean(dry_run, days):
    """Remove old and failed runs, stale trained states and build leftovers; never published
    results."""
    from genlab.pipeline.runs import keys, store
    from genlab.pipeline.runs.pages import PROFILES, section_names

    current, kept = set(), set()
    for name in section_names():
        try:
            current |= {keys.current_key(name, profile) for profile in PROFILES}
        except UserError as error:
            kept.add(name)  # which of its runs are current nobody knows
            options.tell_broken(f"{name}, with its runs,", error)
    old = [path for path in store.leftovers(current, days) if path.parent.name not in kept]
    if not dry_run:
        store.remove(old)
    done = "would remove" if dry_run else "removed"
    for path in old:
        click.echo(f"{done} {path.relative_to(ROOT)}")
    click.echo(f"{done} {len(old)}; published results are never touched")


@main.command(hidden=True)
@click.argument("section")
def current(section):
    """Files of the current run of SECTION at its default values, full or else quick, as JSON: what
    `section.needed` reads outside the runner."""
    from genlab.pipeline.runs import keys

    run = keys.current_run(section)
    click.echo(f"genlab: {section}: reads the {run.record['profile']} run", err=True)
    files = {"record": str(run.record_file), "arrays": run.arrays and str(run.arrays)}
    click.echo(json.dumps(files))


@main.command()
@options.one_run
def why(section, given, profile):
    """Say what changed since the stored run of SECTION: definition, cell, parameter, package or
    needed section."""
    from genlab.pipeline.runs.why import explain

    click.echo("\n".join(explain(section, profile, given)[1]))


@main.command()
@options.some_or_all
def carry(names):
    """Carry published results of SECTIONS to the present code, where the quick profile gives the
    same bits before and after.

    For changes that are meant to change nothing.  What only the full profile reaches is not
    covered.
    """
    from genlab.pipeline.runs.carry import carry

    refused = False
    for name, good, said in carry(names):
        refused |= not good
        click.echo(f"{name}: {said if good else f'NOT carried: {said}'}", err=not good)
    if refused:
        sys.exit(1)


@main.command()
@options.some_or_all
@options.PROFILE
@click.option(
    "--seeds",
    type=click.IntRange(LEAST_SEEDS),
    default=SEEDS,
    show_default=True,
    help="seeds behind each baseline",
)
@options.runs_somewhere
def baseline(names, profile, seeds, where):
    """Write the baselines of SECTIONS: run them at several seeds, keep every metric's values for
    `genlab check`."""
    from genlab.pipeline.execution.plan import plan_points, run_jobs
    from genlab.pipeline.gate import baseline

    numbers = range(baseline.FIRST_SEED, baseline.FIRST_SEED + seeds)
    given = [(name, {"seed": seed}) for name in names for seed in numbers]
    planned, points = plan_points(given, profile)
    run_jobs(planned, where=where)
    options.fail_if_any(planned)
    for name in names:
        made, thumbnails = baseline.make([job.run for job in points if job.section == name])
        options.show_table(baseline.changes(baseline.read(name, made.profile, made.device), made))
        file = baseline.write(made, thumbnails).relative_to(ROOT)
        click.echo(f"{len(made.quantities())} quantities in {file}")


@main.command()
@click.argument("sections", nargs=-1)
@options.PROFILE
@click.option(
    "--seeds",
    type=click.IntRange(1),
    help="judge the mean over this many seeds, running those that are missing",
)
@click.option(
    "--alarm-rate",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=0.01,
    show_default=True,
    help="chance of a false alarm anywhere in the book",
)
@options.OPEN
@options.runs_somewhere
def check(sections, profile, seeds, alarm_rate, show, where):
    """Compare the current runs of SECTIONS (all, if none is named) with their baselines; exit 1 if
    a result got worse."""
    from genlab.pipeline.execution.plan import plan_points, run_jobs
    from genlab.pipeline.gate import check

    names = options.chosen(sections, not sections)
    if seeds:
        first = {name: check.section_seed(name) for name in names}
        given = [(name, {"seed": first[name] + i}) for name in names for i in range(seeds)]
        run_jobs(plan_points(given, profile)[0], where=where)
    results = check.check(names, profile, seeds=seeds or 1, alarm_rate=alarm_rate)
    options.show_table(check.summary(results))
    options.show_page("report:", check.report(results, profile, alarm_rate), show)
    if profile == "full":
        from genlab.pipeline.verdicts import accepted

        for line in accepted.said(accepted.turned_here()):
            click.echo(f"verdict {line}", err=True)
    if failed := [r.section for r in results if not r.passed]:
        click.echo(
            f"genlab: the gate did not pass: {', '.join(failed)}: see the report, "
            "`genlab why SECTION`, `genlab compare SECTION published`",
            err=True,
        )
        sys.exit(1)


@main.command()
@click.argument("claims", nargs=-1, metavar="[CLAIM | PAGE]...")
@click.option("--accept", is_flag=True, help="keep the present verdicts as the accepted ones")
def claims(claims, accept):
    """Verdicts on what the sources claim, by the published numbers; exit 1 if one is not the
    accepted one."""
    from genlab.pipeline.verdicts import accepted
    from genlab.pipeline.verdicts.shown import Judged, table

    judged = Judged.of(*accepted.published())
    options.show_table(table(judged, claims))
    turned = accepted.turned(judged.before, judged.verdicts)
    if accept:
        accepted.accept(judged.verdicts)
    for line in accepted.said(turned):
        click.echo(line, err=not accept)
    if turned and not accept:
        click.echo("genlab: read why, then accept them: `genlab claims --accept`", err=True)
        sys.exit(1)


@main.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@options.OPEN
def compare(runs, show):
    """Compare runs: a section (its newest run), a key, a run's folder, or `published`."""
    from genlab.pipeline.views import compare

    if len(runs) < 2:
        raise UserError("a comparison needs two runs or more, as in `genlab compare ebm published`")
    found = compare.find_runs(runs)
    table = compare.rows(found)
    options.show_table(compare.shown(found, table))
    options.show_page("page:", compare.report(found, table), show)


if __name__ == "__main__":
    main()
