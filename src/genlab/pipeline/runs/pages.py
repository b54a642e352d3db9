"""A section file as data: its front matter, its cells, its parameters and what it needs.

Here every section file is read, and one that is none is refused in one line: the file, the key or
the cell, the value, the rule and the remedy.
"""

import ast
import hashlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import nbformat
from pydantic import BaseModel, Field, ValidationError

from genlab.pipeline.runs.derived import derived
from genlab.pipeline.runs.parameters import Parameter, nearest, parse_parameters, short
from genlab.pipeline.runs.reading import parsed, read_text, read_yaml
from genlab.section.paths import ROOT, UserError

PROFILES = ("quick", "full")
TAKEN = ("failed", "published", "sweeps", "trained")  # folders and words that mean something else
NAME = re.compile(r"\w[\w.-]*")  # of a section
FRONT = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


class Budget(BaseModel, strict=True, extra="forbid"):
    """The most that a run may use."""

    seconds: float = Field(1800, gt=0, allow_inf_nan=False)
    memory_mib: float = Field(4096, gt=0, allow_inf_nan=False)


class FrontMatter(BaseModel, strict=True, extra="forbid"):
    """The block `genlab:` in the front matter of a section file; how each key is written."""

    summary: str = Field("", description="summary: what it shows")
    needs: list[str] = Field([], description="needs: [SECTION]")
    data: list[str] = Field([], description="data: [FOLDER/FILE]")
    device: Literal["cpu", "gpu", "any"] = Field("cpu", description="device: cpu")
    budget: Budget = Field(Budget(), description="budget: {seconds: 1800, memory_mib: 4096}")
    quick: dict[str, Any] = Field({}, description="quick: {PARAMETER: VALUE}")


