"""A section file as data: its cells, its parameters with their rules, and what it needs; every
value checked before a kernel starts."""

import ast
import difflib
import hashlib
import io
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import jupytext
import nbformat
import yaml
from pydantic import AfterValidator, ConfigDict, Field, ValidationError, create_model

from genlab.section.paths import ROOT, UserError

PROFILES = ("quick", "full")
DEVICES = ("cpu", "gpu", "any")
COMMENT = re.compile(
    r"^#\s*(?P<meaning>.*?)\s*(\[(?P<unit>[^\]]*)\])?\s*(\{(?P<rule>[^}]*)\})?\s*$"
)


@dataclass(frozen=True)
class Parameter:
    """One line of the parameters cell: `name = default  # meaning [unit] {rule}`."""

    name: str
    default: Any
    meaning: str
    unit: str
    rule: str

    @property
    def type_name(self) -> str:
        if isinstance(self.default, list):
            return f"list of {type(self.default[0]).__name__}"
        return type(self.default).__name__

    @property
    def is_file(self) -> bool:
        """Whether the value may be a path, by a rule whose last choice is `file`; what is in the
        file then counts in the key."""
        return self.rule.split("|")[-1].strip() == "file"

    @property
    def annotation(self) -> Any:
        """The pydantic type: the default's own type, strict, with the rule as a bound or as a
        choice."""
        element = self.default[0] if isinstance(self.default, list) else self.default
        kind: Any = type(element)
        bounds: dict[str, Any] = {}
        choices = [c.strip() for c in self.rule.split("|")]
        if self.is_file:
            kind = Annotated[
                str,
                AfterValidator(lambda text: text if text in choices[:-1] else _existing_file(text)),
            ]
        elif "|" in self.rule:
            kind = Literal[tuple(type(element)(c) for c in choices)]
        elif ".." in self.rule:
            low, high = self.rule.split("..")
            bounds = {"ge": float(low.replace("_", "")), "le": float(high.replace("_", ""))}
        elif match := re.match(r"(>=|>|<=|<)\s*(\S+)$", self.rule):
            bounds = {
                {">=": "ge", ">": "gt", "<=": "le", "<": "lt"}[match[1]]: float(
                    match[2].replace("_", "")
                )
            }
        elif self.rule:
            raise UserError(
                f"parameter {self.name!r}: rule {{{self.rule}}} must read '> a', '>= a', 'a .. "
                "b', 'x | y' or 'x | file'"
            )
        if kind is float:
            bounds["allow_inf_nan"] = False
        annotated = Annotated[kind, Field(**bounds)] if bounds else kind
        return (
            Annotated[list[annotated], Field(min_length=1)]
            if isinstance(self.default, list)
            else annotated
        )


