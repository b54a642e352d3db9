"""What a reader may take away of a page: its source, its script, its record, numbers, arrays."""

import copy
import csv
import io
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import jupytext
import nbformat

from genlab.pipeline.execution.drawing import NUMBERS
from genlab.pipeline.runs.pages import Section
from genlab.pipeline.runs.store import Run

FOLDER = "book/vendor/downloads"  # Sphinx copies what lies in book/vendor to the root of the book
COLUMNS = (
    "value", "sd", "se", "n", "repeats", "unit", "better", "limit", "limit_is",
    "null_mean", "null_sd", "null_draws",
)  # fmt: skip
Records = Mapping[str, Mapping[str, Any]]


def downloads(section: Section, run: Run) -> dict[str, bytes]:
    """{file in FOLDER: what is in it} of a page, in the order in which readers are offered them."""
    name = section.name
    files = {
        f"{name}.ipynb": run.notebook.read_bytes(),
        f"{name}.py": script(section).encode(),
        f"{name}.md": section.path.read_bytes(),
        f"{name}.numbers.csv": numbers({name: run.record}).encode(),
    }
    if curves := figures(run.notebook.read_bytes()):
        files[f"{name}.figures.csv"] = curves.encode()
    if run.arrays:
        files[f"{name}.npz"] = run.arrays.read_bytes()
    return files | {f"{name}.json": run.record_file.read_bytes()}


def script(section: Section) -> str:
    """The section as a Python script, its prose as comments."""
    notebook = copy.deepcopy(section.notebook)
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    return jupytext.writes(notebook, fmt="py:percent")


def numbers(records: Records) -> str:
    """Every recorded number of these pages as CSV, a line a number."""
    rows = (
        [page, name, *(about.get(column, "") for column in COLUMNS)]
        for page, record in records.items()
        for name, about in record["metrics"].items()
    )
    return _csv(["page", "name", *COLUMNS], rows)


def figures(notebook: bytes) -> str:
    """The points of the curves and bars of a run's figures as CSV, a line a point; nothing if the
    run kept none."""
    if NUMBERS.encode() not in notebook:
        return ""
    rows = []
    for cell in nbformat.reads(notebook.decode(), as_version=4).cells:
        name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name", "")
        kept = [output.get("data", {}).get(NUMBERS, []) for output in cell.get("outputs", [])]
        for panel in chain.from_iterable(kept):
            for series in panel["series"]:
                points = zip(series["x"], series["y"], strict=True)
                rows += [[name, panel["title"], series["label"], x, y] for x, y in points]
    return _csv(["figure", "panel", "series", "x", "y"], rows)


def _csv(heads: list[str], rows: Iterable[list]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return out.getvalue()
