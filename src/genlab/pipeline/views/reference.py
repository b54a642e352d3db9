"""The library's reference: a page for each package, from its docstrings; nothing is imported.

A docstring is prose that shows formulas as they stand.  So every sign in it stands for itself, but
for code in backticks, items of a list after an empty line, and indented lines, which stay lines.

Why not sphinx-autoapi, which reads docstrings as reStructuredText (|x|, `name` and x_ mean
something there), or sphinx-autodoc2, which reads Markdown: they make a page for each module, take
three to six times as long, and pass over the comments that explain our constants.
"""

import ast
import json
import re
from collections.abc import Iterator, Set
from itertools import groupby, takewhile
from pathlib import Path
from textwrap import dedent, shorten
from typing import NamedTuple

from genlab.pipeline.html import markdown

PIPELINE = __name__.split(".")[1]  # left out: no reader calls it
WIDTH = 88  # of a signature in one line
CODE = re.compile(r'(``[^`]+``|`[^`]+`|"[\w./:-]+")')
LIST = re.compile(r"\n(\n\\- .*)+")


class Item(NamedTuple):
    """A public definition: kind ("function", "data", ...), name, what stands behind the name,
    options of the directive, text, names of its arguments, and the definitions in it."""

    kind: str
    name: str
    signature: str = ""
    options: str = ""
    text: str = ""
    own: Set[str] = frozenset()
    inner: tuple["Item", ...] = ()


def reference(package: Path) -> dict[str, str]:
    """{name: MyST page} for each folder and each lone module in the folder of the package."""
    pages: dict[str, list[Module]] = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        page = parts[0]
        if page not in ("__init__", PIPELINE):
            name = ".".join((package.name, *parts)).removesuffix(".__init__")
            pages.setdefault(page, []).append(Module(name, path.read_text("utf-8")))
    modules = [module for page in pages.values() for module in page]
    known = {m.name for m in modules} | {f"{m.name}.{name}" for m in modules for name in m.names}
    return {name: _page(page, known) for name, page in sorted(pages.items())}


def contents(pages: dict[str, str]) -> str:
    """A Markdown table with, for each page, a link and the first line of its docstring."""
    first = {name: text.split("\n\n")[2].splitlines()[0] for name, text in pages.items()}
    rows = [(f"{{doc}}`/reference/{name}`", line) for name, line in first.items()]
    return markdown(("package", "what is in it"), rows)


class Module(ast.NodeTransformer):
    """A module's public definitions, numbers as in the file (10_000, 1e-4), types by full names."""

    def __init__(self, name: str, text: str):
        tree = ast.parse(text)
        self.name, self.text, self.lines = name, text, text.splitlines()
        self.about = ast.get_docstring(tree) or ""
        self.types = {}
        package = f"{name.split('.')[0]}."
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package):
                self.types |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            elif isinstance(node, ast.ClassDef):
                self.types[node.name] = f"{name}.{node.name}"
            self.types |= {target.id: f"{name}.{target.id}" for target, _ in _assigned(node)}
        self.items = tuple(self._items(tree))

    @property
    def names(self) -> list[str]:
        """All names, of methods as "Class.method", in the order of the file."""
        return [
            name for i in self.items for name in (i.name, *(f"{i.name}.{j.name}" for j in i.inner))
        ]

    def _items(self, node: ast.Module | ast.ClassDef) -> Iterator[Item]:
        inside = isinstance(node, ast.ClassDef)
        for child in node.body:
            if getattr(child, "name", "").startswith("_"):
                continue
            if isinstance(child, ast.ClassDef):
                yield self._class(child)
            elif isinstance(child, ast.FunctionDef):
                yield self._function(child, inside)
            elif not inside:
                for name, value in _assigned(child):
                    if not name.id.startswith("_"):
                        yield Item("data", name.id, "", self._value(value), self._comment(child))

    def _function(self, node: ast.FunctionDef, inside: bool) -> Item:
        marks = {ast.unparse(d) for d in node.decorator_list}
        static = "staticmethod" in marks
        kind = "method" if inside else "function"
        signature, own = self._arguments(node, bound=inside and not static)
        if marks & {"property", "cached_property"}:
            kind, signature = "property", ""
        option = ":staticmethod:\n" if static else ""
        return Item(kind, node.name, signature, option, ast.get_docstring(node) or "", own)

    def _class(self, node: ast.ClassDef) -> Item:
        init = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        fields = [n for n in node.body if isinstance(n, ast.AnnAssign)]
        signature, own = self._arguments(init[0], bound=True) if init else self._fields(fields)
        notes = "\n".join(
            f"- `{ast.unparse(f.target)}`: {note}" for f in fields if (note := self._comment(f))
        )
        text = "\n\n".join(part for part in (ast.get_docstring(node), notes) if part)
        return Item("class", node.name, signature, "", text, own, tuple(self._items(node)))

    def _arguments(self, node: ast.FunctionDef, *, bound: bool) -> tuple[str, Set[str]]:
        """(arguments and result, names of the arguments), without `self` if bound."""
        found = self.visit(node.args)
        if bound:
            del (found.posonlyargs or found.args)[0]
        own = [a for a in ast.walk(found) if isinstance(a, ast.arg)]
        for argument in own:
            self._full(argument.annotation)
        result = None if node.name == "__init__" else self._full(node.returns)
        returns = f" -> {ast.unparse(result)}" if result else ""
        return f"({ast.unparse(found)}){returns}", {a.arg for a in own}

    def _fields(self, fields: list[ast.AnnAssign]) -> tuple[str, Set[str]]:
        """The fields of a named tuple or data class as its arguments."""
        for field in fields:
            self._full(field.annotation)
        text = ", ".join(ast.unparse(self.visit(f)) for f in fields)
        return f"({text})" if fields else "", {ast.unparse(f.target) for f in fields}

    def _full(self, annotation: ast.expr | None) -> ast.expr | None:
        """Sphinx shows ~a.b.Type as Type, and links it; a bare Type it would link to any class of
        that name."""
        for name in ast.walk(annotation) if annotation else ():
            if isinstance(name, ast.Name) and name.id in self.types:
                name.id = f"~{self.types[name.id]}"
        return annotation

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        number = isinstance(node.value, (int, float))
        return ast.Name(ast.get_source_segment(self.text, node)) if number else node

    def _value(self, node: ast.expr) -> str:
        """The option that shows a value, at most 70 signs of it; none for a text of many lines."""
        written = re.sub(r"(?<=[(\[{])\n\s*", "", ast.get_source_segment(self.text, node))
        short = json.dumps(shorten(written, 70, placeholder=" …"), ensure_ascii=False)
        return "" if isinstance(node, ast.Constant) and "\n" in written else f":value: {short}\n"

    def _comment(self, node: ast.stmt) -> str:
        """The comment behind a statement, else the lines of comment right above it."""
        behind = self.lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode().strip()
        if behind.startswith("# ") and not behind.startswith("# fmt:"):
            return behind[2:]
        before = reversed(self.lines[: node.lineno - 1])
        above = [line[2:] for line in takewhile(re.compile("# (?!---)").match, before)]
        return "\n".join(reversed(above))


