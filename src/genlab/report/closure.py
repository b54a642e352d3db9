"""What a piece of code depends on, read from its syntax tree: modules of `genlab`, transitively, and pinned packages."""

import ast
import hashlib
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from packaging.utils import canonicalize_name

from genlab.report.packages import _requirements, distributions, pinned
from genlab.report.paths import PACKAGE


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def module_file(name: str) -> Path | None:
    """File of the genlab module `name` ("genlab.toys.score"), or None if there is no such module."""
    base = PACKAGE.joinpath(*name.split(".")[1:])
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def imports(source: str) -> set[str]:
    """All dotted names that `source` imports, anywhere in it.  ValueError for a relative import."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.level:
                raise ValueError("relative imports are not followed: write `from genlab...`")
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def imported_modules(source: str) -> set[str]:
    """Names of the genlab modules, and of their parent packages, that `source` imports.

    Of the pipeline (`genlab.report`) only `section`, which a notebook talks to, can change a result; the rest is not followed.
    """
    found = {n for n in imports(source) if n.split(".")[0] == "genlab" and module_file(n)}
    found |= {".".join(n.split(".")[:k]) for n in found for k in range(1, n.count(".") + 1)}
    return {
        n
        for n in found
        if not n.startswith("genlab.report") or n in ("genlab.report", "genlab.report.section")
    }


@cache
def _imports_of_file(path: Path, digest: str) -> tuple[frozenset[str], frozenset[str]]:
    source = path.read_text()
    return frozenset(imported_modules(source)), frozenset(top_level(source))


def import_closure(modules: Iterable[str]) -> dict[str, str]:
    """{module: sha256 of its file} of `modules` and of everything in genlab that they import, transitively."""
    closure: dict[str, str] = {}
    todo = list(modules)
    while todo:
        name = todo.pop()
        path = module_file(name)
        if name in closure or path is None:
            continue
        closure[name] = sha256(path.read_bytes())
        todo.extend(_imports_of_file(path, closure[name])[0])
    return dict(sorted(closure.items()))


def top_level(source: str) -> set[str]:
    """Top-level names that `source` imports from outside genlab and the standard library."""
    return {n.split(".")[0] for n in imports(source)} - {"genlab", *sys.stdlib_module_names}


def packages(closure: dict[str, str], names: Iterable[str] = ()) -> dict[str, str]:
    """{package: pinned version} of what the modules of `closure`, and the imports `names`, load, with all they require.

    So a new version of a tool that computes nothing (a linter, a scheduler, Sphinx) moves no key.
    """
    models = {m: digest for m, digest in closure.items() if not m.startswith("genlab.report")}
    top = set(names).union(
        *(_imports_of_file(module_file(m), digest)[1] for m, digest in models.items())
    )
    todo = [dist for name in top for dist in distributions().get(name, [])]
    found: dict[str, str] = {}
    while todo:
        name = canonicalize_name(todo.pop())
        if name in found or name not in pinned():
            continue
        found[name] = pinned()[name]
        todo.extend(_requirements(name))
    return dict(sorted(found.items()))
