"""What an execution left behind: believe only a complete notebook, wherever it was executed.

papermill marks all cells COMPLETED after a dead kernel, so only execution counts are believed.
"""

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import numpy as np

from genlab.section.number import METRIC_MIME, check

METRIC = f"application/papermill.record/{METRIC_MIME}"  # as papermill and scrapbook store it
PRINTED = 100_000  # the most characters that are stored of what a cell printed
SHOWN = 20_000_000  # and the most of one picture, table or animation

Cells = list[nbformat.NotebookNode]


class RunFailed(Exception):
    """A section did not run to its end: one line for people."""


def code_cells(notebook: bytes | None) -> Cells:
    """The code cells of an executed notebook, but papermill's own.  RunFailed if it is none."""
    if notebook is None:
        return []
    try:
        found = nbformat.reads(notebook.decode(), as_version=4)
        nbformat.validate(found)
    except Exception as error:  # nbformat raises whatever it meets
        first = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise RunFailed(f"the executed notebook cannot be read ({first})") from None
    return [c for c in found.cells if c.cell_type == "code" and not is_injected(c)]


def is_injected(cell) -> bool:
    """Whether papermill put the cell in, to set the parameters."""
    return "injected-parameters" in cell.metadata.get("tags", [])


def check_errors(cells: Cells) -> None:
    """RunFailed with the cell and the error, if one raised."""
    for i, cell in enumerate(cells, start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                line = next((ln for ln in cell.source.splitlines() if ln.strip()), "")
                value = (output.evalue.splitlines() or [""])[0]
                raise RunFailed(
                    f"code cell {i} (`{line.strip()[:60]}`) raised {output.ename}: {value}"
                )


def check_complete(cells: Cells) -> None:
    """RunFailed unless every cell ran, drew the figure that it announces, and shows no more than
    can be stored."""
    for i, cell in enumerate(cells, start=1):
        shown = [data for output in cell.outputs for data in output.get("data", {}).items()]
        drawn = any(kind in ("image/png", "text/html") for kind, _ in shown)
        if "image" in cell.metadata.get("mystnb", {}) and not drawn:
            raise RunFailed(
                f"code cell {i} announces a figure and drew none: end it with the figure open"
            )
        for kind, content in shown:
            if (length := len(content if isinstance(content, str) else str(content))) > SHOWN:
                raise RunFailed(
                    f"code cell {i} shows {kind} of {length:,} characters, at most {SHOWN:,} are "
                    "stored: show less"
                )
    unexecuted = [c for c in cells if c.source.strip() and c.execution_count is None]
    if not cells or unexecuted:
        raise RunFailed(f"{len(unexecuted)} of {len(cells)} code cells never ran")


def shorten(notebook: Path) -> None:
    """Cut what a cell printed to PRINTED characters, and say so there."""
    whole = nbformat.read(notebook, as_version=4)
    outputs = [output for cell in whole.cells for output in cell.get("outputs", [])]
    long = [o for o in outputs if o.output_type == "stream" and len(o.text) > PRINTED]
    for output in long:
        more = len(output.text) - PRINTED
        output.text = f"{output.text[:PRINTED]}\n[{more:,} more characters were not stored]\n"
    if long:
        nbformat.write(whole, notebook)


def read_metrics(cells: Cells) -> dict[str, dict[str, Any]]:
    """{name: metric} from what `section.metric` glued, in the order of the page."""
    metrics = {}
    for cell in cells:
        for output in cell.outputs:
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if name and METRIC in output.get("data", {}):
                metrics[name] = {
                    k: v for k, v in output["data"][METRIC].items() if v not in (None, "")
                }
    return metrics


def received(result: Any, expected: nbformat.NotebookNode) -> dict[str, dict[str, Any]]:
    """The metrics of what a worker returned for the notebook `expected`.  RunFailed unless it is
    that notebook, complete, with arrays that can be read and numbers where numbers belong.

    A worker may be broken, or somebody else's: what it says is checked as if it were.
    """
    try:
        if not isinstance(result, dict) or not isinstance(result.get("notebook"), bytes):
            raise ValueError("no notebook")
        cells = code_cells(result["notebook"])
        sources = [c.source for c in expected.cells if c.cell_type == "code"]
        if [cell.source for cell in cells] != sources:
            raise ValueError("the cells of another notebook")
        check_errors(cells)
        check_complete(cells)
        _check_arrays(result.get("arrays"))
        _check_outcome(result.get("outcome"), result.get("versions"))
        metrics = read_metrics(cells)
        for name, about in metrics.items():
            check(name, {"value": None} | about)
    except ValueError as error:
        raise RunFailed(f"a worker returned what is no result ({error})") from None
    return metrics


def _check_arrays(arrays: Any) -> None:
    if arrays is None:
        return
    try:
        with np.load(io.BytesIO(arrays), allow_pickle=False) as found:
            for name in found:
                _ = found[name]
    except Exception as error:  # zip, NumPy and type errors alike
        raise ValueError(f"arrays: {type(error).__name__}") from None


def _check_outcome(outcome: Any, versions: Any) -> None:
    if not isinstance(outcome, Mapping) or not isinstance(versions, Mapping):
        raise ValueError("no times or versions")
    times = outcome.get("cell_seconds")
    numbers = [outcome.get("seconds"), outcome.get("peak_memory_mib")]
    if gpu := outcome.get("gpu"):
        numbers.append(gpu.get("peak_memory_mib") if isinstance(gpu, Mapping) else None)
    if not isinstance(times, list) or not all(map(_is_number, [*numbers, *times])):
        raise ValueError("times that are no numbers")


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) and math.isfinite(value)
