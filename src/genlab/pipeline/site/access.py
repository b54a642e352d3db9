"""Markup that keyboards and screen readers need, where theme and extensions leave it out."""

import re
from collections.abc import Callable
from typing import Any

# What stands in the body of a page, and what should.
MENDED = {
    # The text of a summary says whether the code is shown; a label would hide that.
    r'<summary aria-label="Toggle hidden content">': "<summary>",
    # A cell without a text is the head of nothing.
    r"<th\b[^>]*>((?:\s|<p>|</p>)*)</th>": r"<td>\1</td>",
    # Entries of a list are its items; the role that names them a bibliography is no longer one.
    r'role="doc-biblioentry"': 'role="listitem"',
}
ARROW = '<summary><span class="toctree-toggle"'


def setup(app: Any) -> None:
    app.connect("html-page-context", mend, priority=800)  # the theme has its functions ready


def mend(app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    for found, meant in MENDED.items():
        if "body" in context:
            context["body"] = re.sub(found, meant, context["body"])
    if listing := context.get("generate_toctree_html"):
        context["generate_toctree_html"] = named_arrows(listing)


def named_arrows(listing: Callable[..., Any]) -> Callable[..., Any]:
    """The list of pages, in which an arrow that unfolds a part has a name."""

    def named(*args: Any, **options: Any) -> Any:
        made = listing(*args, **options)
        arrow = ARROW.replace("<summary", '<summary aria-label="Pages below"')
        return made.replace(ARROW, arrow) if isinstance(made, str) else made

    return named
