"""What the commands of `genlab` share: options, and the words of the command line as values."""

import functools
import os
import sys

import click

from genlab.report.paths import UserError
from genlab.report.where import Where

PROFILE = click.option(
    "--profile", default="quick", show_default=True, help="quick (seconds) or full (the published numbers)"
)
PARAMETER = click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE", help="a parameter of the section")
SEED = click.option("--seed", type=int, default=None, help="the same as -p seed=N")


def runs_somewhere(command):
    """Options of every command that runs sections, gathered into one argument `where`."""

    @functools.wraps(command)
    def with_where(*args, jobs, scheduler, tls_ca, tls_cert, tls_key, **kwargs):
        from genlab.report.run import interrupt_on_terminate

        interrupt_on_terminate()
        where = Where(jobs, scheduler, tls_ca, tls_cert, tls_key)
        if scheduler:
            from genlab.report.cluster import gpu_of_workers

            os.environ["GENLAB_GPU"] = gpu_of_workers(where)
        return command(*args, where=where, **kwargs)

    path = click.Path(exists=True, dir_okay=False)
    for option in (
        click.option("--tls-key", type=path, help="private key for a tls:// scheduler"),
        click.option("--tls-cert", type=path, help="certificate for a tls:// scheduler"),
        click.option("--tls-ca", type=path, help="certificate authority of a tls:// scheduler"),
        click.option("--scheduler", metavar="tcp://HOST:PORT", help="run on the workers of this Dask scheduler"),
        click.option("--jobs", type=click.IntRange(1), help="runs at a time here [default: the number of cores]"),
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
    from genlab.report.sections import get_section, section_names

    if everything == bool(sections):
        raise UserError("name the sections or say --all, one of the two: see `genlab list`")
    names = list(section_names()) if everything else list(sections)
    for name in names:
        get_section(name)
    return names


def fail_if_any(jobs) -> None:
    """One line for each job that failed, and exit 1 if there are any."""
    failed = [job for job in jobs if job.state in ("failed", "skipped")]
    for job in failed:
        click.echo(f"genlab: {job.section} {job.state}: {job.message}", err=True)
    if failed:
        sys.exit(1)
