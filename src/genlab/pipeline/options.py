"""What the commands of `genlab` share: options, the words of the command line as values, and how to
print.

Here `-p`, `-g`, `--seed` and `--seeds` are put together: what contradicts itself is refused before
anything runs.
"""

import functools
import itertools
import math
import os
import re
import sys
import webbrowser
from collections.abc import Collection
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
BROKEN = "genlab.broken"  # in the context of a command: a section was left out
COLUMNS = ("state", "key", "seconds")  # of every sweep
MOST_RUNS = 10_000  # of one sweep
WIDTH = 200  # of a printed table
FILE = click.Path(exists=True, dir_okay=False)
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
        given = combined(parameters, seed)
        return command(*args, section=chosen([section], False)[0], given=given, **kwargs)

    return click.argument("section")(PARAMETER(PROFILE(SEED(with_run))))


def runs_somewhere(command):
    """Options of every command that runs sections, gathered into one argument `where`."""

    @click.option(
        "--jobs",
        type=click.IntRange(1),
        help="runs at a time here [default: as many as the cores allow]",
    )
    @click.option(
        "--scheduler", metavar="tcp://HOST:PORT", help="run on the workers of this Dask scheduler"
    )
    @click.option("--tls-ca", type=FILE, help="certificate authority of a tls:// scheduler")
    @click.option("--tls-cert", type=FILE, help="certificate for a tls:// scheduler")
    @click.option("--tls-key", type=FILE, help="private key for a tls:// scheduler")
    @functools.wraps(command)
    def with_where(*args, jobs, scheduler, tls_ca, tls_cert, tls_key, **kwargs):
        from genlab.pipeline.execution.plan import interrupt_on_terminate

        interrupt_on_terminate()
        where = Where(jobs, scheduler, tls_ca, tls_cert, tls_key)
        if scheduler:
            from genlab.pipeline.execution.farm import gpu_of_workers

            os.environ["GENLAB_GPU"] = gpu_of_workers(where)
        return command(*args, where=where, **kwargs)

    return with_where


def assignments(words, option: str = "-p") -> dict[str, str]:
    """{name: value} from words NAME=VALUE.  UserError for another word, and for a name given
    twice."""
    found: dict[str, str] = {}
    for word in map(as_utf8, words):
        name, sign, value = word.partition("=")
        if not (sign and name.strip()):
            raise UserError(f"{word!r} must read NAME=VALUE, as in -p sigma=0.3")
        if name in found:
            raise UserError(
                f"{option} {name}={found[name]} and {option} {name}={value} contradict each other: "
                "give one of them"
            )
        found[name] = value
    return found


def as_utf8(word: str) -> str:
    """A word of the command line as UTF-8, whatever the locale took it for."""
    try:
        return os.fsencode(word).decode("utf-8")
    except UnicodeError:
        raise UserError(f"{word!r} is no UTF-8: write it in UTF-8") from None


def combined(parameters, seed: int | None) -> dict[str, str | int]:
    """{name: value} of -p and --seed.  UserError if both say the seed."""
    given: dict[str, str | int] = dict(assignments(parameters))
    if seed is not None and "seed" in given:
        raise UserError(f"-p seed={given['seed']} and --seed {seed} both say the seed: give one")
    return given if seed is None else given | {"seed": seed}


def points(section: str, grid, parameters, seeds: int | None) -> tuple[list[str], list[dict]]:
    """The points of a sweep: names of what varies, the seed last, and the values of each point.

    UserError, before anything runs, for values that contradict each other or are there twice, and
    for more than MOST_RUNS runs.
    """
    axes = {name: axis(section, name, text) for name, text in assignments(grid, "-g").items()}
    fixed = assignments(parameters)
    for name in fixed.keys() & axes.keys():
        raise UserError(f"-p {name}={fixed[name]} and -g {name}=… contradict each other: give one")
    if seeds and (said := [f"{o} seed" for o, by in (("-g", axes), ("-p", fixed)) if "seed" in by]):
        raise UserError(f"{said[0]}=… and --seeds {seeds} both say the seeds: give one of them")
    if seeds:
        axes |= {"seed": range(seeds)}
    count = math.prod(map(len, axes.values()))
    if count > MOST_RUNS:
        raise UserError(
            f"this sweep would be {count:,} runs, and at most {MOST_RUNS:,} are one sweep: give "
            "fewer values, or several sweeps"
        )
    product = itertools.product(*axes.values())
    found = [fixed | dict(zip(axes, values, strict=True)) for values in product]
    return [*(name for name in axes if name != "seed"), "seed"], found