def _assigned(node: ast.stmt) -> list[tuple[ast.Name, ast.expr]]:
    """[(name, value)] of A = 1, of A: int = 1, and of A, B = 1, 2; none of other statements."""
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return []
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    several = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
    pairs = zip(target.elts, node.value.elts, strict=True) if several else [(target, node.value)]
    return [(name, value) for name, value in pairs if isinstance(name, ast.Name)]


def _page(modules: list[Module], known: Set[str]) -> str:
    top = min((m.name for m in modules), key=len)
    blocks = []
    for module in modules:
        level = "#" if module.name == top else "##"
        title = f"{level} {_plain(module.name.removeprefix(f'{top}.'))}"
        place = f":::{{py:module}} {module.name}\n:::"
        links = " · ".join(
            f"{{py:obj}}`{item.name} <{module.name}.{item.name}>`" for item in module.items
        )
        blocks += [title, place, prose(module.about, module.name, known), links]
        blocks += [_directive(item, module.name, known) for item in module.items]
    return "\n\n".join(blocks) + "\n"


def _directive(item: Item, module: str, known: Set[str]) -> str:
    text = prose(item.text, module, known - {f"{module}.{name}" for name in item.own})
    inner = "".join(f"\n\n{_directive(i, module, known)}" for i in item.inner)
    fence = "::::" if inner else ":::"
    shown = item.name + re.sub(r"~[\w.]+\.", "", item.signature)
    fits = ":single-line-parameter-list:\n" if item.signature and len(shown) <= WIDTH else ""
    return (
        f"{fence}{{py:{item.kind}}} "
        f"{item.name}{item.signature}\n{item.options}{fits}\n{text}{inner}\n{fence}"
    )


def prose(text: str, module: str, known: Set[str]) -> str:
    """A docstring as Markdown that reads like it.

    Code that names a definition of the module, or says "module.name", is a link.
    """

    def link(code: str) -> str:
        name = code.strip("`")
        found = [
            k for k in known if k == f"{module}.{name}" or ("." in name and k.endswith(f".{name}"))
        ]
        if len(found) == 1:
            return f"{{py:obj}}`{name} <{found[0]}>`"
        return f"`{code}`" if code[0] == '"' else code

    blocks = []
    for kept, lines in groupby(text.splitlines(), lambda line: line.startswith("    ")):
        block = "\n".join(lines)
        if kept:
            blocks.append(f"\n```text\n{dedent(block)}\n```\n")
        else:
            parts = [
                link(part) if i % 2 else _plain(part) for i, part in enumerate(CODE.split(block))
            ]
            blocks.append(LIST.sub(lambda found: found[0].replace("\n\\-", "\n-"), "".join(parts)))
    return "\n".join(blocks)


def _plain(text: str) -> str:
    """Every sign of punctuation stands for itself."""
    return re.sub(r"([!-/:-@\[-_{-~`])", r"\\\1", text)
