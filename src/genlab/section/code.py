"""The key of code: which definitions a page reaches, and a digest of each, read from syntax trees.

A *definition* is a top-level function, class or constant of the package.  Its digest is that of its
syntax tree without docstrings, comments and layout, in which every reference to another definition
is replaced by that one's digest and every name from outside by its full name; its own name and
place are left out.  So renaming, moving, wrapping and commenting change no digest, and any other
change moves the digests of all that reach it.  What a module does when it is imported
(`copyreg.pickle(...)`) counts for whoever loads it, and so do the functions of the package that it
calls then.

Where a name could mean several things, all of them count.  What cannot be followed (`getattr` on a
module, `globals()`, `exec`, star imports, relative imports) is refused by `unfollowable`, and a
test runs every quick section under a tracer, which sees what really executes.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

SCHEME = 2  # of the key: 1 was the bytes of files
OPAQUE = (  # these carry results and must not change them: never followed
    "genlab.pipeline",
    "genlab.section.code",
    "genlab.section.packages",
    "genlab.section.paths",
    "genlab.report",  # the pipeline's name until November 2026, in trees that `genlab carry` reads
)
# what pages say themselves is followed; what it loads (IPython) computes nothing
PAGE = "genlab.section"
FORMER_PAGE = "genlab.report.section"
ADDRESSED = {
    "__file__",
    "__name__",
    "__module__",
    "__qualname__",
}  # a definition that mentions one depends on its place
NOTHING = "[]"  # the text of a cell that only imports
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, order=True)
class Ref:
    """A definition of a module, or (name "") the module itself as a value."""

    module: str
    name: str = ""


@dataclass
class Unit:
    """A piece of code: its tree as text with holes, what fills the holes, and the external names it
    uses."""

    text: str = ""
    refs: list[Ref] = field(default_factory=list)
    external: set[str] = field(default_factory=set)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def bound_names(node: ast.AST) -> Iterator[tuple[str, str]]:
    """(local name, full name) of every import below `node`."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield (
                    (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
                )
        elif isinstance(child, ast.ImportFrom):
            yield from (
                (alias.asname or alias.name, f"{child.module}.{alias.name}")
                for alias in child.names
            )


def imported(node: ast.AST) -> set[str]:
    """Full names of all that is imported below `node`: modules, and names that may be modules."""
    found = {
        alias.name
        for child in ast.walk(node)
        if isinstance(child, ast.Import)
        for alias in child.names
    }
    return found | {full for _, full in bound_names(node)}


