"""Numbers in prose and tables as they are printed: a minus is a minus sign, a power of ten is one,
and a thin space stands before every per cent sign.  Code, outputs and formulas stay as they are."""

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes

THIN = "\u202f"  # narrow, and no line ends there
MINUS = re.compile(r"(?<![\w.)\]’'\-])-(?=\.?\d)")
PER_CENT = re.compile(r"(?<=\d)[ \u00a0]?%(?!\w)")
POWER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]?\d{1,3})(?![\w.]\w|\w)")
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LITERAL = (nodes.literal, nodes.math, nodes.FixedTextElement, addnodes.desc_signature)
# A piece of HTML: an element whose text is not prose, or a tag; or else a text.
PIECE = re.compile(
    r"(<(?:(code|pre|script|style|svg|textarea)\b.*?</\2>|[^>]*>))|[^<]+|<", re.DOTALL
)


def setup(app: Any) -> None:
    app.connect("doctree-resolved", on_page, priority=600)


def on_page(app: Any, doctree: nodes.document, page: str) -> None:
    """Set the numbers of a page, in its HTML too."""
    _set(doctree)


def _set(element: nodes.Element) -> None:
    for i, child in enumerate(element.children):
        if isinstance(child, nodes.Text):
            before = element.children[i - 1].astext() if i else ""
            told = printed(child.astext())
            if before[-1:].isdigit():  # a number that is bound to a run
                told = re.sub(r"^[ \u00a0]?%(?!\w)", f"{THIN}%", told)
            element[i] = nodes.Text(told)
        elif isinstance(child, nodes.raw):
            if "html" in child.get("format", ""):
                html = in_html(child.astext())
                element[i] = nodes.raw("", html, **child.attributes)
        elif not isinstance(child, LITERAL):
            _set(child)


def printed(text: str) -> str:
    """The text with its numbers as they are printed."""
    text = POWER.sub(_power, MINUS.sub("−", text))
    return PER_CENT.sub(f"{THIN}%", text)


def _power(found: re.Match) -> str:
    power = f"10{str(int(found[2])).translate(RAISED)}"
    return power if found[1] == "1" else f"{found[1]}{THIN}×{THIN}{power}"


def in_html(html: str) -> str:
    """The HTML with the numbers of its texts as they are printed; tags, code and pictures stay."""
    return PIECE.sub(lambda found: found[1] or printed(found[0]), html)
