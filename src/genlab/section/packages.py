"""Pinned packages: their versions, what they require, and whether they are the ones installed."""

import re
from collections.abc import Iterable
from functools import cache
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from genlab.section.paths import ROOT


@cache
def pinned() -> dict[str, str]:
    """{package: version} of requirements.lock."""
    path = ROOT / "requirements.lock"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    found = (re.match(r"([A-Za-z0-9._-]+)==(\S+)", line) for line in lines)
    return {canonicalize_name(m[1]): m[2] for m in found if m}


@cache
def distributions() -> dict[str, list[metadata.Distribution]]:
    """{top-level module: the installed packages that bring it}, as
    `importlib.metadata.packages_distributions` says it, in a tenth of its time: lists of files are
    read as text, and descriptions not at all."""
    found: dict[str, list[metadata.Distribution]] = {}
    for dist in metadata.distributions():
        for module in _top_level(dist):
            found.setdefault(module, []).append(dist)
    return found


def _top_level(dist: metadata.Distribution) -> set[str]:
    if declared := dist.read_text("top_level.txt"):
        return set(declared.split())
    files = (line.split(",")[0] for line in (dist.read_text("RECORD") or "").splitlines())
    return {file.split("/")[0].removesuffix(".py") for file in files if file.endswith(".py")}


# Markers are read as on the lowest Python that is promised: a pin is one version for all of them,
# and so must be a key.  (IPython wants typing_extensions below 3.12 alone.)
LOWEST_PYTHON = {"python_version": "3.11", "python_full_version": "3.11.0", "extra": ""}


@cache
def _requirements(package: str) -> list[str]:
    try:
        found = map(Requirement, metadata.requires(package) or [])
    except metadata.PackageNotFoundError:
        return []
    return [r.name for r in found if r.marker is None or r.marker.evaluate(LOWEST_PYTHON)]


def _installed(package: str) -> str:
    """The installed version, without the name of a build: one for a GPU is the same version."""
    try:
        return metadata.version(package).split("+")[0]
    except metadata.PackageNotFoundError:
        return "none"


@cache
def _bringing(module: str) -> frozenset[str]:
    """The packages that bring this top-level module; a name is read from a long description."""
    return frozenset(canonicalize_name(dist.name) for dist in distributions().get(module, []))


def behind(modules: Iterable[str]) -> dict[str, str]:
    """{package: version} of what brings these top-level modules, with all it requires.

    A pinned package counts by its pin, a package that somebody added to the environment by what is
    installed.  So a new version of a tool that computes nothing (a linter, a scheduler, Sphinx)
    moves no key.
    """
    direct = frozenset().union(*map(_bringing, modules))
    todo, found = list(direct), {}
    while todo:
        name = canonicalize_name(todo.pop())
        if name in found or (name not in pinned() and name not in direct):
            continue
        found[name] = pinned().get(name) or _installed(name)
        todo.extend(_requirements(name))
    return dict(sorted(found.items()))


def installed_differently(wanted: dict[str, str]) -> list[str]:
    """ "PACKAGE VERSION installed, VERSION pinned" for every package whose installed version is not
    the pinned one."""
    here = {name: _installed(name) for name in wanted}
    return [
        f"{n} {here[n]} installed, {v} pinned"
        for n, v in wanted.items()
        if here[n] != v.split("+")[0]
    ]