@dataclass(frozen=True)
class Section:
    """A section file, read and checked."""

    name: str
    path: Path
    notebook: nbformat.NotebookNode
    title: str
    summary: str
    needs: tuple[str, ...]
    data: tuple[str, ...]
    device: str
    budget_seconds: float
    budget_mib: float
    parameters: tuple[Parameter, ...]
    quick: Mapping[str, Any]

    @property
    def code_cells(self) -> list[str]:
        """Sources of the code cells but the parameters cell, whose values are in the parameters."""
        return [
            c.source
            for c in self.notebook.cells
            if c.cell_type == "code" and "parameters" not in _tags(c)
        ]

    def values(self, profile: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters of a run: defaults (full), under the quick values, under what was given.
        UserError if any is wrong."""
        if profile not in PROFILES:
            raise UserError(f"unknown profile {profile!r}: use {' or '.join(PROFILES)}")
        values = {p.name: p.default for p in self.parameters}
        values |= self.quick if profile == "quick" else {}
        return self.check(values | dict(given))

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values with their declared types; UserError for a name, type, choice or range that is
        not declared."""
        known = {p.name: p for p in self.parameters}
        for name in values:
            if name not in known:
                raise UserError(
                    f"{self.name} has no parameter {name!r}{nearest(name, known)}: see `genlab "
                    f"describe {self.name}`"
                )
        fields: dict[str, Any] = {p.name: (p.annotation, p.default) for p in self.parameters}
        model = create_model(
            self.name, __config__=ConfigDict(strict=True, extra="forbid"), **fields
        )
        typed = {
            name: _from_text(v, known[name]) if isinstance(v, str) else v
            for name, v in values.items()
        }
        try:
            return model(**typed).model_dump()
        except ValidationError as error:
            first = error.errors()[0]
            parameter = known[str(first["loc"][0])]
            text = first["msg"].removeprefix("Value error, ")
            text = text[0].lower() + text[1:]
            raise UserError(
                f"{self.name}: parameter {parameter.name}={values[parameter.name]!r} is refused: "
                f"{text} "
                f"({parameter.meaning}; "
                f"{parameter.type_name}{', ' + parameter.rule if parameter.rule else ''})"
            ) from None


def _existing_file(text: str) -> str:
    """The absolute path of an existing file, for the kernel runs in another folder."""
    if not Path(text).is_file():
        raise ValueError("there is no such file")
    return str(Path(text).resolve())


def nearest(name: str, known) -> str:
    """ " (did you mean 'x'?)" for the nearest known name, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def _from_text(text: str, parameter: Parameter) -> Any:
    """A command-line word as the parameter's type; left as text where it cannot be, for pydantic to
    refuse."""
    default = parameter.default
    try:
        if isinstance(default, list):
            element = Parameter(parameter.name, default[0], "", "", "")
            return [_from_text(part.strip(), element) for part in text.split(",") if part.strip()]
        if isinstance(default, bool):
            return {"true": True, "false": False}.get(text.lower(), text)
        if isinstance(default, (int, float)):
            return type(default)(text.replace("_", ""))
    except ValueError:
        pass
    return text


def parse_parameters(source: str, where: str) -> tuple[Parameter, ...]:
    """The parameters declared by a cell of `name = literal  # meaning [unit] {rule}` lines."""
    comments = {
        token.start[0]: token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    parameters = []
    for node in ast.parse(source).body:
        if not (
            isinstance(node, ast.Assign)
            and len(node.targets) == 1
            and isinstance(node.targets[0], ast.Name)
        ):
            raise UserError(
                f"{where}: line {node.lineno} of the parameters cell must be `name = literal  # "
                "meaning`"
            )
        try:
            default = ast.literal_eval(node.value)
        except ValueError:
            raise UserError(
                f"{where}: parameter {node.targets[0].id!r} must be a literal, papermill cannot "
                "derive it"
            ) from None
        match = COMMENT.match(comments.get(node.end_lineno or node.lineno, "#"))
        about = match.groupdict() if match else {}
        words = (about.get(part) or "" for part in ("meaning", "unit", "rule"))
        parameters.append(Parameter(node.targets[0].id, default, *words))
    return tuple(parameters)


def read_section(path: Path) -> Section:
    """Read one section file.

    UserError if it has no `genlab:` block, no parameters cell, no `seed`, or quick values that
    break its own rules.
    """
    try:
        notebook = jupytext.read(path, fmt="md:myst")
    except KeyError as error:  # jupytext's answer to a name with nothing after its colon
        raise UserError(
            f"{path.name}: `{error.args[0]}:` in its front matter is empty: fill it in, or take it "
            f"back with `git checkout -p notebooks/{path.name}`"
        ) from None
    # jupytext draws ids at random; ours follow from place and source.
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"{i:03d}-{hashlib.sha256(cell.source.encode()).hexdigest()[:8]}"
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.nbformat_minor = 5
    about = notebook.metadata.pop("genlab", None)
    if not isinstance(about, dict) or not about:
        raise UserError(
            f"{path.name} has no `genlab:` block in its front matter (what it needs, its budget, "
            "its quick values), an editor may have dropped it: take it back with "
            f"`git checkout -p notebooks/{path.name}`, or copy another section's"
        )
    cells = [c for c in notebook.cells if c.cell_type == "code" and "parameters" in _tags(c)]
    if len(cells) != 1:
        raise UserError(
            f"{path.name} has {len(cells)} cells tagged `parameters`, it needs exactly one: see "
            "CONTRIBUTING.md"
        )
    parameters = parse_parameters(cells[0].source, path.name)
    if "seed" not in {p.name for p in parameters}:
        raise UserError(f"{path.name} declares no parameter `seed`: every section has one")
    headings = [
        c.source for c in notebook.cells if c.cell_type == "markdown" and c.source.startswith("# ")
    ]
    budget = about.get("budget", {})
    section = Section(
        name=path.stem,
        path=path,
        notebook=notebook,
        title=headings[0].splitlines()[0][2:] if headings else path.stem,
        summary=about.get("summary", ""),
        needs=tuple(about.get("needs", ())),
        data=tuple(about.get("data", ())),
        device=about.get("device", "cpu"),
        budget_seconds=budget.get("seconds", 1800),
        budget_mib=budget.get("memory_mib", 4096),
        parameters=parameters,
        quick=about.get("quick", {}),
    )
    if section.device not in DEVICES:
        raise UserError(
            f"{path.name}: device {section.device!r} must be one of {', '.join(DEVICES)}"
        )
    section.check(section.quick)
    return section


@cache
def section_names() -> tuple[str, ...]:
    """Names of all sections in the order of the book's table of contents."""
    toc = ROOT / "_toc.yml"
    if not toc.is_file():
        raise UserError(f"no _toc.yml in {ROOT}: run genlab from a checkout of the project")
    files = re.findall(
        r"notebooks/([\w-]+)", "\n".join(_toc_files(yaml.safe_load(toc.read_text())))
    )
    return tuple(dict.fromkeys(files))


def _toc_files(node) -> list[str]:
    if isinstance(node, dict):
        own = [str(node[k]) for k in ("root", "file") if k in node]
        return own + [
            f for v in node.values() if isinstance(v, (list, dict)) for f in _toc_files(v)
        ]
    return [f for item in node for f in _toc_files(item)] if isinstance(node, list) else []


@cache
def get_section(name: str) -> Section:
    """The section of that name.  UserError, with the nearest name, if there is none."""
    if name not in section_names():
        raise UserError(
            f"unknown section {name!r}{nearest(name, section_names())}: see `genlab list`"
        )
    path = ROOT / "notebooks" / f"{name}.md"
    if not path.is_file():
        raise UserError(
            f"section {name!r} is in _toc.yml but notebooks/{name}.md is missing: restore it or "
            "remove the entry"
        )
    return read_section(path)


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
        for needed in get_section(name).needs:
            visit(needed, (*trail, name))
        if name not in done:
            done.append(name)

    for name in names:
        visit(name, ())
    return done
