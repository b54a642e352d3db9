"""Cells of a notebook that somebody else may have written: shown, and never obeyed.

A stale page shows the cells of its run, not those of its section file.  Their Markdown could name
files of the reader's disk, hold HTML, or make Sphinx run what it says.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache

import nbformat
import yaml
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

from genlab.pipeline.html import plain
from genlab.section.paths import ROOT

# What prose is made of, as the parser of the book names it: anything else may be a command.
PROSE = {
    *("inline", "text", "text_special", "softbreak", "hardbreak", "hr"),
    *("code_inline", "code_block"),
    *("math_inline", "math_inline_double", "math_block", "math_block_label", "amsmath"),
    *(f"{name}_{end}" for end in ("open", "close") for name in (
        "paragraph", "heading", "em", "strong", "s", "blockquote", "bullet_list", "ordered_list",
        "list_item", "table", "thead", "tbody", "tr", "th", "td", "link", "dl", "dt", "dd",
    )),
    *("myst_role", "myst_target", "fence"),
}  # fmt: skip
ROLES = ("cite:p", "cite:t", "doc", "eq", "glue:text", "math", "numref", "ref")
KINDS = ("image/png", "image/jpeg", "text/html", "text/plain", "text/latex", "text/markdown")
LABEL = re.compile(r"[\w-]+")  # a name that others refer to
RECORDED = ("application/papermill.record/", "application/vnd.genlab.")  # nobody renders them


def harmless(markdown: str) -> bool:
    """Whether a text holds nothing but prose, formulas, citations and quoted numbers."""
    return all(map(_is_prose, _tokens(_parser().parse(markdown))))


@cache
def _parser() -> MarkdownIt:
    """The parser of the book, with its extensions."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8")) or {}
    extensions = config.get("parse", {}).get("myst_enable_extensions", [])
    return create_md_parser(MdParserConfig(enable_extensions=set(extensions)), RendererHTML)


def _tokens(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _tokens(token.children or [])


def _is_prose(token: Token) -> bool:
    if token.type == "fence":  # a block of code, or a formula; else a directive
        return not token.info.strip().startswith("{") or token.info.strip() == "{math}"
    if token.type == "myst_role":
        return token.meta.get("name") in ROLES
    if token.type == "link_open":  # Sphinx would copy a file that a link names
        return bool(re.match(r"https?://|#|mailto:", str(token.attrs.get("href", ""))))
    if token.type == "html_block":  # the place of a table that the book makes
        return bool(re.fullmatch(r"<!-- genlab:[\w-]+ -->", token.content.strip()))
    return token.type in PROSE


def as_text(markdown: str) -> str:
    """The text itself in a block, whatever it says."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", markdown)), default=0))
    return f"{fence}text\n{markdown}\n{fence}"


def disarmed(cells: list[nbformat.NotebookNode], own: Collection[str]) -> list:
    """The cells with whatever could do more than show something as text; `own` are the texts of the
    section file, which may say what they like."""
    shown = []
    for cell in cells:
        if cell.cell_type == "markdown":
            known = cell.source in own or harmless(cell.source)
            text = cell.source if known else as_text(cell.source)
            shown.append(nbformat.v4.new_markdown_cell(text))
        elif cell.cell_type == "code":
            shown.append(_code(cell))
    return shown


def _code(cell) -> nbformat.NotebookNode:
    metadata = {"tags": [t for t in cell.metadata.get("tags", []) if isinstance(t, str)]}
    if about := _about_figure(cell.metadata.get("mystnb", {})):
        metadata["mystnb"] = about
    new = nbformat.v4.new_code_cell(cell.source, metadata=metadata)
    new.outputs = list(map(disarmed_output, cell.outputs))
    new.execution_count = cell.execution_count
    return new


def _about_figure(about: Mapping) -> dict[str, dict[str, str]]:
    """What is said of a cell's figure: its text for the blind, its name, its caption as prose."""
    image, figure = about.get("image", {}), about.get("figure", {})
    said = {"alt": image.get("alt"), "name": figure.get("name"), "caption": figure.get("caption")}
    said = {key: text for key, text in said.items() if isinstance(text, str)}
    if not LABEL.fullmatch(said.get("name", "figure")):
        del said["name"]
    if not harmless(said.get("caption", "")):
        said["caption"] = plain(said["caption"])
    kept = {"image": {"alt"}, "figure": {"name", "caption"}}
    found = {part: {k: said[k] for k in said if k in keys} for part, keys in kept.items()}
    return {part: texts for part, texts in found.items() if texts}


def disarmed_output(output) -> nbformat.NotebookNode:
    """What a cell gave, as pictures, tables and text; no scripts."""
    data = output.get("data")
    if data is None:
        return output
    kept = {k: v for k, v in data.items() if k in KINDS or k.startswith(RECORDED)}
    if not harmless(str(kept.get("text/markdown", ""))):
        kept["text/markdown"] = as_text(str(kept["text/markdown"]))
    return nbformat.from_dict({**output, "data": kept})
