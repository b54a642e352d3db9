"""Syntax trees as text: the same for every layout and every Python since 3.11, with holes for what
is defined elsewhere."""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genlab.section.definitions import Library

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
    """(local name, full name) of every import below `node`, a module or a statement."""
    for child in blocks(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                first = alias.name.split(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (first, first)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                yield alias.asname or alias.name, f"{child.module}.{alias.name}"


def blocks(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and the statements below it, without their expressions, which are most of a tree."""
    todo = [node]
    for node in todo:  # grows while it is read
        yield node
        for inner in ("body", "orelse", "finalbody", "handlers", "cases"):
            todo += getattr(node, inner, ())


def imported(node: ast.AST) -> set[str]:
    """Full names of all that is imported below `node`: modules, and names that may be modules."""
    plain = (child for child in blocks(node) if isinstance(child, ast.Import))
    found = {alias.name for child in plain for alias in child.names}
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


@dataclass
class Writer:
    """Writes syntax trees as text that is the same for every layout and every Python since 3.11,
    and notes references."""

    library: "Library"
    bindings: Mapping[str, set[str]]
    unit: Unit
    kept: frozenset[str] = frozenset()

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
            pieces = joined(node.values)
            return [
                "JoinedStr",
                *(["Text", p] if isinstance(p, str) else self.write(p, local) for p in pieces),
            ]
        if isinstance(node, (*FUNCTIONS, ast.Lambda)):
            return self._function(node, local)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            read = self.write(ast.Name(node.target.id, ast.Load()), local)
            return ["AugAssign", read, type(node.op).__name__, self.write(node.value, local)]
        if isinstance(node, COMPREHENSIONS):
            inner = local | stored_names(g.target for g in node.generators)
            # evaluated outside, where the target has another meaning
            first = self.write(node.generators[0].iter, local)
            return [*self._fields(node, inner), first]
        return self._fields(without_docstring(node), local)

    def definition(self, node: ast.stmt):
        """A statement that defines something, without the name that it defines."""
        if isinstance(node, FUNCTIONS):
            return self._function(node, frozenset(), skip=("name",))
        return self._fields(
            without_docstring(node), frozenset(), skip=("name", "targets", "target", "simple")
        )

    def _fields(self, node: ast.AST, local: frozenset[str], skip: tuple[str, ...] = ()) -> list:
        skip = (*skip, "ctx", "kind", "type_comment")
        values = ((name, getattr(node, name, None)) for name in node._fields if name not in skip)
        return [
            type(node).__name__,
            *([n, self.write(v, local)] for n, v in values if v is not None and v != []),
        ]

    def _function(self, node, local: frozenset[str], skip: tuple[str, ...] = ()) -> list:
        args = node.args
        named = (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg)
        owned = {a.arg for a in named if a}
        if not isinstance(node, ast.Lambda):
            declared = (n for n in ast.walk(node) if isinstance(n, (ast.Global, ast.Nonlocal)))
            owned |= stored_names(node.body) - {name for n in declared for name in n.names}
            imports = {name for statement in node.body for name, _ in bound_names(statement)}
            owned -= imports  # such a name may be what is imported: it counts
        # defaults and decorators: evaluated outside
        outside = self._fields(without_docstring(node), local, (*skip, "body"))
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
        if base is node and base.id in self.kept and not isinstance(node.ctx, ast.Load):
            return ["Name", base.id]  # it is given a value, and not read
        # on a page, the name of an import may be given to something else
        variable = base.id in self.kept
        found = [["Name", base.id, *attributes]] if variable else []
        for target in sorted(self.bindings[base.id]):
            for meaning, rest in self.library.resolve(target, attributes):
                if isinstance(meaning, str):
                    self.unit.external.add(meaning)
                    found.append(["External", meaning])
                # else the module has no such attribute: the variable
                elif not (variable and rest and not meaning.name):
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


def statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The top-level statements, those inside `if`, `try` and `with` too."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            inner = (n for n in ast.walk(node) if isinstance(n, ast.stmt) and n is not node)
            yield from statements(inner)


def defined(node: ast.AST) -> Iterator[str]:
    """Names that a top-level statement defines, in order."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            names = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
            yield from (n.id for n in names if isinstance(n, ast.Name))


def unfollowable(tree: ast.AST) -> list[str]:
    """What in `tree` a reader of syntax trees cannot follow, in words."""
    modules = {name for name, full in bound_names(tree) if full.split(".")[0] == "genlab"}
    told = ((node, _hidden(node, modules)) for node in ast.walk(tree))
    return [f"line {node.lineno}: {said}" for node, said in told if said]


def _hidden(node: ast.AST, modules: set[str]) -> str:
    """What cannot be followed here, and what to write in its place; nothing if it can."""
    match node:
        case ast.ImportFrom(level=int(level)) if level:
            return "a relative import: write `from genlab...`"
        case ast.ImportFrom(names=names) if any(alias.name == "*" for alias in names):
            return "a star import: name what is meant"
        case ast.Call(ast.Name("globals" | "exec" | "eval" | "__import__" | "compile" as name)):
            return f"{name}(): call what is meant by its name"
        case ast.Call(ast.Name("getattr" | "vars" | "setattr" as name), [ast.Name(first), *_]):
            return f"{name}() on {first}: name the attribute" if first in modules else ""
        case ast.Attribute(_, "import_module" | "__dict__" as name):
            return f".{name}: import what is meant by its name"
        case ast.Attribute(ast.Name("sys"), "modules"):
            return ".modules: import what is meant by its name"
    return ""
