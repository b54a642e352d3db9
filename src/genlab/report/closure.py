"""What a piece of code depends on, read from its syntax tree: modules of `genlab`, transitively, and pinned packages."""

import ast
import hashlib
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from genlab.report.paths import PACKAGE, ROOT


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
    return {n for n in found if not n.startswith("genlab.report") or n in ("genlab.report", "genlab.report.section")}


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
    top = set(names).union(*(_imports_of_file(module_file(m), digest)[1] for m, digest in models.items()))
    todo = [dist for name in top for dist in _distributions().get(name, [])]
    found: dict[str, str] = {}
    while todo:
        name = canonicalize_name(todo.pop())
        if name in found or name not in pinned():
            continue
        found[name] = pinned()[name]
        todo.extend(_requirements(name))
    return dict(sorted(found.items()))


@cache
def pinned() -> dict[str, str]:
    """{package: version} of requirements.lock."""
    path = ROOT / "requirements.lock"
    lines = path.read_text().splitlines() if path.is_file() else []
    found = (re.match(r"([A-Za-z0-9._-]+)==(\S+)", line) for line in lines)
    return {canonicalize_name(m[1]): m[2] for m in found if m}


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


# Markers are read as on the lowest Python that is promised: a pin is one version for all of them, and so must be a key.  (IPython wants
# typing_extensions below 3.12 alone; on 3.12 and 3.13 that alone made fourteen published pages stale.)
LOWEST_PYTHON = {"python_version": "3.11", "python_full_version": "3.11.0", "extra": ""}


@cache
def _requirements(package: str) -> list[str]:
    try:
        found = map(Requirement, metadata.requires(package) or [])
    except metadata.PackageNotFoundError:
        return []
    return [r.name for r in found if r.marker is None or r.marker.evaluate(LOWEST_PYTHON)]


def installed_differently(wanted: dict[str, str]) -> list[str]:
    """ "PACKAGE VERSION installed, VERSION pinned" for every package whose installed version is not the pinned one."""
    found = []
    for name, version in wanted.items():
        try:
            here = metadata.version(name).split("+")[0]  # a build for a GPU is the same version
        except metadata.PackageNotFoundError:
            here = "none"
        if here != version.split("+")[0]:
            found.append(f"{name} {here} installed, {version} pinned")
    return found
