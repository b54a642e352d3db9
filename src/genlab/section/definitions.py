"""The definitions of a package, what each refers to, and digests of each with all it reaches."""

import ast
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from genlab.section.syntax import (
    FUNCTIONS,
    Ref,
    Unit,
    Writer,
    bound_names,
    defined,
    imported,
    sha,
    statements,
    without_docstring,
)

OPAQUE = (  # these carry results and must not change them: never followed
    "genlab.pipeline",
    "genlab.section.code",
    "genlab.section.definitions",
    "genlab.section.syntax",
    "genlab.section.packages",
    "genlab.section.paths",
    "genlab.report",  # the pipeline's name until November 2026, in trees that `genlab carry` reads
)
# What pages say themselves is followed; what it loads (IPython) computes nothing.
PAGE = "genlab.section"
FORMER_PAGE = "genlab.report.section"
# A definition that mentions one of these depends on its place.
ADDRESSED = {"__file__", "__name__", "__module__", "__qualname__"}


@dataclass
class Module:
    """A parsed module: what its names mean, its definitions, and the statements it executes when
    imported."""

    name: str
    path: Path
    tree: ast.Module

    @cached_property
    def bindings(self) -> dict[str, set[str]]:
        """{name: full names it may stand for}: imports anywhere in the module, and its own
        definitions."""
        found: dict[str, set[str]] = {name: {f"{self.name}.{name}"} for name in self.definitions}
        for name, full in bound_names(self.tree):
            found.setdefault(name, set()).add(full)
        return found

    @cached_property
    def imports(self) -> set[str]:
        """Full names of all that it imports, anywhere in the module."""
        return imported(self.tree)

    @cached_property
    def definitions(self) -> dict[str, list[tuple[ast.AST, int]]]:
        """{name: [(statement that defines it, which of the statement's names it is)]}."""
        found: dict[str, list] = {}
        for node in statements(self.tree.body):
            for i, name in enumerate(defined(node)):
                found.setdefault(name, []).append((node, i))
        return found

    @cached_property
    def effects(self) -> list[ast.stmt]:
        """Top-level statements that are neither imports nor definitions."""
        plain = (ast.Import, ast.ImportFrom, ast.Pass)
        body = self.tree.body[ast.get_docstring(self.tree, clean=False) is not None :]
        return [node for node in body if not isinstance(node, plain) and not list(defined(node))]

    @cached_property
    def called(self) -> list[ast.expr]:
        """What the module calls when it is imported: decorators, and functions in the values of its
        constants and defaults."""
        found: list[ast.expr] = []
        todo: list[ast.AST] = list(self.tree.body)
        while todo:
            node = todo.pop()
            if isinstance(node, ast.ClassDef):
                found += node.decorator_list
                todo += node.body
            elif isinstance(node, FUNCTIONS):
                found += node.decorator_list
                todo += [d for d in (*node.args.defaults, *node.args.kw_defaults) if d]
            elif not isinstance(node, ast.Lambda):
                found += [node.func] if isinstance(node, ast.Call) else []
                todo += ast.iter_child_nodes(node)
        return found


