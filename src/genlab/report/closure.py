"""What a piece of code depends on within `genlab`: the transitive import closure, read from the syntax tree."""

import ast
import hashlib
from functools import cache
from pathlib import Path

from genlab.report.paths import PACKAGE


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def module_file(name: str, package: Path = PACKAGE) -> Path | None:
    """File of the genlab module `name` ("genlab.toys.score"), or None if there is no such module."""
    base = package.joinpath(*name.split(".")[1:])
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def imported_modules(source: str) -> set[str]:
    """Names of all genlab modules (and their parent packages) that `source` imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.level:
                raise ValueError("relative imports are not followed: write `from genlab...`")
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    found = {n for n in names if n.split(".")[0] == "genlab" and module_file(n)}
    return found | {".".join(n.split(".")[:k]) for n in found for k in range(1, n.count(".") + 1)}


@cache
def _imports_of(path: Path, digest: str) -> frozenset[str]:
    return frozenset(imported_modules(path.read_text()))


def import_closure(modules: set[str]) -> dict[str, str]:
    """{module: sha256 of its file} of `modules` and of everything in genlab that they import, transitively."""
    closure: dict[str, str] = {}
    todo = list(modules)
    while todo:
        name = todo.pop()
        path = module_file(name)
        if name in closure or path is None:
            continue
        closure[name] = sha256(path.read_bytes())
        todo.extend(_imports_of(path, closure[name]))
    return dict(sorted(closure.items()))
