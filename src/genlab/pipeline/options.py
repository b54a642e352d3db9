"""What the commands of `genlab` share: options, the words of the command line as values, and how to
print."""

import functools
import os
import sys
import webbrowser
from pathlib import Path

import click

from genlab.pipeline.execution import Where
from genlab.section.paths import ROOT, UserError

PARAMETER = click.option(
    "-p", "parameters", multiple=True, metavar="NAME=VALUE", help="a parameter of the section"
)
PROFILE = click.option(
    "--profile",
    default="quick",
    show_default=True,
    help="quick (seconds) or full (the published numbers)",
)
SEED = click.option("--seed", type=int, default=None, help="the same as -p seed=N")
OPEN = click.option("--open", "show", is_flag=True, help="open the page in a browser")


def some_or_all(command):
    """Arguments SECTIONS or the option --all, checked and gathered into one argument `names`."""

    @functools.wraps(command)
    def with_names(*args, sections, everything, **kwargs):
        return command(*args, names=chosen(sections, everything), **kwargs)

    option = click.option("--all", "everything", is_flag=True, help="every section of the book")
    return click.argument("sections", nargs=-1)(option(with_names))


def one_run(command):
    """SECTION with -p, --profile and --seed, checked and gathered into `section`, `given` and
    `profile`."""

    @functools.wraps(command)
    def with_run(*args, section, parameters, seed, **kwargs):
        given = assignments(parameters) | ({} if seed is None else {"seed": seed})
        return command(*args, section=chosen([section], False)[0], given=given, **kwargs)

    return click.argument("section")(PARAMETER(PROFILE(SEED(with_run))))


def runs_somewhere(command):
    """Options of every command that runs sections, gathered into one argument `where`."""

    @functools.wraps(command)
    def with_where(*args, jobs, scheduler, tls_ca, tls_cert, tls_key, **kwargs):
        from genlab.pipeline.execution.plan import interrupt_on_terminate

        interrupt_on_terminate()
        where = Where(jobs, scheduler, tls_ca, tls_cert, tls_key)
        if scheduler:
            from genlab.pipeline.execution.farm import gpu_of_workers

            os.environ["GENLAB_GPU"] = gpu_of_workers(where)
        return command(*args, where=where, **kwargs)

    path = click.Path(exists=True, dir_okay=False)
    jobs = "runs at a time here [default: as many as the cores allow]"
    for option in (
        click.option("--tls-key", type=path, help="private key for a tls:// scheduler"),
        click.option("--tls-cert", type=path, help="certificate for a tls:// scheduler"),
        click.option("--tls-ca", type=path, help="certificate authority of a tls:// scheduler"),
        click.option(
            "--scheduler",
            metavar="tcp://HOST:PORT",
            help="run on the workers of this Dask scheduler",
        ),
        click.option("--jobs", type=click.IntRange(1), help=jobs),
    ):
        with_where = option(with_where)
    return with_where


def assignments(words) -> dict[str, str]:
    """{name: value} from words NAME=VALUE."""
    for word in words:
        if "=" not in word:
            raise UserError(f"{word!r} must read NAME=VALUE, as in -p sigma=0.3")
    return dict(word.split("=", 1) for word in words)


def chosen(sections, everything: bool) -> list[str]:
    """The sections named, or all; not both, not neither."""
    from genlab.pipeline.runs.pages import get_section, section_names

    if everything == bool(sections):
        raise UserError("name the sections or say --all, one of the two: see `genlab list`")
    names = list(section_names()) if everything else list(sections)
    for name in names:
        get_section(name)
    return names


def show_table(table, width: int = 180) -> None:
    """Print a table, `width` columns wide where the output is no terminal."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else width).print(table)


def show_page(what: str, page: Path, show: bool) -> None:
    """Say where a page is, and open it in a browser if asked."""
    click.echo(f"{what} {page.relative_to(ROOT)}")
    if show:
        webbrowser.open(page.as_uri())


def fail_if_any(jobs) -> None:
    """One line for each job that failed, and exit 1 if there are any."""
    failed = [job for job in jobs if job.state in ("failed", "skipped")]
    for job in failed:
        click.echo(f"genlab: {job.section} {job.state}: {job.message}", err=True)
    if failed:
        sys.exit(1)