@dataclass(frozen=True)
class Section:
    """A section file, read and checked."""

    name: str
    path: Path
    notebook: nbformat.NotebookNode
    title: str
    parameters: tuple[Parameter, ...]
    summary: str
    needs: list[str]
    data: list[str]
    device: str
    budget_seconds: float
    budget_mib: float
    quick: Mapping[str, Any]

    @property
    def code_cells(self) -> list[str]:
        """Sources of the code cells but the first, whose values are in the parameters."""
        return [c.source for c in self.notebook.cells if c.cell_type == "code"][1:]

    def values(self, profile: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters of a run: defaults (full), under the quick values, under what was given.
        UserError if any is wrong."""
        if profile not in PROFILES:
            raise UserError(f"unknown profile {profile!r}: use {' or '.join(PROFILES)}")
        values = dict(self.quick) if profile == "quick" else {}
        return self.check(values | dict(given))

    def check(self, values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
        """The values with their declared types, and the defaults of the others; UserError for a
        name, type, choice or range that is not declared."""
        where = where or self.name
        for name in values:
            self.parameter(name, where)
        return {p.name: p.checked(values.get(p.name, p.default), where) for p in self.parameters}

    def parameter(self, name: str, where: str = "") -> Parameter:
        """The parameter of that name.  UserError, with the nearest name, if there is none."""
        known = {p.name: p for p in self.parameters}
        if name not in known:
            raise UserError(
                f"{where or self.name} has no parameter {short(name)}{nearest(name, known)}: see "
                f"`genlab describe {self.name}`"
            )
        return known[name]


def computes(cell) -> bool:
    """Whether a cell's outputs are made by a run: code that does more than import and show source,
    which the book renders."""
    if cell.cell_type != "code":
        return False
    try:
        body = ast.parse(cell.source).body
    except SyntaxError:
        return True
    return not all(
        isinstance(node, ast.Import | ast.ImportFrom)
        or ast.unparse(node).startswith("section.show(")
        for node in body
    )


def read_section(path: Path) -> Section:
    """Read one section file.

    UserError, which names the file and the place, for anything in it that is not as it should be:
    text, front matter, cells, parameters, title, quick values.
    """
    text = read_text(path)
    about = _front_matter(text, path.name)
    notebook = _notebook(text, path.name)
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    for i, cell in enumerate(cells, start=1):
        where = f"{path.name}, code cell {i}"
        parsed(cell.source, where)
        if not isinstance(shown := cell.metadata.get("mystnb", {}), dict):
            raise UserError(f"{where}: `mystnb` is {short(shown)}: write `mystnb: {{image: ...}}`")
    marked = [i for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    if marked != [0]:
        told = "after other code" if len(marked) == 1 else "and it needs exactly one"
        raise UserError(
            f"{path.name} has {len(marked)} cells tagged `parameters`, {told}: the first code cell "
            "declares them, see CONTRIBUTING.md"
        )
    parameters = parse_parameters(cells[0].source, f"{path.name}, parameters cell")
    if "seed" not in {p.name for p in parameters}:
        raise UserError(f"{path.name} declares no parameter `seed`: every section has one")
    section = Section(
        path.stem,
        path,
        notebook,
        _title(notebook, path.name),
        parameters,
        budget_seconds=about.budget.seconds,
        budget_mib=about.budget.memory_mib,
        **about.model_dump(exclude={"budget"}),
    )
    section.check(section.quick, f"{path.name}, `quick:`")
    return section


def _front_matter(text: str, file: str) -> FrontMatter:
    """The block `genlab:` of a section file."""
    remedy = f"take it back with `git checkout -p notebooks/{file}`"
    match = FRONT.match(text)
    front = read_yaml(match[1], f"{file}, front matter", 2) if match else None
    about = front.get("genlab", {}) if isinstance(front, dict) else {}
    if about is None:
        raise UserError(f"{file}: `genlab:` in its front matter is empty: fill it in, or {remedy}")
    if not isinstance(about, dict) or not about:
        raise UserError(
            f"{file} has no `genlab:` block in its front matter (what it needs, its budget, its "
            f"quick values), an editor may have dropped it: {remedy}, or copy another section's"
        )
    try:
        found = FrontMatter.model_validate(about)
    except ValidationError as error:
        raise UserError(f"{file}, front matter: {_refusal(error.errors()[0])}") from None
    for key, values in (("needs", found.needs), ("data", found.data)):
        for value in values:
            if values.count(value) > 1:
                raise UserError(f"{file}, front matter: `genlab.{key}` names {value!r} twice")
    for name in map(PurePosixPath, found.data):
        if name.is_absolute() or ".." in name.parts:
            raise UserError(
                f"{file}, front matter: `genlab.data` names {short(str(name))}, which is not below "
                "data/: write `data: [FOLDER/FILE]`"
            )
    return found


def _refusal(error: Mapping[str, Any]) -> str:
    """What is wrong with a key of the front matter, and how it is written."""
    *place, last = map(str, error["loc"])
    key, value = ".".join(("genlab", *place, last)), error["input"]
    if error["type"] == "extra_forbidden":
        known = Budget.model_fields if place else FrontMatter.model_fields
        return f"`{key}` is no key{nearest(last, known)}: there are {', '.join(known)}"
    field = FrontMatter.model_fields.get(place[0] if place else last)
    form = field.description if field else ""
    if value is None:
        return f"`{key}` is empty: write `{form}`, or leave it out"
    told = error["msg"].replace("Input should be ", "it should be ")
    return f"`{key}` is {short(value)}: {told}, as in `{form}`"


def _notebook(text: str, file: str) -> nbformat.NotebookNode:
    """The notebook of a section file, with names of its cells that follow from place and source
    (jupytext draws them at random)."""
    converter = f"jupytext {metadata.version('jupytext')}"
    kept = derived(f"notebook-{file}", [converter, text], lambda: _converted(text, file))
    notebook = nbformat.from_dict(kept)
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"{i:03d}-{hashlib.sha256(cell.source.encode()).hexdigest()[:8]}"
    notebook.metadata["kernelspec"] = dict(KERNEL)
    notebook.nbformat_minor = 5
    notebook.metadata.pop("genlab", None)
    return notebook


def _converted(text: str, file: str) -> nbformat.NotebookNode:
    import jupytext  # slow to load, and a page that has not changed needs none

    try:
        # It warns of two languages; what is no Python is refused later.
        with warnings.catch_warnings(action="ignore"):
            return jupytext.reads(text, fmt="md:myst")
    except Exception as error:  # jupytext has no one exception for what it cannot read
        key = f"`{error.args[0]}:` is empty" if isinstance(error, KeyError) else str(error)
        told = " ".join(key.split())[:160]
        raise UserError(f"{file} cannot be read as a notebook: {told}: mend it") from None


def _title(notebook: nbformat.NotebookNode, file: str) -> str:
    """The first heading of a page."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (match := re.match(r"# +(\S.*)", cell.source)):
            return match[1].strip()
    raise UserError(f"{file} has no title: begin its text with a line `# Title`")


@cache
def section_names() -> tuple[str, ...]:
    """Names of all sections in the order of the book's table of contents.  UserError for one that
    is damaged, or names a section in a way that cannot be."""
    if not (ROOT / "_toc.yml").exists():
        raise UserError(f"no _toc.yml in {ROOT}: run genlab from a checkout of the project")
    toc = read_yaml(read_text(ROOT / "_toc.yml"), "_toc.yml")
    if not isinstance(toc, dict) or "root" not in toc:
        raise UserError("_toc.yml must be a mapping with `root:` and `chapters:` or `parts:`")
    try:
        files = [f for f in toc_files(toc) if re.match(r"(\./)?notebooks/", f)]
    except RecursionError:
        raise UserError("_toc.yml: an entry contains itself: write it out") from None
    names: list[str] = []
    for file in files:
        name = re.sub(r"^(\./)?notebooks/|\.(md|ipynb)$", "", file)
        if not NAME.fullmatch(name) or name in (*TAKEN, *names):
            why = "is there twice" if name in names else "cannot be the name of a section"
            raise UserError(
                f"_toc.yml: {short(file)} {why}: list each `notebooks/NAME` once, of letters, "
                f"digits, `_`, `-` and `.`, but {', '.join(TAKEN)}"
            )
        names.append(name)
    return tuple(names)


def toc_files(node) -> list[str]:
    """All files and patterns that a table of contents names, in order."""
    if isinstance(node, list):
        return [file for item in node for file in toc_files(item)]
    if not isinstance(node, dict):
        return []
    own = [str(node[key]) for key in ("root", "file", "glob") if key in node]
    return own + [file for value in node.values() for file in toc_files(value)]


@cache
def get_section(name: str) -> Section:
    """The section of that name.  UserError, with the nearest name, if there is none."""
    if name not in section_names():
        raise UserError(
            f"unknown section {short(name)}{nearest(name, section_names())}: see `genlab list`"
        )
    path = ROOT / "notebooks" / f"{name}.md"
    if not path.exists():
        raise UserError(
            f"section {name!r} is in _toc.yml but notebooks/{name}.md is missing: restore it or "
            "remove the entry"
        )
    section = read_section(path)
    for need in section.needs:
        if need not in section_names():
            raise UserError(
                f"{path.name}, front matter: `genlab.needs` names an unknown section "
                f"{short(need)}{nearest(need, section_names())}: see `genlab list`"
            )
    return section


def in_order(names) -> list[str]:
    """The sections `names` and all they need, each after what it needs.  UserError for a circle,
    naming it."""
    done: list[str] = []

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            raise UserError(
                f"sections need each other in a circle: {' -> '.join([*trail, name])}: break it "
                "in their `needs:`"
            )
        if name in done:
            return
        for needed in get_section(name).needs:
            visit(needed, (*trail, name))
        done.append(name)

    for name in names:
        visit(name, ())
    return done
