"""What a reader may take away of a page: its source, its script, its record, numbers, arrays."""

import copy
import csv
import io
from collections.abc import Mapping
from typing import Any

import jupytext

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
        f"{name}.py": script(section).encode(),
        f"{name}.md": section.path.read_bytes(),
        f"{name}.csv": numbers({name: run.record}).encode(),
    }
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
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n").writerow
    write(["page", "name", *COLUMNS])
    for page, record in records.items():
        for name, about in record["metrics"].items():
            write([page, name, *(about.get(column, "") for column in COLUMNS)])
    return out.getvalue()