def axis(section: str, name: str, text: str) -> list:
    """The values of one parameter in a grid, apart by `,` (lists by `;`).  UserError for one that
    the section refuses, an empty one, and one that is there twice."""
    from genlab.pipeline.runs.pages import get_section

    parameter = get_section(section).parameter(name)
    if name in COLUMNS:
        raise UserError(
            f"-g {name}=…: the table of a sweep has a column {name}: rename the parameter"
        )
    words = [w.strip() for w in text.split(";" if isinstance(parameter.default, list) else ",")]
    if not all(words):
        raise UserError(f"-g {name}={text[:80]} has an empty value: give one, or leave it out")
    if isinstance(parameter.default, list) and len(words) == 1:
        raise UserError(
            f"-g {name}={text}: {name} is a list, so `;` parts its values, as in "
            f"-g '{name}={';'.join(words[0].split(','))}'; for one list say -p {name}={text}"
        )
    if len(words) > MOST_RUNS:
        raise UserError(f"-g {name}=… has {len(words):,} values, and at most {MOST_RUNS:,} are run")
    values = [parameter.checked(word, section) for word in words]
    if twice := [v for i, v in enumerate(values) if v in values[:i]]:
        raise UserError(f"-g {name}={text[:80]}: {twice[0]!r} is there twice: give it once")
    return values


def chosen(sections, everything: bool) -> list[str]:
    """The sections named, or all that can be read, with one line for each that cannot; not both,
    not neither."""
    from genlab.pipeline.runs.pages import get_section, section_names

    if everything == bool(sections):
        raise UserError("name the sections or say --all, one of the two: see `genlab list`")
    if everything:
        return sound(section_names())
    for name in sections:
        get_section(name)
    return list(sections)


def sound(names) -> list[str]:
    """Those of the sections that can be read, with all they need; one line for each other."""
    from genlab.pipeline.runs import keys

    found = []
    for name in names:
        try:
            keys.check(name)
            found.append(name)
        except UserError as error:
            tell_broken(name, error)
    return found


def tell_broken(name: str, error: UserError) -> None:
    """Say in one line that a section is left out; the command goes on, and ends with exit code
    2."""
    click.echo(f"genlab: {name} is left out: {one_line(error)}", err=True)
    if context := click.get_current_context(silent=True):
        context.meta[BROKEN] = True


def one_line(error: object) -> str:
    """A message as one line without characters that steer a terminal."""
    text = " ".join(re.sub(r"\x1b\[[\d;]*m", "", str(error)).split())
    return "".join(c if c.isprintable() else "?" for c in text)


def table(*columns: str, right: Collection[str] = (), title: str | None = None):
    """An empty table without lines; the columns in `right` are aligned there."""
    from rich.table import Table

    made = Table(box=None, header_style="bold", title=title, title_justify="left")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left")
    return made


def show_table(table) -> None:
    """Print a table, at most WIDTH columns wide where the output is no terminal; `[bold]` and
    `:car:` in a value are text."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else WIDTH, markup=False, emoji=False).print(table)


def show_page(what: str, page: Path, show: bool) -> None:
    """Say where a page is, and open it in a browser if asked."""
    click.echo(f"{what} {page.relative_to(ROOT)}")
    if show:
        webbrowser.open(page.as_uri())


def fail_if_any(jobs) -> None:
    """One line for each job that failed, and exit 1 if there are any."""
    failed = [job for job in jobs if job.state in ("failed", "skipped")]
    for job in failed:
        click.echo(f"genlab: {job.section} {job.state}: {one_line(job.message)}", err=True)
    if failed:
        sys.exit(1)


class Commands(click.Group):
    """Turns a user's mistake into one line on stderr and exit code 2, an interrupt into one line
    and 130."""

    def invoke(self, ctx):
        """Run the command; exit code 2 if it left out a section that cannot be read."""
        result = super().invoke(ctx)
        if ctx.meta.get(BROKEN):
            sys.exit(2)
        return result

    def main(self, *args, **kwargs):
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # what it cannot show is no reason to stop
                stream.reconfigure(errors="replace")
        try:
            super().main(*args, **kwargs, standalone_mode=False)
        except (UserError, click.ClickException) as error:
            text = error.format_message() if isinstance(error, click.ClickException) else str(error)
            click.echo(f"genlab: {one_line(text)}", err=True)
            sys.exit(2)
        except (KeyboardInterrupt, click.Abort):
            click.echo(
                "genlab: interrupted: finished runs are kept, nothing else was stored", err=True
            )
            sys.exit(130)
