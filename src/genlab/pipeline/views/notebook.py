"""The notebook that a page shows: the section's prose, the run's outputs, and what made them."""

import copy
import html
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import nbformat

from genlab.pipeline.execution.drawing import NUMBERS
from genlab.pipeline.execution.results import is_injected
from genlab.pipeline.html import literal, plain
from genlab.pipeline.runs import keys
from genlab.pipeline.runs.pages import Section, computes
from genlab.pipeline.runs.store import Run
from genlab.pipeline.views.foreign import disarmed, disarmed_output
from genlab.section import code
from genlab.section.paths import PACKAGE, UserError


def page_notebook(
    section: Section, run: Run, *, stale: list[str] | None = None, prose: Callable[[str], str] = str
) -> nbformat.NotebookNode:
    """The notebook to render; `prose` says what Markdown becomes.

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
            cell.source = prose(_quoted(cell.source, run.record))
        elif hidden := _hidden(cell):
            cell.metadata["tags"] = [*tags(cell), hidden]
    cells = _lead_first(cells)
    cells = _with_numbers(cells)
    if stale is None:
        cells = _tabulated(cells, section, run.record["params"])
    _after_title(
        cells, about_run(run.record, section) + (_stale_mark(stale) if stale is not None else "")
    )
    metadata = {
        "kernelspec": section.notebook.metadata["kernelspec"],
        "language_info": {"name": "python"},
        "summary": section.summary,
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


FIELD = re.compile(
    r"\{glue:text\}`(?:params/(?P<parameter>\w+)|(?P<metric>[^`:]+)"
    r"\.(?P<field>limit|null_mean|null_sd|sd|se|n|repeats))(?::(?P<form>[^`]*))?`"
)


def _quoted(text: str, record: Mapping[str, Any]) -> str:
    """Prose with {glue:text}`params/NAME` and {glue:text}`METRIC.FIELD:FORMAT` as the record has
    them: a parameter of this run, and what stands beside a metric's value.  UserError for what is
    not there."""

    def value(found: re.Match) -> str:
        about = (
            record["params"] if found["parameter"] else record["metrics"].get(found["metric"], {})
        )
        name = found["parameter"] or found["field"]
        if name not in about:
            raise UserError(f"{record['section']} quotes {found[0]}, which its run has not")
        return format(about[name], found["form"] or "")

    return FIELD.sub(value, text)


def _hidden(cell) -> str:
    """The tag that hides a cell's code, so that the method stays in sight: one click away if it
    draws, declares parameters or begins with imports; altogether if it only shows source."""
    if not computes(cell) and "section.show(" in cell.source:
        return "remove-input"
    opens = ("plots.animation", "plots.slider", "slider(", "import ", "from ")
    draws = "image" in cell.metadata.get("mystnb", {}) or cell.source.startswith(opens)
    return "hide-input" if draws or "parameters" in tags(cell) else ""


def _lead_first(cells: list) -> list:
    """The cells with the figure tagged `lead`, the answer of the page, right after its first
    text."""
    lead = [cell for cell in cells if "lead" in tags(cell)]
    rest = [cell for cell in cells if "lead" not in tags(cell)]
    return rest[:1] + lead + rest[1:]


def _tabulated(cells: list, section: Section, values: Mapping[str, Any]) -> list:
    """The cells with a table of the parameters, as they were in the run, before their cell."""
    rows = ["| parameter | here |", "|---|--:|"]
    for p in section.parameters:
        unit = f" [{plain(p.unit)}]" if p.unit else ""
        value = ", ".join(map(str, v)) if isinstance(v := values[p.name], list) else str(v)
        rows.append(f"| {literal(p.name)}: {plain(p.meaning)}{unit} | {plain(value)} |")
    title = f"```{{admonition}} The {len(section.parameters)} parameters of this run"
    table = "\n".join([title, ":class: dropdown", "", *rows, "```"])
    # an id of its own, not a random one: an unchanged book is not built again
    cell = nbformat.v4.new_markdown_cell(table, id="table-of-parameters")
    made = [cell] if section.parameters else []
    at = next((i for i, cell in enumerate(cells) if "parameters" in tags(cell)), len(cells))
    return [*cells[:at], *made, *cells[at:]]


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
        told = [o["data"][NUMBERS] for o in cell.get("outputs", []) if NUMBERS in o.get("data", {})]
        if told:
            text = json.dumps(told[-1], separators=(",", ":")).replace("<", "\\u003c")
            script = f'<script type="application/json" class="genlab-numbers">{text}</script>'
            found.append(nbformat.v4.new_markdown_cell(script, id=f"numbers-{len(found)}"))
    return found


def _show_source(cells, section: Section) -> None:
    """Give every cell that shows source the source as it is now; comments may have changed since
    the run."""
    shown = iter(code.arguments(code.library(PACKAGE), keys.trees(section), "show"))
    for cell in cells:
        if cell.cell_type != "code" or "parameters" in tags(cell):
            continue
        if refs := next(shown):
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


def about_run(record: Mapping[str, Any], section: Section) -> str:
    """The line below a page's title: what made it, and which parameters are not as published."""
    published = section.values("full", {})
    differ = {k: v for k, v in record["params"].items() if published.get(k) != v}
    minutes, seconds = divmod(round(record["seconds"]), 60)
    facts = [
        f"<b>{_said(record['profile'])}</b> profile",
        _device(record),
        f"seed {_said(record['seed'])}",
        f"{minutes} min {seconds} s" if minutes else f"{seconds} s",
        f"{record['peak_memory_mib']:,} MiB",
        f"key <code>{_said(record['key'])}</code>",
    ]
    if carried := record.get("carried"):
        facts.append(
            f"computed at commit <code>{_said(record['commit'])}</code>, carried to "
            f"<code>{_said(carried[-1]['commit'])}</code> by an equal quick run"
        )
    elif record["commit"]:
        facts.append(
            f"commit <code>{_said(record['commit'])}</code>"
            f"{' with changes' if record['dirty'] else ''}"
        )
    line = " · ".join(facts)
    if differ:
        values = ", ".join(f"{k} = {v!r}" for k, v in differ.items())
        line += (
            '<br><span class="genlab-differs">Not the published values: '
            f"<code>{_said(values)}</code></span>"
        )
    source = f"source: <code>notebooks/{_said(section.name)}.md</code>"
    return f'<p class="genlab-run">{line}<br>{source}</p>\n'


def _device(record: Mapping[str, Any]) -> str:
    """The processor, or the GPU with its driver and the memory that was used there."""
    if not (gpu := record.get("gpu")):
        return _said(record["device"])
    return _said(
        f"{record['device']} (driver {gpu.get('driver')}, {gpu.get('peak_memory_mib'):,} MiB)"
    )


def _said(value: Any) -> str:
    """What a record says, as text in HTML on one line."""
    return html.escape(" ".join(str(value).split()))


def _stale_mark(changed: list[str]) -> str:
    what = "; ".join(map(plain, changed)) or "the profile"
    return (
        f"\n```{{admonition}} Stale results\n:class: warning genlab-stale\nThese results were "
        "computed before a change of "
        f"{what}. `genlab run --profile full` and `genlab publish` bring them up to date.\n```\n"
    )
