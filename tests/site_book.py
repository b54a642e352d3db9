"""A book of a few pages, built by Sphinx with some modules of `genlab.pipeline.site`."""

from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

CONF = """
extensions = ["myst_parser", "sphinxcontrib.bibtex", {modules}]
myst_enable_extensions = ["colon_fence", "dollarmath"]
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
bibtex_default_style = {style!r}
bibtex_cite_id = "cite-{{key}}"
bibtex_tooltips = False
html_theme = "basic"
"""


def write(source: Path, pages: dict[str, str]) -> None:
    """Write the texts of `pages` (names of files -> text) that are new, so that a second build
    reads only those."""
    for name, text in pages.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def sphinx(folder: Path, settings: dict[str, Any] | None = None, **options: Any) -> Sphinx:
    """Build folder/source into folder/html by its conf.py, or by `settings` without one.

    In a namespace of its own: what a book registers, the next one in this process does not find.
    """
    source = folder / "source"
    places = source, None if settings else source, folder / "html", folder / "doctrees"
    with patch_docutils(), docutils_namespace():
        app = Sphinx(*places, "html", settings, status=None, **options)
        app.build()
    return app


def build(
    folder: Path, pages: dict[str, str], modules: list[str], style: str = "genlab"
) -> dict[str, BeautifulSoup]:
    """Write `pages` (names of files -> text) below `folder`, build what changed, and return the
    HTML pages by the name of their source.  A warning is an error."""
    source, out = folder / "source", folder / "html"
    write(source, pages)
    (source / "references.bib").touch()
    named = ", ".join(f'"genlab.pipeline.site.{module}"' for module in modules)
    (source / "conf.py").write_text(CONF.format(modules=named, style=style))
    assert sphinx(folder, warningiserror=True).statuscode == 0
    return {
        path.relative_to(out).with_suffix("").as_posix(): BeautifulSoup(
            path.read_text(), "html.parser"
        )
        for path in out.rglob("*.html")
    }
