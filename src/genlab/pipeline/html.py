"""HTML reports outside the book (gate, comparison, sweep): one file each, readable anywhere, in
light and dark; and text that means only itself in Markdown."""

import base64
import re
from collections.abc import Collection, Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from genlab.pipeline.runs.disk import disk_errors, write_all
from genlab.section.paths import BUILD


def write(file: str, template: str, **values) -> Path:
    """Render a template of `pipeline/templates` to a file under _build/ and return its path."""
    text, path = render(template, **values), BUILD / file
    with disk_errors("the report"):
        write_all({path: text.encode()})
    return path


def render(template: str, **values) -> str:
    """A template of `pipeline/templates` with these values."""
    environment = Environment(
        loader=PackageLoader("genlab.pipeline"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"number": number, "picture": picture}
    return environment.get_template(template).render(**values)


def number(value) -> str:
    """Four significant digits; whole numbers whole."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int):  # switches too
        return str(value)
    if abs(value) < 1e15 and float(value).is_integer():
        return str(int(value))
    return f"{value:.4g}"


def plain(text: object) -> str:
    """Text of somebody else in a line or a table of Markdown: every sign that could mean something
    to Markdown, MyST or HTML stands for itself."""
    return re.sub(r"([\\`*_{}\[\]<>&$|~])", r"\\\1", " ".join(str(text).split()))


def literal(text: object) -> str:
    """Text of somebody else as code in a line or a table of Markdown."""
    text = " ".join(str(text).split()).replace("|", r"\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " * (len(fence) > 1)
    return f"{fence}{pad}{text}{pad}{fence}"


def markdown(
    heads: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[str] = ()
) -> str:
    """A table in Markdown; columns whose head is in `right` are aligned there."""
    rule = ["--:" if head in right else "---" for head in heads]
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    return "\n".join([lines[0], f"|{'|'.join(rule)}|", *lines[1:]])


def picture(png: bytes) -> Markup:
    """A PNG as a data URI."""
    return Markup("data:image/png;base64," + base64.b64encode(png).decode())


def strip(
    baseline: Sequence[float], fresh: Sequence[float], low: float, high: float, width: int = 150
) -> Markup:
    """A small picture of a judgement: the interval as a bar, the baseline's values as ticks, the
    fresh ones as a dot."""
    finite = [v for v in (*baseline, *fresh, low, high) if np.isfinite(v)]
    least, most = min(finite), max(finite)
    scale = (width - 20) / (most - least or 1.0)

    def x(value: float) -> float:
        return round(10 + (np.clip(value, least, most) - least) * scale, 1)

    left, right = (0 if np.isinf(low) else x(low)), (width if np.isinf(high) else x(high))
    ticks = "".join(
        f'<line class="tick" x1="{x(v)}" x2="{x(v)}" y1="5" y2="17"/>' for v in baseline
    )
    dots = "".join(
        f'<circle class="dot" cx="{x(v)}" cy="11" r="4"/>' for v in fresh if np.isfinite(v)
    )
    return Markup(
        f'<svg class="strip" width="{width}" height="22" role="img" aria-label="interval, '
        'baseline values and the fresh value">'
        f'<rect class="interval" x="{left}" y="3" width="{max(right - left, 1)}" height="16" '
        f'rx="3"/>{ticks}{dots}</svg>'
    )


LONG = 60  # characters: a cell of more has room to be read


def sortable(
    heads: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    ids: Sequence[str] = (),
    plain: bool = False,
) -> Markup:
    """A table in one line of HTML, which Markdown passes on.  Unless it is `plain`, the book's
    script lets a reader sort it by a column and filter its rows.

    A cell is text, HTML (Markup), or a number, which is written with four digits and sorted as it
    is; ids: anchors of the rows.
    """
    made = [Markup("<th scope='col'>{}</th>").format(head) for head in heads]
    lines = [Markup("<thead><tr>{}</tr></thead><tbody>").format(Markup().join(made))]
    for id_, row in zip_longest(ids, rows):
        anchor = Markup(" id='{}'").format(id_) if id_ else ""
        lines.append(Markup("<tr{}>{}</tr>").format(anchor, Markup().join(map(_cell, row))))
    kind = "genlab-table" if plain else "genlab-table genlab-sortable"
    table = Markup("<table class='{}'>{}</tbody></table>").format(kind, Markup().join(lines))
    # on one line: an empty one would end the HTML
    return Markup(" ".join(f"<div class='genlab-scroll'>{table}</div>".split()))


def _cell(content: object) -> Markup:
    if isinstance(content, (int, float)):
        return Markup("<td class='number' data-value='{}'>{}</td>").format(
            repr(float(content)), number(content)
        )
    content = "" if content is None else content
    kind = " class='text'" if len(content) > LONG and not isinstance(content, Markup) else ""
    return Markup(f"<td{kind}>{{}}</td>").format(content)
