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
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from genlab.section.definitions import FORMER_PAGE, PAGE, Library, filled
from genlab.section.syntax import Ref, Unit, Writer, bound_names, imported, sha, stored_names

SCHEME = 2  # of the key: 1 was the bytes of files
NOTHING = "[]"  # the text of a cell that only imports


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
    at_import = [u for us in effects.values() for u in us]
    trail = library.reach([r for u in [*units, *at_import] for r in u.refs] + called)
    cells = [sha(filled(u, library.digest)) for u in units]
    done = {
        name: sha("\0".join(filled(u, library.digest) for u in us))
        for name, us in effects.items()
        if us
    }
    said = [
        cell for cell, unit in zip(cells, units, strict=True) if unit.text != NOTHING or unit.refs
    ]
    digests = sorted({library.digest(r) for r in called})
    whole = sha(json.dumps([said, sorted(done.values()), digests]))
    definitions = {
        library.label(r): library.digest(r)
        for r in trail
        if r.name and not library.opaque(r.module)
    }
    definitions |= {f"{library.label(Ref(name))}: at import": done[name] for name in done}
    computing = (r for r in trail if not f"{r.module}.".startswith((f"{PAGE}.", FORMER_PAGE)))
    outside = [library.unit(r) for r in computing] + at_import
    names = {x for u in [*units, *outside] for x in u.external}.union(modules)
    packages = {n.split(".")[0] for n in names} - {library.package, *sys.stdlib_module_names}
    return Reached(
        whole, cells, dict(sorted(definitions.items())), packages, [u.refs for u in units], trail
    )


def page(library: Library, cells: list[ast.Module]) -> Reached:
    """The code behind a page, given the trees of its cells."""
    bindings = _bindings(cells)
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
    bindings, found = _bindings(cells), []
    for cell in cells:
        calls = [node for node in ast.walk(cell) if isinstance(node, ast.Call)]
        mine = [c for c in calls if _says(library, bindings, c.func, called)]
        found.append([r for c in mine for a in c.args for r in named(library, bindings, a)[:1]])
    return found


def takes_only(library: Library, cells: list[ast.Module], called: str, attribute: str) -> bool:
    """Whether the cells use `section.{called}` only as `section.{called}(…).{attribute}`."""
    bindings = _bindings(cells)
    nodes = [node for cell in cells for node in ast.walk(cell)]
    taken = {
        id(node.value.func)
        for node in nodes
        if isinstance(node, ast.Attribute)
        and node.attr == attribute
        and isinstance(node.value, ast.Call)
    }
    return all(
        id(node) in taken
        for node in nodes
        if isinstance(node, ast.Attribute | ast.Name) and _says(library, bindings, node, called)
    )


def _bindings(cells: list[ast.Module]) -> dict[str, set[str]]:
    """{name: full names that the cells import it as}."""
    bindings: dict[str, set[str]] = {}
    for name, full in (pair for cell in cells for pair in bound_names(cell)):
        bindings.setdefault(name, set()).add(full)
    return bindings


def _says(library: Library, bindings: Mapping[str, set[str]], node: ast.expr, word: str) -> bool:
    """Whether an expression names `section.{word}`, under the package's present or former name."""
    names = named(library, bindings, node)
    return any(r.name == word and r.module.startswith((PAGE, FORMER_PAGE)) for r in names)


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
