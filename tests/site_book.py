"""A book of a few pages, built by Sphinx with some modules of `genlab.pipeline.site`."""

from pathlib import Path

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


def build(
    folder: Path, pages: dict[str, str], modules: list[str], style: str = "genlab"
) -> dict[str, BeautifulSoup]:
    """Write `pages` (names of files -> text) below `folder`, build what changed, and return the
    HTML pages by the name of their source.  A warning is an error."""
    source, out = folder / "source", folder / "html"
    for name, text in pages.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)
    (source / "references.bib").touch()
    named = ", ".join(f'"genlab.pipeline.site.{module}"' for module in modules)
    (source / "conf.py").write_text(CONF.format(modules=named, style=style))
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            source, source, out, folder / "doctrees", "html", status=None, warningiserror=True
        )
        app.build()
    assert app.statuscode == 0
    return {
        path.relative_to(out).with_suffix("").as_posix(): BeautifulSoup(
            path.read_text(), "html.parser"
        )
        for path in out.rglob("*.html")
    }
