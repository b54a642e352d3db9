"""Tables of one kind, whoever wrote them: numbers stand on the right of their column, words on the
left, and names of variables at the head of a table are words."""

import re
from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes

NONE = {"", "-", "–", "—", "none", "NaN", "nan"}
LETTERS = 4  # a cell of more is words: "8 of 8" and "3 min" are numbers
VARIABLE = re.compile(r"\b(?:w[12]|[a-z][a-z0-9]*(?:_[a-z0-9]+)+)\b")
SPELT = {
    "c2st": "C2ST", "gaussians": "Gaussians", "kde": "KDE", "mmd2": "MMD²", "nll": "NLL",
    "1p0": "(1.0)", "w1": "W₁", "w2": "W₂", "gan": "GAN", "ebm": "EBM", "dsm": "DSM",
    "ddpm": "DDPM",
}  # fmt: skip
PANDAS = re.compile(r'<table (?:[^>]*class="dataframe"|id="T_)')  # its second kind has a style
OF_PANDAS = "table.dataframe, table[id^=T_]"


def setup(app: Any) -> None:
    app.connect("doctree-resolved", on_page)


def on_page(app: Any, doctree: nodes.document, page: str) -> None:
    """Mark the columns of numbers in tables of Markdown and of pandas."""
    for table in doctree.findall(nodes.table):
        mark(table)
    for node in list(doctree.findall(nodes.raw)):
        if PANDAS.search(text := node.astext()):
            node.parent.replace(node, nodes.raw("", restyled(text), **node.attributes))


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
    """Tables of pandas without a style of their own, their columns marked, their heads in words."""
    soup = BeautifulSoup(html, "html.parser")
    for element in soup.select("style"):
        element.decompose()
    for table in soup.select(OF_PANDAS):
        table.attrs = {"class": "dataframe"}
        for element in table.select("[style]"):
            del element["style"]
        for head in table.find_all("th"):
            head.string = VARIABLE.sub(_spelt, head.get_text().strip())
        body = [row.find_all("td") for row in table.select("tbody tr")]
        heads = [row.find_all(["th", "td"]) for row in table.select("thead tr")]
        heads = [row for row in heads if not any(cell.has_attr("colspan") for cell in row)]
        for i in range(-min(map(len, body), default=0), 0):  # names of rows stand before these
            column = [row[i] for row in body]
            if of_numbers([cell.get_text() for cell in column]):
                for cell in [*column, *(row[i] for row in heads)]:
                    cell["class"] = "number"
    return str(soup)


def _spelt(found: re.Match) -> str:
    return " ".join(SPELT.get(word, word) for word in found[0].split("_"))
