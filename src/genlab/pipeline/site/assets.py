"""A page loads only what it uses, and the book holds only what a page loads."""

import re
import shutil
from pathlib import Path
from typing import Any

THEME = Path(__file__).with_name("theme")  # templates in the place of the theme's own

# A file of an extension, or a script in a page, and what in the text of a page needs it.
NEEDED_BY = {
    r"\bsphinx-design|\bdesign-tabs": r'class="[^"]*\bsd-',
    r"\btogglebutton|\btoggleHint|\btoggleOpenOnPrint": r'class="[^"]*\b(toggle|dropdown)\b',
    r"\bcopybutton|\bclipboard": r'class="[^"]*\bhighlight\b',
    r"\bmystnb": r'class="[^"]*\b(cell|highlight|output)\b',
    r"\bmathjax|\bMathJax": r'class="[^"]*\bmath\b',
    r"\btables\.js": r"class=['\"][^'\"]*\bgenlab-sortable\b",
    r"\bplayer\.js": r"\bgenlab-(player|slider|hover)\b|<figure\b",  # the next two use it
    r"\bhovermap\.js": r"\bgenlab-hover\b(?!card)",
    r"\bpanels\.(js|css)": r"\bgenlab-(cuts|numbers)\b",
    r"\blightbox\.js": r"<figure\b",
}

# Sphinx's own search, and what highlights for it: the book has another.
SEARCH = ("doctools.js", "sphinx_highlight.js", "searchtools.js", "language_data.js")

# What the theme brings and no page of this book loads, below _static.
UNUSED = (
    "**/*.map",
    "**/*webpack-macros.html",
    "scripts/fontawesome.*",
    "vendor/fontawesome",
    "images/logo_*",
    "locales",
)

# The rules of an icon font of which the book's own style draws the few icons that are used.
ICON_FONT = re.compile(
    r"@font-face\{[^{}]*fontawesome[^{}]*\}|(?:\.fa-[\w-]+:before,?)+\{content:[^{}]*\}"
)

# Before anything is shown: the colours that were chosen, or else the system's.  The theme's own
# script comes last, and until then a page would be light.
FIRST_COLOURS = """(page => {
  page.mode = localStorage.getItem("mode") || "auto";
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  page.theme = page.mode !== "auto" ? page.mode : dark ? "dark" : "light";
})(document.documentElement.dataset)"""


def setup(app: Any) -> None:
    app.add_js_file(None, body=FIRST_COLOURS, priority=100)
    app.config.templates_path.insert(0, str(THEME))
    app.connect("html-page-context", load_what_is_used, priority=900)  # after all have added theirs
    app.connect("build-finished", tidy)


def load_what_is_used(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Leave out styles and scripts that nothing on the page needs."""
    body = context.get("body", "")
    for kind in ("css_files", "script_files"):
        context[kind] = [file for file in context.get(kind, []) if is_used(named(file), body)]


def named(file: Any) -> str:
    """The path of a style or script, or the text of one that stands in the page itself."""
    return str(getattr(file, "filename", file) or "") or file.attributes.get("body", "")


def is_used(name: str, body: str) -> bool:
    if name.endswith(SEARCH):
        return False
    needs = [need for about, need in NEEDED_BY.items() if re.search(about, name)]
    return not needs or any(re.search(need, body) for need in needs)


def tidy(app: Any, exception: Exception | None) -> None:
    """Take out of the built book what no page loads."""
    if exception:
        return
    static = Path(app.outdir) / "_static"
    for pattern in UNUSED + SEARCH:
        for path in static.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in static.glob("styles/*.css"):
        style = path.read_text("utf-8")
        path.write_text(
            re.sub(r"\n?/\*# sourceMappingURL.*", "", ICON_FONT.sub("", style)), "utf-8"
        )
