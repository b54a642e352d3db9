"""Tables of one kind, whoever wrote them: numbers stand on the right of their column, words on the
left, and names of variables at the head of a table are words."""

import re
from typing import Any

from bs4 import BeautifulSoup, Tag
from docutils import nodes

NONE = {"", "-", "–", "—", "none", "NaN", "nan"}
LETTERS = 4  # a cell of more is words: "8 of 8" and "3 min" are numbers
VARIABLE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")
SPELT = {
    "c2st": "C2ST", "gaussians": "Gaussians", "kde": "KDE", "mmd2": "MMD²", "nll": "NLL",
    "w1": "W₁", "w2": "W₂", "gan": "GAN", "ebm": "EBM", "dsm": "DSM", "ddpm": "DDPM",
}  # fmt: skip
EMPTY_HEAD = re.compile(r"<th\b([^>]*)>(?:\s|<p>|</p>)*</th>")


def setup(app: Any) -> None:
    app.connect("doctree-resolved", on_page)
    app.connect("html-page-context", on_written)


def on_page(app: Any, doctree: nodes.document, page: str) -> None:
    """Mark the columns of numbers in tables of Markdown and of pandas."""
    if app.builder.format != "html":
        return
    for table in doctree.findall(nodes.table):
        mark(table)
    for node in list(doctree.findall(nodes.raw)):
        if 'class="dataframe"' in (text := node.astext()):
            node.parent.replace(node, nodes.raw("", restyled(text), **node.attributes))


def on_written(app: Any, page: str, template: str, context: dict, doctree: Any) -> None:
    """A head that names nothing is no head to a screen reader."""
    if "body" in context:
        context["body"] = EMPTY_HEAD.sub(r"<td\1></td>", context["body"])


def is_number(text: str) -> bool:
    """Whether a cell holds a number, perhaps with its error, unit or number of cases."""
    letters = sum(map(str.isalpha, text))
    return any(map(str.isdigit, text)) and letters <= LETTERS and not text[0].isalpha()


def of_numbers(cells: list[str]) -> bool:
    """Whether a column is one of numbers: nothing but numbers and gaps."""
    told = [cell for cell in map(str.strip, cells) if cell not in NONE]
    return bool(told) and all(map(is_number, told))


def mark(table: nodes.table) -> None:
    """Give the cells of number columns, with their heads, the class of what stands on the right;
    what an author aligned stays."""
    rows = [list(row) for row in table.findall(nodes.row)]
    heads = sum(len(head) for head in table.findall(nodes.thead))
    if len({len(row) for row in rows}) > 1:  # cells over several columns
        return
    for column in list(zip(*rows, strict=True))[1:]:
        aligned = any(kind.startswith("text-") for cell in column for kind in cell["classes"])
        if not aligned and of_numbers([cell.astext() for cell in column[heads:]]):
            for cell in column:
                cell["classes"].append("text-right")


def restyled(html: str) -> str:
    """A table of pandas without a style of its own, its columns marked, its heads in words."""
    soup = BeautifulSoup(html, "html.parser")
    for table in soup.select("table.dataframe"):
        del table["border"]
        for element in table.select("[style]"):
            del element["style"]
        rows = [row.find_all(["th", "td"]) for row in table.find_all("tr")]
        width = max(map(len, rows))
        full = [row for row in rows if len(row) == width]
        body = [row for row in full if _in_body(row)]
        for i in range(width):
            told = [row[i].get_text() for row in body if row[i].name == "td"]
            if of_numbers(told):
                for row in full:
                    if row in body or not row[i].has_attr("colspan"):
                        row[i]["class"] = "number"
        for head in table.find_all("th"):
            head.string = VARIABLE.sub(_spelt, head.get_text())
    return str(soup)


def _in_body(row: list[Tag]) -> bool:
    return row[0].find_parent("tbody") is not None


def _spelt(found: re.Match) -> str:
    return " ".join(SPELT.get(word, word) for word in found[0].split("_"))