class Library:
    """The package in `folder` (the one that holds its top-level __init__.py), parsed as far as
    somebody asks."""

    def __init__(self, folder: Path):
        self.folder, self.package = folder, folder.name
        self._digests: dict[Ref, str] = {}
        # Each is worked out once, for as long as this library is there.
        self.module, self.unit = cache(self.module), cache(self.unit)
        self.effects, self.called = cache(self.effects), cache(self.called)

    def file(self, name: str) -> Path | None:
        """File of the module `name` ("genlab.toys.score"), or None if there is no such module."""
        base = self.folder.joinpath(*name.split(".")[1:])
        return next(
            (p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None
        )

    def module(self, name: str) -> Module | None:
        """The module of that name, or None."""
        path = self.file(name) if name.split(".")[0] == self.package else None
        return Module(name, path, ast.parse(path.read_text("utf-8"))) if path else None

    def opaque(self, module: str) -> bool:
        """Whether the module belongs to the pipeline, which results must not depend on."""
        return module != FORMER_PAGE and f"{module}.".startswith(tuple(f"{o}." for o in OPAQUE))

    def resolve(
        self, target: str, attributes: Iterable[str] = ()
    ) -> list[tuple[Ref | str, list[str]]]:
        """What the full name `target` followed by `attributes` may mean: (definition, module or
        external name, attributes left)."""
        words = [*target.split("."), *attributes]
        if words[0] != self.package:
            return [(".".join(words), [])]
        depth = next(
            d for d in range(len(words), 0, -1) if d == 1 or self.module(".".join(words[:d]))
        )
        name, rest = ".".join(words[:depth]), words[depth:]
        module = self.module(name)
        if not rest or not module or self.opaque(name):
            return [(Ref(name), rest)]
        found = [(Ref(name, rest[0]), rest[1:])] if rest[0] in module.definitions else []
        for full in sorted(module.bindings.get(rest[0], set()) - {f"{name}.{rest[0]}"}):
            found += self.resolve(full, rest[1:])  # a name that the module took from elsewhere
        return found or [(Ref(name), rest)]

    def label(self, ref: Ref) -> str:
        """ "toys/langevin.py: mala"."""
        path = self.file(ref.module)
        file = path.relative_to(self.folder).as_posix() if path else ref.module
        return f"{file}: {ref.name}" if ref.name else file

    def source(self, ref: Ref) -> str:
        """The text of a definition without its docstring."""
        module = self.module(ref.module)
        node = module.definitions[ref.name][-1][0]
        lines = module.path.read_text("utf-8").splitlines()
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
        if without_docstring(node) is node:
            return "\n".join(lines[first : node.end_lineno])
        doc = node.body[0]
        after = lines[doc.end_lineno : node.end_lineno]
        return "\n".join([*lines[first : doc.lineno - 1], *after[not after[:1] or not after[0] :]])

    def unit(self, ref: Ref) -> Unit:
        """The definition as text with holes; of a module as a value: all it defines, by name."""
        return self._definition(ref) if ref.name else self._module_unit(ref.module)

    def _definition(self, ref: Ref) -> Unit:
        module, unit = self.module(ref.module), Unit()
        writer, found = Writer(self, module.bindings, unit), module.definitions[ref.name]
        parts = [[writer.definition(node), i] for node, i in found]
        self._place(unit, parts, f"{ref.module}.{ref.name}", [node for node, _ in found])
        return unit

    def _place(self, unit: Unit, parts: list, address: str, nodes: Iterable[ast.AST]) -> None:
        """Close the unit; if it mentions its place, its address is part of it."""
        words = {getattr(n, "id", getattr(n, "attr", "")) for node in nodes for n in ast.walk(node)}
        unit.text = json.dumps([*parts, address] if words & ADDRESSED else parts)

    def _module_unit(self, name: str) -> Unit:
        unit, module = Unit(), self.module(name)
        if module is None or self.opaque(name):
            unit.text = "pipeline"
            return unit
        unit.refs = [Ref(name, d) for d in sorted(module.definitions)]
        effects = self.effects(name)
        unit.refs += [r for e in effects for r in e.refs]
        unit.external = {x for e in effects for x in e.external}
        unit.text = json.dumps([sorted(module.definitions), [e.text for e in effects]])
        return unit

    def effects(self, name: str) -> list[Unit]:
        """What the module does when it is imported, statement by statement."""
        module, units = self.module(name), []
        for node in module.effects:
            unit = Unit()
            self._place(unit, [Writer(self, module.bindings, unit).write(node)], name, [node])
            units.append(unit)
        return units

    def called(self, name: str) -> list[Ref]:
        """Definitions of the package that the module calls when it is imported."""
        module, unit = self.module(name), Unit()
        Writer(self, module.bindings, unit).write(module.called)
        return unit.refs

    def loaded(self, names: Iterable[str]) -> list[str]:
        """The modules that importing `names` (modules, or names in modules) loads, sooner or later;
        without the pipeline."""
        found: set[str] = set()
        todo = list(names)
        while todo:
            words = todo.pop().split(".")
            for k in range(1, len(words) + 1):
                name = ".".join(words[:k])
                if name in found or self.opaque(name) or not self.module(name):
                    continue
                found.add(name)
                todo += self.module(name).imports
        return sorted(found)

    def digest(self, ref: Ref) -> str:
        """Sixteen hexadecimal digits of a definition and of all it reaches."""
        if ref not in self._digests:
            for group in components(ref, lambda r: self.unit(r).refs, self._digests):
                self._digest_group(group)
        return self._digests[ref]

    def _digest_group(self, group: list[Ref]) -> None:
        """Digests of definitions that reach each other (nearly always one): as many rounds as there
        are members, so that every member has heard of every other and the order in which they are
        met does not matter."""
        self._digests |= dict.fromkeys(group, "self")
        for _ in group:
            found = {r: sha(filled(self.unit(r), self._digests.__getitem__)) for r in group}
            self._digests |= found

    def reach(self, roots: Iterable[Ref]) -> dict[Ref, Ref | None]:
        """{definition: who led to it first} of all that the roots reach, breadth first."""
        found: dict[Ref, Ref | None] = dict.fromkeys(roots)
        for ref in (todo := list(found)):  # grows while it is read
            for other in self.unit(ref).refs:
                if other not in found:
                    found[other] = ref
                    todo.append(other)
        return found


def filled(unit: Unit, digest) -> str:
    """The unit's text with the digests of what its holes stand for."""
    return "\0".join([unit.text, *map(digest, unit.refs)])


def components(start, after, done) -> Iterator[list]:
    """Strongly connected components that are reached from `start` and not yet `done`, each before
    those that reach it (Tarjan)."""
    index: dict = {}
    low: dict = {}
    stack: list = []

    def visit(node) -> Iterator[list]:
        index[node] = low[node] = len(index)
        stack.append(node)
        for child in after(node):
            if child not in done and child not in index:
                yield from visit(child)
            if child in stack:
                low[node] = min(low[node], low[child])
        if low[node] == index[node]:
            at = stack.index(node)
            group = stack[at:]
            del stack[at:]
            yield group

    yield from visit(start)