def stored_names(body: Iterable[ast.AST]) -> set[str]:
    """Names that the statements assign in their own scope: not in functions, classes or
    comprehensions inside."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            found.add(node.id)
        elif not isinstance(node, (ast.Lambda, *COMPREHENSIONS)):
            found |= stored_names(ast.iter_child_nodes(node))
    return found


class Writer:
    """Writes syntax trees as text that is the same for every layout and every Python since 3.11,
    and notes references."""

    def __init__(
        self,
        library: "Library",
        bindings: Mapping[str, set[str]],
        unit: Unit,
        kept: frozenset[str] = frozenset(),
    ):
        self.library, self.bindings, self.unit, self.kept = library, bindings, unit, kept

    def write(self, node, local: frozenset[str] = frozenset()):
        """The tree below `node` as nested lists; `local`: names that an enclosing function owns."""
        if isinstance(node, list):
            statements = [n for n in node if not isinstance(n, (ast.Import, ast.ImportFrom))]
            return [self.write(n, local) for n in statements]
        if not isinstance(node, ast.AST):
            return constant(node)
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self._name(node, local)
        if isinstance(node, ast.JoinedStr):
            return ["JoinedStr", *map(self._piece(local), joined(node.values))]
        if isinstance(node, (*FUNCTIONS, ast.Lambda)):
            return self._function(node, local)
        if isinstance(node, COMPREHENSIONS):
            inner = local | stored_names(g.target for g in node.generators)
            first = self.write(
                node.generators[0].iter, local
            )  # evaluated outside, where the target has another meaning
            return [*self._fields(node, inner), first]
        return self._fields(without_docstring(node), local)

    def definition(self, node: ast.stmt):
        """A statement that defines something, without the name that it defines."""
        if isinstance(node, FUNCTIONS):
            return self._function(node, frozenset(), skip=("name",))
        return self._fields(
            without_docstring(node), frozenset(), skip=("name", "targets", "target", "simple")
        )

    def _piece(self, local):
        return lambda piece: ["Text", piece] if isinstance(piece, str) else self.write(piece, local)

    def _fields(self, node: ast.AST, local: frozenset[str], skip: tuple[str, ...] = ()) -> list:
        skip = (*skip, "ctx", "kind", "type_comment")
        values = ((name, getattr(node, name, None)) for name in node._fields if name not in skip)
        return [
            type(node).__name__,
            *([n, self.write(v, local)] for n, v in values if v is not None and v != []),
        ]

    def _function(self, node, local: frozenset[str], skip: tuple[str, ...] = ()) -> list:
        args = node.args
        owned = {
            a.arg
            for a in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg)
            if a
        }
        if not isinstance(node, ast.Lambda):
            shared = {
                n
                for child in ast.walk(node)
                if isinstance(child, (ast.Global, ast.Nonlocal))
                for n in child.names
            }
            owned |= stored_names(node.body) - shared
            imports = {name for statement in node.body for name, _ in bound_names(statement)}
            owned -= imports  # such a name may be what is imported: it counts
        outside = self._fields(
            without_docstring(node), local, (*skip, "body")
        )  # defaults and decorators: evaluated outside
        return [*outside, self.write(without_docstring(node).body, local | owned)]

    def _name(self, node, local: frozenset[str]):
        base, attributes = node, []
        while isinstance(base, ast.Attribute):
            attributes.insert(0, base.attr)
            base = base.value
        if not isinstance(base, ast.Name):
            return ["Attribute", node.attr, self.write(node.value, local)]
        if base.id in local or base.id not in self.bindings:
            return ["Name", base.id, *attributes]
        variable = (
            base.id in self.kept
        )  # on a page, the name of an import may be given to something else
        found = [["Name", base.id, *attributes]] if variable else []
        for target in sorted(self.bindings[base.id]):
            for meaning, rest in self.library.resolve(target, attributes):
                if isinstance(meaning, str):
                    self.unit.external.add(meaning)
                    found.append(["External", meaning])
                elif not (
                    variable and rest and not meaning.name
                ):  # else the module has no such attribute: the variable
                    self.unit.refs.append(meaning)
                    found.append(["Ref", len(self.unit.refs), *rest])
        return found[0] if len(found) == 1 else ["Either", *found]


def constant(value) -> object:
    """A constant of a syntax tree as JSON, with its type: 1, 1.0 and True are different code."""
    if value is None or isinstance(value, str):
        return value
    return [type(value).__name__, value.hex() if isinstance(value, (bytes, float)) else repr(value)]


def joined(values: Iterable[ast.AST]) -> Iterator:
    """The parts of an f-string with adjacent texts made one, as they are in some versions of
    Python."""
    text = ""
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            text += value.value
            continue
        if text:
            yield text
        text = ""
        yield value
    if text:
        yield text


def without_docstring(node: ast.AST) -> ast.AST:
    """The function or class without its docstring; any other node unchanged."""
    if (
        not isinstance(node, (*FUNCTIONS, ast.ClassDef))
        or ast.get_docstring(node, clean=False) is None
    ):
        return node
    return type(node)(**{f: getattr(node, f, None) for f in node._fields} | {"body": node.body[1:]})


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


def statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The top-level statements, those inside `if`, `try` and `with` too."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from statements(
                n for n in ast.walk(node) if isinstance(n, ast.stmt) and n is not node
            )


def defined(node: ast.AST) -> Iterator[str]:
    """Names that a top-level statement defines, in order."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [
            n
            for target in targets
            for n in (target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target])
        ]
        yield from (n.id for n in names if isinstance(n, ast.Name))


