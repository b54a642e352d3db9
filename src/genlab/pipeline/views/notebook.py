"""The notebook that a page shows: the section's prose, the run's outputs, and what made them."""

import ast
import copy
import json
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any

import nbformat

from genlab.pipeline.execution.drawing import NUMBERS
from genlab.pipeline.execution.results import is_injected
from genlab.pipeline.html import literal, markdown, plain
from genlab.pipeline.runs import keys
from genlab.pipeline.runs.pages import Section, computes
from genlab.pipeline.runs.store import Run
from genlab.pipeline.views import quotes
from genlab.pipeline.views.about import stale_mark
from genlab.pipeline.views.folding import fold
from genlab.pipeline.views.foreign import disarmed, disarmed_output
from genlab.section import code
from genlab.section.paths import PACKAGE


def page_notebook(
    section: Section,
    run: Run,
    *,
    about: str = "",
    stale: list[str] | None = None,
    prose: Callable[[str], str] = str,
) -> nbformat.NotebookNode:
    """The notebook to render; `about` stands below its title, `prose` says what Markdown becomes.

    With a current key its prose and layout are the section file's, its outputs the run's, matched
    cell by cell that computes: a typo in the prose is mended without a kernel, and a cell that
    shows source comes and goes without one.  With `stale`, what changed since, it is the run's
    notebook under a mark, its Markdown as prose only.
    """
    executed = nbformat.read(run.notebook, as_version=4)
    if stale is not None:
        own = {cell.source for cell in section.notebook.cells}
        cells = [
            _with_outputs(cell, cell) if cell.cell_type == "code" else cell
            for cell in disarmed(executed.cells, own)
        ]
    else:
        results = (c for c in executed.cells if computes(c) and not is_injected(c))
        cells = [
            _with_outputs(cell, next(results)) if computes(cell) else copy.deepcopy(cell)
            for cell in section.notebook.cells
        ]
        _show_source(cells, section)
    cells = [c for c in cells if not is_injected(c)]
    for cell in cells:
        cell.metadata.pop("papermill", None)
        if cell.cell_type == "markdown":
            cell.source = prose(quotes.of_run(cell.source, run.record))
    fold(cells)
    cells = _lead_first(cells)
    cells = _with_numbers(cells)
    if stale is None:
        cells = _tabulated(cells, section, run.record["params"])
        _set_parameters(cells, section, run.record["params"])
    _after_title(cells, about + (stale_mark(stale) if stale is not None else ""))
    metadata = {
        "kernelspec": section.notebook.metadata["kernelspec"],
        "language_info": {"name": "python"},
        "summary": section.summary,
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def _lead_first(cells: list) -> list:
    """The cells with the figure tagged `lead`, the answer of the page, right after its first
    text."""
    lead = [cell for cell in cells if "lead" in tags(cell)]
    rest = [cell for cell in cells if "lead" not in tags(cell)]
    return rest[:1] + lead + rest[1:]


def _tabulated(cells: list, section: Section, values: Mapping[str, Any]) -> list:
    """The cells with a table of the parameters, as they were in the run, before their cell."""
    rows = []
    for p in section.parameters:
        unit = f" [{plain(p.unit)}]" if p.unit else ""
        value = ", ".join(map(str, v)) if isinstance(v := values[p.name], list) else str(v)
        rows.append((f"{literal(p.name)}: {plain(p.meaning)}{unit}", plain(value)))
    title = f"```{{admonition}} The {len(section.parameters)} parameters of this run"
    table = markdown(("parameter", "here"), rows, ("here",))
    # an id of its own, not a random one: an unchanged book is not built again
    made = nbformat.v4.new_markdown_cell(
        f"{title}\n:class: dropdown\n\n{table}\n```", id="table-of-parameters"
    )
    at = next((i for i, cell in enumerate(cells) if "parameters" in tags(cell)), len(cells))
    return [*cells[:at], made, *cells[at:]]


def _set_parameters(cells: list, section: Section, values: Mapping[str, Any]) -> None:
    """Show the values of the run in the cell that declares the parameters."""
    cell = next(cell for cell in cells if "parameters" in tags(cell))
    other = {p.name: values[p.name] for p in section.parameters if values[p.name] != p.default}
    lines = cell.source.encode().splitlines(keepends=True)  # Python counts columns in bytes
    starts = [0, *accumulate(map(len, lines))]
    source = b"".join(lines)
    for node in reversed(ast.parse(source).body):
        if (name := node.targets[0].id) in other:
            value = node.value
            before = source[: starts[value.lineno - 1] + value.col_offset]
            after = source[starts[value.end_lineno - 1] + value.end_col_offset :]
            source = before + repr(other[name]).encode() + after
    cell.source = source.decode()


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def _with_outputs(cell, executed):
    """The cell with what its execution in the run gave.  A cell that draws does not also
    show the text of its last value: `<matplotlib.legend.Legend at 0x…>` says nothing, and a figure
    has one name only."""
    draws = any("image/png" in output.get("data", {}) for output in executed.outputs)
    outputs = [
        disarmed_output(output)
        for output in executed.outputs
        if not (
            draws and output.output_type == "execute_result" and set(output.data) == {"text/plain"}
        )
    ]
    return nbformat.from_dict(
        {**cell, "outputs": outputs, "execution_count": executed.execution_count}
    )


def _with_numbers(cells: list) -> list:
    """The cells with the numbers behind each figure right after it, for the page's script."""
    found = []
    for cell in cells:
        found.append(cell)
        outputs = [o["data"] for o in cell.get("outputs", []) if NUMBERS in o.get("data", {})]
        if told := [data.pop(NUMBERS) for data in outputs]:
            text = json.dumps(told[-1], separators=(",", ":")).replace("<", "\\u003c")
            script = f'<script type="application/json" class="genlab-numbers">{text}</script>'
            found.append(nbformat.v4.new_markdown_cell(script, id=f"numbers-{len(found)}"))
    return found


def _show_source(cells, section: Section) -> None:
    """Give every cell that shows source the source as it is now; comments may have changed since
    the run."""
    shown = code.arguments(code.library(PACKAGE), keys.trees(section), "show")
    own = [c for c in cells if c.cell_type == "code" and "parameters" not in tags(c)]
    for cell, refs in zip(own, shown, strict=True):
        if refs:
            source = code.listing(code.library(PACKAGE), refs)
            cell.outputs = [
                nbformat.v4.new_output("display_data", data={"text/markdown": source}),
                *(o for o in cell.outputs if "text/markdown" not in o.get("data", {})),
            ]


def _after_title(cells, text: str) -> None:
    """Insert `text` below the first heading of the page."""
    for cell in cells:
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            title, _, rest = cell.source.partition("\n")
            cell.source = f"{title}\n\n{text}\n{rest}"
            return
