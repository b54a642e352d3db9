"""Links from a page to the book's repository: launch it, edit its source, report what is wrong.

One address, `repository: url` in _config.yml, makes them all; without it there are none.
"""

from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from genlab.section.paths import UserError

Button = dict[str, Any]


def setup(app: Any) -> None:
    """Add the buttons to the head of every page, after those of the theme."""
    app.connect("html-page-context", add_buttons, priority=900)


def add_buttons(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Two groups of buttons for a page that has a source in the repository."""
    options = app.config.html_theme_options
    url, branch = options.get("repository_url", ""), options.get("repository_branch") or "main"
    groups = {
        "launch-buttons": ("Launch this page", "fas fa-rocket", launch(url, branch, page)),
        "repository-buttons": ("Source and issues", "fab fa-github", source(url, branch, page)),
    }
    for label, (tooltip, icon, links) in groups.items():
        if links:
            context.setdefault("header_buttons", []).append(
                {
                    "type": "group",
                    "tooltip": tooltip,
                    "icon": icon,
                    "label": label,
                    "buttons": [
                        {"type": "link", "text": text, "tooltip": said, "url": to, "icon": sign}
                        for text, said, to, sign in links
                    ],
                }
            )


def launch(url: str, branch: str, page: str) -> list[tuple[str, str, str, str]]:
    """Where a chapter can be run without installing anything: (text, more, address, icon)."""
    if not page.startswith("notebooks/") or not (where := repository(url)):
        return []
    name = page.removeprefix("notebooks/")
    at = quote(branch, safe="")
    lab = quote(f"lab/tree/notebooks/{name}.md", safe="")
    stored = f"{where}/blob/{quote(branch)}/book/published/{name}.ipynb"
    return [
        ("Binder", "Open the source of this page in Jupyter on mybinder.org",
         f"https://mybinder.org/v2/gh/{where}/{at}?urlpath={lab}", "fas fa-rocket"),
        ("Colab", "Open the published notebook in Google Colab",
         f"https://colab.research.google.com/github/{stored}", "fas fa-book"),
    ]  # fmt: skip


def source(url: str, branch: str, page: str) -> list[tuple[str, str, str, str]]:
    """Where the source of a page is edited and a fault reported: (text, more, address, icon)."""
    if not page.startswith(("notebooks/", "book/")) or not (where := repository(url)):
        return []
    home = f"https://github.com/{where}"
    issue = urlencode({"title": f"{page}: ", "body": f"On the page {page}:\n\n"}, quote_via=quote)
    return [
        ("edit", "Suggest an edit", f"{home}/edit/{quote(branch)}/{page}.md", "fas fa-pencil-alt"),
        ("issue", "Open an issue", f"{home}/issues/new?{issue}", "fas fa-lightbulb"),
        ("repository", "Source repository", home, "fab fa-github"),
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