class Library:
    """The package in `folder` (the one that holds its top-level __init__.py), parsed as far as
    somebody asks."""

    def __init__(self, folder: Path):
        self.folder, self.package = folder, folder.name
        self._modules: dict[str, Module | None] = {}
        self._units: dict[Ref, Unit] = {}
        self._effects: dict[str, list[Unit]] = {}
        self._digests: dict[Ref, str] = {}

    def file(self, name: str) -> Path | None:
        """File of the module `name` ("genlab.toys.score"), or None if there is no such module."""
        base = self.folder.joinpath(*name.split(".")[1:])
        return next(
            (p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None
        )

    def module(self, name: str) -> Module | None:
        """The module of that name, or None."""
        if name not in self._modules:
            path = self.file(name) if name.split(".")[0] == self.package else None
            self._modules[name] = (
                Module(name, path, ast.parse(path.read_text("utf-8"))) if path else None
            )
        return self._modules[name]

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
        if ref not in self._units:
            self._units[ref] = (
                self._module_unit(ref.module) if not ref.name else self._definition(ref)
            )
        return self._units[ref]

    def _definition(self, ref: Ref) -> Unit:
        module, unit = self.module(ref.module), Unit()
        writer, parts = Writer(self, module.bindings, unit), []
        for node, i in module.definitions[ref.name]:
            parts.append([writer.definition(node), i])
        self._place(
            unit, parts, f"{ref.module}.{ref.name}", [n for n, _ in module.definitions[ref.name]]
        )
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
        if name not in self._effects:
            module, units = self.module(name), []
            for node in module.effects:
                unit = Unit()
                self._place(unit, [Writer(self, module.bindings, unit).write(node)], name, [node])
                units.append(unit)
            self._effects[name] = units
        return self._effects[name]

    def called(self, name: str) -> list[Ref]:
        """Definitions of the package that the module calls when it is imported."""
        module, unit = self.module(name), Unit()
        Writer(self, module.bindings, unit).write(module.called)
        return unit.refs

    def loaded(self, names: Iterable[str]) -> list[str]:
        """The modules that importing `names` (modules, or names in modules) loads, sooner or later;
        without the pipeline."""
        found: set[str] = set()
        todo = [n for n in names if n.split(".")[0] == self.package]
        while todo:
            words = todo.pop().split(".")
            for k in range(1, len(words) + 1):
                name = ".".join(words[:k])
                if name in found or self.opaque(name) or not self.module(name):
                    continue
                found.add(name)
                todo += [
                    n for n in imported(self.module(name).tree) if n.split(".")[0] == self.package
                ]
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
            self._digests |= {
                r: sha(filled(self.unit(r), self._digests.__getitem__)) for r in group
            }

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
    work = [(start, iter(after(start)))]
    index[start] = low[start] = 0
    stack.append(start)
    while work:
        node, children = work[-1]
        for child in children:
            if child in done:
                continue
            if child not in index:
                index[child] = low[child] = len(index)
                stack.append(child)
                work.append((child, iter(after(child))))
                break
            if child in stack:
                low[node] = min(low[node], index[child])
        else:
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[node])
            if low[node] == index[node]:
                at = stack.index(node)
                group = stack[at:]
                del stack[at:]
                yield group


@dataclass(frozen=True)
class Reached:
    """The code behind a page or a training.

    digest: of all of it.  cells: digests of the page's cells.  definitions: {"toys/langevin.py:
    mala": digest}. packages: top-level names from outside.  refs: what each cell names.  trail: who
    led to each definition.
    """

    digest: str
    cells: list[str]
    definitions: dict[str, str]
    packages: set[str]
    refs: list[list[Ref]]
    trail: dict[Ref, Ref | None]


def reached(library: Library, units: list[Unit], modules: Iterable[str]) -> Reached:
    """The closure of some units (cells, or one that names a function) that import `modules`."""
    loaded = library.loaded(modules)
    effects = {name: library.effects(name) for name in loaded}
    called = sorted({r for name in loaded for r in library.called(name)})
    roots = (
        [r for u in units for r in u.refs]
        + [r for us in effects.values() for u in us for r in u.refs]
        + called
    )
    trail = library.reach(roots)
    cells = [sha(filled(u, library.digest)) for u in units]
    done = sorted(
        sha("\0".join(filled(u, library.digest) for u in us)) for us in effects.values() if us
    )
    said = [
        cell for cell, unit in zip(cells, units, strict=True) if unit.text != NOTHING or unit.refs
    ]
    whole = sha(json.dumps([said, done, sorted({library.digest(r) for r in called})]))
    definitions = {
        library.label(r): library.digest(r)
        for r in trail
        if r.name and not library.opaque(r.module)
    }
    definitions |= {
        f"{library.label(Ref(name))}: at import": sha(
            "\0".join(filled(u, library.digest) for u in us)
        )
        for name, us in effects.items()
        if us
    }
    outside = [library.unit(r) for r in trail if not f"{r.module}.".startswith(f"{PAGE}.")] + [
        u for us in effects.values() for u in us
    ]
    names = {x for u in [*units, *outside] for x in u.external} | {m for m in modules}
    packages = {n.split(".")[0] for n in names} - {library.package, *sys.stdlib_module_names}
    return Reached(
        whole, cells, dict(sorted(definitions.items())), packages, [u.refs for u in units], trail
    )


