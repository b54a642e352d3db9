"""Every section of the book at the quick profile: it runs within its time and memory, and nbval
agrees with its tagged cells."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import audit
import nbformat
import pytest

from genlab.pipeline.execution import process
from genlab.pipeline.execution.plan import plan, run_jobs
from genlab.pipeline.gate import check
from genlab.pipeline.runs import keys, store
from genlab.pipeline.runs.pages import get_section, read_section, section_names
from genlab.pipeline.runs.publish import NOTEBOOK_BYTES
from genlab.section.definitions import Library
from genlab.section.paths import PACKAGE, ROOT

CHECK = "nbval-check-output"
MEMORY_MIB = 4096


def nbval(notebook, tmp_path, env=None) -> tuple[int, str]:
    """nbval's exit code and report on an executed notebook, which must hold
    something to compare."""
    cells = [
        c
        for c in nbformat.read(notebook, as_version=4).cells
        if CHECK in c.metadata.get("tags", [])
    ]
    assert any(cell.get("outputs") for cell in cells), (
        "nothing to compare: nbval would pass vacuously"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(tmp_path),
    ]
    command += ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600", str(notebook)]
    result = subprocess.run(
        command,
        env=env or dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    return result.returncode, result.stdout + result.stderr


@pytest.mark.slow
def test_canary(tmp_path):
    """nbval passes a cell that repeats, fails one that does not, and fails one that ends in `;`
    (why no section may have any)."""
    section = read_section(ROOT / "tests" / "canary" / "canary.md")
    nbformat.write(section.notebook, tmp_path / "in.ipynb")
    subprocess.run(
        [sys.executable, "-m", "papermill", "--no-progress-bar", "in.ipynb", "canary.ipynb"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    code, report = nbval(tmp_path / "canary.ipynb", tmp_path)
    assert code == 1, report
    failed = [line for line in report.splitlines() if line.startswith("FAILED")]
    assert (
        len(failed) == 2 and "never the same" in report and "the same every time" not in report
    ), report


@pytest.mark.slow
@pytest.mark.parametrize("name", section_names())
def test_quick_run_and_nbval(name, tmp_path):
    jobs = run_jobs(plan([name], {}, "quick"))
    assert all(job.state in ("done", "reused") for job in jobs), [job.message for job in jobs]
    run = jobs[-1].run
    assert run.record["section"] == name and run.record["metrics"], f"{name} records no metric"
    peak = run.record["peak_memory_mib"]
    assert peak < MEMORY_MIB, f"{name} took {peak} MiB, more than {MEMORY_MIB}"
    needs = {
        need.section: {
            "record": str(need.run.record_file),
            "arrays": str(need.run.arrays) if need.run.arrays else None,
        }
        for need in jobs[-1].needs
    }
    # Train again, for the comparison to mean something.
    env = process.environment(tmp_path, needs, "cpu", jobs[-1].parts["threads"])
    notes = tmp_path / "executed.txt"
    tracer = audit.folder(tmp_path / "tracer", PACKAGE, notes)
    path = os.pathsep.join(filter(None, [str(tracer), env.get("PYTHONPATH")]))
    env |= {"GENLAB_REMEMBER": "0", "PYTHONPATH": path}
    env.pop("GENLAB_PROGRESS")
    copy = tmp_path / f"{name}.ipynb"
    copy.write_bytes(run.notebook.read_bytes())
    code, report = nbval(copy, tmp_path, env)
    assert code == 0, f"{name}: {report[-3000:]}"
    library, behind = Library(PACKAGE), keys.code_behind(get_section(name))
    assert len(audit.executed(notes, library)) > 10
    unreached = audit.unreached(notes, library, behind)
    assert unreached == [], f"{name} executes what is not in its key"


def test_what_executes_outside_the_key_is_named(tmp_path):
    notes, library = tmp_path / "executed.txt", Library(PACKAGE)
    tracer = str(audit.folder(tmp_path / "tracer", PACKAGE, notes))
    path = os.pathsep.join(filter(None, [tracer, os.environ.get("PYTHONPATH")]))
    env = os.environ | {"PYTHONPATH": path}
    program = "from genlab.plots import theme; from genlab.streams import stream; stream(0, 'init')"
    subprocess.run([sys.executable, "-c", program], env=env, check=True)
    behind = keys.code_behind(get_section("toy_data"))
    assert audit.unreached(notes, library, behind) == []
    assert "streams.py: stream" in map(library.label, audit.executed(notes, library))
    nothing = replace(behind, trail={})
    assert "streams.py: stream" in audit.unreached(notes, library, nothing)


def unmet(section) -> list[str]:
    """What the section's file lacks, in words: length, figures with alternative text, something for
    nbval to compare, numbers only through glue."""
    cells = section.notebook.cells
    code = [c for c in cells if c.cell_type == "code"]
    figures = [c for c in code if "plots.panels(" in c.source]
    mute = [c for c in figures if not c.metadata.get("mystnb", {}).get("image", {}).get("alt")]
    unnamed = [p.name for p in section.parameters if not p.meaning]
    prose = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    words = len(re.sub(r"<!--.*?-->", "", re.sub(r"\{glue:text\}`[^`]*`", "x", prose)).split())
    formulas = prose.count("{math}")
    quiet = [i for i, c in enumerate(code, 1) if c.source.rstrip().endswith(";")]
    rules = {
        "no `summary` in its front matter": section.summary,
        f"parameters without a meaning: {', '.join(unnamed)}": not unnamed,
        "no `quick` values in its front matter": section.quick,
        f"{len(code)} code cells, not 12 to 30": 12 <= len(code) <= 30,
        f"{len(figures)} figures by plots.panels, not 4 to 9": 4 <= len(figures) <= 9,
        f"{len(mute)} figures without `alt`": not mute,
        f"no cell with the tag {CHECK}": any(CHECK in c.metadata.get("tags", []) for c in code),
        f"code cells {quiet} end in `;`": not quiet,
        "no heading Exercises": "## Exercises" in prose,
        "no heading Takeaways": "## Takeaways" in prose,
        f"{formulas} {{math}} directives, more than 5": formulas <= 5,
        f"{words} words, not 500 to 1,700": 500 <= words <= 1_700,
    }
    return [said for said, kept in rules.items() if not kept]


@pytest.mark.parametrize("name", section_names())
def test_a_section_is_well_made(name):
    lacks = unmet(get_section(name))
    assert not lacks, f"notebooks/{name}.md: {'; '.join(lacks)}"


def test_what_a_section_lacks_is_said():
    """The canary is no section of the book, but it has something to compare."""
    lacks = unmet(read_section(ROOT / "tests" / "canary" / "canary.md"))
    assert "no heading Exercises" in lacks and any("code cells, not 12" in said for said in lacks)
    assert not any(CHECK in said for said in lacks)


def test_published_records_match_their_notebooks():
    for name in section_names():
        run = store.published(name)
        if run is None:
            continue
        text = run.notebook.read_text()
        assert len(text) <= NOTEBOOK_BYTES and "/home/" not in text and str(ROOT) not in text
        record = run.record
        assert record["profile"] == "full" and record["metrics"] and json.loads(text)["cells"]


@pytest.mark.slow
def test_the_gate_passes_on_the_quick_book():
    """Every metric and figure of the book, run here, is a draw from what its
    baseline's seeds gave."""
    jobs = run_jobs(plan(section_names(), {}, "quick"))
    assert all(job.state in ("done", "reused") for job in jobs), [job.message for job in jobs]
    results = check.check(section_names(), "quick", seeds=1)
    alarms = [
        f"{r.section}: {j.name[1]} {j.verdict}" for r in results for j in r.judgements if j.alarm
    ]
    assert all(r.passed for r in results), [
        r.problem or r.missing for r in results if not r.passed
    ] + alarms


