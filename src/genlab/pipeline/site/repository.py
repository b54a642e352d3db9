"""Links from a page to the book's repository: launch it, edit its source, report what is wrong.

One address, `repository: url` in _config.yml, makes them all; without it there are none.
"""

from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from genlab.section.paths import UserError


def setup(app: Any) -> None:
    """Add the buttons to the head of every page, after those of the theme."""
    app.connect("html-page-context", add_buttons, priority=900)


def add_buttons(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Two groups of buttons for a page that has a source in the repository."""
    options = app.config.html_theme_options
    if not (where := repository(options.get("repository_url", ""))):
        return
    branch, groups = options.get("repository_branch") or "main", context["header_buttons"]
    # about.css draws their icons
    if links := launch(where, branch, page):
        groups.append(_group("launch-buttons", "Launch this page", "fas fa-play", links))
    if links := source(where, branch, page):
        groups.append(_group("repository-buttons", "Source and issues", "fas fa-pencil", links))


Links = list[tuple[str, str, str]]  # what a link says, what more of it, and its address


def _group(label: str, tooltip: str, icon: str, links: Links) -> dict[str, Any]:
    buttons = [
        {"type": "link", "text": text, "tooltip": said, "url": to} for text, said, to in links
    ]
    return dict(type="group", label=label, tooltip=tooltip, icon=icon, buttons=buttons)


def launch(where: str, branch: str, page: str) -> Links:
    """Where a chapter of the repository `where` can be run without installing anything."""
    if not page.startswith("notebooks/"):
        return []
    name = page.removeprefix("notebooks/")
    lab = quote(f"lab/tree/notebooks/{name}.md", safe="")
    binder = f"https://mybinder.org/v2/gh/{where}/{quote(branch, safe='')}?urlpath={lab}"
    stored = f"{where}/blob/{quote(branch)}/book/published/{name}.ipynb"
    colab = f"https://colab.research.google.com/github/{stored}"
    return [
        ("Binder", "Open the source of this page in Jupyter on mybinder.org", binder),
        ("Colab", "Open the published notebook in Google Colab", colab),
    ]


def source(where: str, branch: str, page: str) -> Links:
    """Where the source of a page is edited and a fault reported."""
    if not page.startswith(("notebooks/", "book/")):
        return []
    home = f"https://github.com/{where}"
    edit = f"{home}/edit/{quote(branch)}/{page}.md"
    issue = urlencode({"title": f"{page}: ", "body": f"On the page {page}:\n\n"}, quote_via=quote)
    return [
        ("Suggest an edit", "Edit the source of this page", edit),
        ("Open an issue", "Report what is wrong on this page", f"{home}/issues/new?{issue}"),
        ("Repository", "The source of the book", home),
    ]


def repository(url: str) -> str:
    """OWNER/NAME of the address, or nothing without one.  UserError for another place, whose
    addresses of files are not known here."""
    if not url:
        return ""
    parts = urlsplit(url)
    path = parts.path.strip("/").removesuffix(".git")
    if parts.scheme != "https" or parts.netloc != "github.com" or path.count("/") != 1:
        raise UserError(
            f"_config.yml: repository url {url!r} is no https://github.com/OWNER/NAME: write that, "
            'or "" for no links'
        )
    return path