def page(library: Library, cells: list[ast.Module]) -> Reached:
    """The code behind a page, given the trees of its cells."""
    bindings: dict[str, set[str]] = {}
    for cell in cells:
        for name, full in bound_names(cell):
            bindings.setdefault(name, set()).add(full)
    kept = frozenset(stored_names(node for cell in cells for node in cell.body))
    units = []
    for cell in cells:
        unit = Unit()
        unit.text = json.dumps(Writer(library, bindings, unit, kept).write(cell.body))
        units.append(unit)
    return reached(library, units, set().union(*map(imported, cells)) if cells else set())


def function(library: Library, ref: Ref) -> Reached:
    """The code behind one function of the package."""
    return reached(library, [Unit(NOTHING, [ref])], {ref.module})


def arguments(library: Library, cells: list[ast.Module], called: str) -> list[list[Ref]]:
    """For each cell the definitions that are arguments where it calls `section.{called}`."""
    bindings: dict[str, set[str]] = {}
    for cell in cells:
        for name, full in bound_names(cell):
            bindings.setdefault(name, set()).add(full)
    found = []
    for cell in cells:
        calls = [node for node in ast.walk(cell) if isinstance(node, ast.Call)]
        pages = {Ref(PAGE, called), Ref(f"{PAGE}.{called}", called), Ref(FORMER_PAGE, called)}
        mine = [c for c in calls if pages & {*named(library, bindings, c.func)}]
        found.append([r for c in mine for a in c.args for r in named(library, bindings, a)[:1]])
    return found


def named(library: Library, bindings: Mapping[str, set[str]], node: ast.expr) -> list[Ref]:
    """The definitions that an expression like `section.show` or `mala` names."""
    words = []
    while isinstance(node, ast.Attribute):
        words.insert(0, node.attr)
        node = node.value
    targets = sorted(bindings.get(node.id, ())) if isinstance(node, ast.Name) else []
    meanings = [
        ref for target in targets for ref, rest in library.resolve(target, words) if not rest
    ]
    return [ref for ref in meanings if isinstance(ref, Ref) and ref.name]


def listing(library: Library, refs: Iterable[Ref]) -> str:
    """The source of these definitions without their docstrings, as Markdown."""
    return "\n\n".join(f"```python\n{library.source(ref)}\n```" for ref in refs)


@cache
def library(folder: Path) -> Library:
    """The package in this folder, parsed once a process."""
    return Library(folder)


def unfollowable(tree: ast.AST, package: str = "genlab") -> list[str]:
    """What in `tree` a reader of syntax trees cannot follow, in words."""
    modules = {name for name, full in bound_names(tree) if full.split(".")[0] == package}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            found.append(f"line {node.lineno}: a relative import: write `from {package}...`")
        elif isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names):
            found.append(f"line {node.lineno}: a star import: name what is meant")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            first = node.args[0] if node.args else None
            if node.func.id in ("globals", "exec", "eval", "__import__", "compile"):
                found.append(
                    f"line {node.lineno}: {node.func.id}(): call what is meant by its name"
                )
            elif (
                node.func.id in ("getattr", "vars", "setattr")
                and isinstance(first, ast.Name)
                and first.id in modules
            ):
                found.append(
                    f"line {node.lineno}: {node.func.id}() on {first.id}: name the attribute"
                )
        elif isinstance(node, ast.Attribute) and node.attr in (
            "import_module",
            "__dict__",
            "modules",
        ):
            found.append(f"line {node.lineno}: .{node.attr}: import what is meant by its name")
    return found
