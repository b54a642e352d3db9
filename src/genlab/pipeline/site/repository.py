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
    url, branch = options.get("repository_url", ""), options.get("repository_branch") or "main"
    groups = {
        "launch-buttons": ("Launch this page", "fas fa-play", launch(url, branch, page)),
        "repository-buttons": ("Source and issues", "fas fa-pencil", source(url, branch, page)),
    }  # about.css draws their icons
    for label, (tooltip, icon, links) in groups.items():
        if links:
            context.setdefault("header_buttons", []).append(
                {
                    "type": "group",
                    "tooltip": tooltip,
                    "icon": icon,
                    "label": label,
                    "buttons": [
                        {"type": "link", "text": text, "tooltip": said, "url": to}
                        for text, said, to in links
                    ],
                }
            )


Links = list[tuple[str, str, str]]  # what a link says, what more of it, and its address


def launch(url: str, branch: str, page: str) -> Links:
    """Where a chapter can be run without installing anything."""
    if not page.startswith("notebooks/") or not (where := repository(url)):
        return []
    name = page.removeprefix("notebooks/")
    lab = quote(f"lab/tree/notebooks/{name}.md", safe="")
    binder = f"https://mybinder.org/v2/gh/{where}/{quote(branch, safe='')}?urlpath={lab}"
    stored = f"{where}/blob/{quote(branch)}/book/published/{name}.ipynb"
    return [
        ("Binder", "Open the source of this page in Jupyter on mybinder.org", binder),
        ("Colab", "Open the published notebook in Google Colab",
         f"https://colab.research.google.com/github/{stored}"),
    ]  # fmt: skip


def source(url: str, branch: str, page: str) -> Links:
    """Where the source of a page is edited and a fault reported."""
    if not page.startswith(("notebooks/", "book/")) or not (where := repository(url)):
        return []
    home = f"https://github.com/{where}"
    issue = urlencode({"title": f"{page}: ", "body": f"On the page {page}:\n\n"}, quote_via=quote)
    return [
        (
            "Suggest an edit",
            "Edit the source of this page",
            f"{home}/edit/{quote(branch)}/{page}.md",
        ),
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
