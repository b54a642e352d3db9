"""Commands of `genlab` that make what readers get: pages, published results, releases."""

import gc

import click

from genlab.pipeline.options import OPEN, one_run, show_page, some_or_all
from genlab.section.paths import ROOT

SHOWN = click.option(
    "--profile",
    default="full",
    show_default=True,
    help="which runs the pages show: full (published) or quick (stored)",
)


@click.command()
@SHOWN
@OPEN
def build(profile, show):
    """Build the HTML book from stored and published runs; nothing is executed."""
    from genlab.pipeline.views.book import build_book

    gc.disable()  # there is little to collect in one short process, and much to look through
    show_page("the book is at", build_book(profile), show)


@click.command()
@SHOWN
@OPEN
def pdf(profile, show):
    """Build the book and print all of it as one PDF, by Chromium or Chrome."""
    from genlab.pipeline.views.book import build_book
    from genlab.pipeline.views.pdf import book_pdf, find_browser

    browser = find_browser()  # what is missing is said before anything is built
    show_page("the PDF is at", book_pdf(build_book(profile), browser), show)


@click.command()
@one_run
@OPEN
def page(section, given, profile, show):
    """Build the HTML page of one stored run of SECTION, with the parameters it was run with."""
    from genlab.pipeline.views.book import build_page

    show_page("the page is at", build_page(section, given, profile), show)


@click.command()
@some_or_all
def publish(names):
    """Make the current full runs of SECTIONS the published ones (book/published/)."""
    from genlab.pipeline.runs.publish import current_full_run, publish

    for found in [current_full_run(name) for name in names]:
        record = found.record
        if record.get("dirty"):
            state = "which git knows nothing of" if record["commit"] is None else "that had changes"
            click.echo(f"genlab: note: {record['section']} was run from files {state}", err=True)
        publish(found)
        click.echo(f"published {record['section']} ({record['key']})")


@click.command()
@click.option(
    "--allow-stale",
    is_flag=True,
    help="release the last commit although files differ from it, or pages are stale; the release "
    "says so",
)
@click.option("--no-pdf", is_flag=True, help="leave the PDF out")
def release(allow_stale, no_pdf):
    """Pack the last commit's book for others: HTML, PDF, results, tables, checksums, metadata."""
    from genlab.pipeline.views.release import release

    folder = release(allow_stale=allow_stale, pdf=not no_pdf)
    for file in sorted(folder.iterdir()):
        click.echo(f"{file.stat().st_size / 2**20:8.2f} MiB  {file.relative_to(ROOT)}")
    click.echo(f"check it: cd {folder.relative_to(ROOT)} && sha256sum -c MANIFEST.sha256")


COMMANDS = (build, pdf, page, publish, release)