BOUND = re.compile(r"(`+).+?\1|\$[^$]+\$|\{[a-z:]+\}`[^`]*`|\]\([^)]*\)")
TYPED = re.compile(r"(?<![\w.])\d+(?:\.\d+|(?:\.\d+)?\s?(?:%|per cent))")
NOT_OURS = re.compile(r"\b[Ss]ources?(['’]s)? |\{cite:|\]\(https|[Pp]ublished|chance")


def typed(prose: str) -> list[str]:
    """Results that are typed into Markdown: numbers with a decimal point or a per cent sign outside
    code, formulas and roles, in a paragraph or table that names no source, no citation (or link)
    and no chance level.  Exercises may say which value to try."""
    found = []
    prose = prose.partition("## Exercises")[0]
    for block in re.split(r"\n\s*\n", re.sub(r"```.*?```|\$\$.*?\$\$", "", prose, flags=re.DOTALL)):
        if not NOT_OURS.search(block):
            found += TYPED.findall(BOUND.sub("", block))
    return found


def test_typed_results_are_found():
    assert typed("It is 0.97.\n\nAnd 12 % or 3.5 per cent.") == ["0.97", "12 %", "3.5"]
    bound = "It is {glue:text}`a/b:.2f`, with `x = 0.5` and $\\sigma = 0.1$, of 2,000 points."
    assert typed(bound) == []
    assert typed("Source A has 0.97.\n\nOf {cite:p}`x` 3.1.\n\n| C2ST (chance 0.5) |") == []
    assert typed("## Exercises\n\n1. Try 0.3.") == []


@pytest.mark.parametrize("name", section_names())
def test_no_result_is_typed(name):
    cells = get_section(name).notebook.cells
    found = typed("\n\n".join(c.source for c in cells if c.cell_type == "markdown"))
    assert not found, f"notebooks/{name}.md types {', '.join(found)}: bind them by glue, or cite"
