"""Markup for keyboards and screen readers, where theme and extensions leave it out."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

# What stands in the body of a page, and what should.
MENDED = {
    # The text of a summary says whether the code is shown; a label would hide that.
    r'<summary aria-label="Toggle hidden content">': "<summary>",
    # A cell without a text is the head of nothing.
    r"<th\b[^>]*>((?:\s|&nbsp;|<p>|</p>)*)</th>": r"<td>\1</td>",
    # The lines of a long signature define no terms.
    r"<dl>\s*((?:<dd>(?:(?!<dl|</dl).)*?</dd>\s*)+)</dl>": lambda found: (
        '<div class="genlab-lines">'
        + found[1].replace("<dd>", "<div>").replace("</dd>", "</div>")
        + "</div>"
    ),
}


def setup(app: Any) -> None:
    app.connect("html-page-context", mend, priority=800)  # the theme has its functions ready


def mend(app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Mend the text of a page, and the list of pages beside it."""
    for found, meant in MENDED.items():
        if "body" in context:
            context["body"] = re.sub(found, meant, context["body"], flags=re.DOTALL)
    if listing := context.get("generate_toctree_html"):
        context["generate_toctree_html"] = with_named_arrows(listing)


def with_named_arrows(listing: Callable[..., Any]) -> Callable[..., Any]:
    """The list of pages, in which an arrow that unfolds a part has a name."""

    @wraps(listing)
    def named(*args: Any, **options: Any) -> Any:
        made = listing(*args, **options)
        for summary in made.select("summary") if made else ():
            if not summary.get_text(strip=True):
                summary["aria-label"] = "Pages below"
        return made

    return named
