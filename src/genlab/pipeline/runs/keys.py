"""The key of a run: a hash of everything that can change its result, and of nothing else."""

import ast
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from genlab.data import files
from genlab.pipeline.runs import gpu, store
from genlab.pipeline.runs.derived import derived
from genlab.pipeline.runs.disk import checksum
from genlab.pipeline.runs.pages import Section, get_section, in_order
from genlab.pipeline.runs.parameters import file_checksum
from genlab.pipeline.runs.reading import parsed
from genlab.section import code, packages
from genlab.section.paths import PACKAGE, ROOT, UserError
from genlab.section.syntax import unfollowable

VERSIONS = ("jax", "torch", "POT", "numpy", "scipy", "scikit-learn", "papermill", "jupyter-book")

DATA = ROOT / "data"


@cache
def gpu_name() -> str | None:
    """Name of the first NVIDIA GPU, or None.  GENLAB_GPU overrides it: "none", or the name of the
    GPU on the workers."""
    if told := os.environ.get("GENLAB_GPU"):
        return None if told == "none" else told
    said = gpu.first("name")
    return ", ".join(said) if said else None


def device_class(section: Section, wanted: str | None = None) -> str:
    """ "cpu" or "cuda:NAME", by the section's policy and what this machine has, or where `wanted`
    says so.  UserError if the section wants a GPU and there is none."""
    if wanted:
        return "cpu" if section.device == "cpu" else wanted
    name = gpu_name() if section.device != "cpu" else None
    if section.device == "gpu" and name is None:
        raise UserError(
            f"{section.name} needs a GPU and this machine shows none: run it on one, or set "
            "`device: any` in its file"
        )
    return f"cuda:{name}" if name else "cpu"


def contents(section: Section) -> dict[str, str]:
    """{file: checksum of what is in it} of the section's data files, whatever their packing."""
    return _checksums(section, files.content_name)


def packed(section: Section) -> dict[str, str]:
    """{file as it lies there: its checksum} of the section's data files."""

    def lies_there_as(name: str) -> str:
        return files.stored(files.content_name(name), DATA).relative_to(DATA).as_posix()

    return _checksums(section, lies_there_as)


def _checksums(section: Section, named: Callable[[str], str]) -> dict[str, str]:
    """{file: its checksum} of the data files under the names that they have by `named`.  What is
    wrong with one is a person's to mend."""
    try:
        return {name: files.content_checksum(name, DATA) for name in map(named, section.data)}
    except files.DataError as error:
        raise UserError(f"{section.path.name}, `data:`: {error}") from None


def verify_packages(parts: Mapping[str, Any]) -> None:
    """UserError if an installed package is not the version in the key: its result would carry a
    false name."""
    if found := packages.installed_differently(parts["lock"]):
        raise UserError(
            f"packages differ from requirements.lock: {'; '.join(found[:4])}: `make` installs the "
            "pinned ones"
        )


def verify_files(checksums: Mapping[str, str]) -> None:
    """UserError if a file under data/ is missing or has another checksum than the expected one."""
    for file, expected in checksums.items():
        path = DATA / file
        if not path.is_file():
            raise UserError(
                f"data file data/{file} is missing (expected sha256 {expected}): `git checkout "
                f"data/{file}` restores it"
            )
        try:
            found = checksum(path)
        except OSError as error:
            raise UserError(f"data file data/{file} cannot be read: {error.strerror}") from None
        if found != expected:
            raise UserError(
                f"data file data/{file} is broken: expected sha256 {expected}, found {found}: "
                f"`git checkout data/{file}` restores it"
            )


class Unfinished(UserError):
    """A run has no key yet, because a section that it needs has no current run."""


# Of a section: they decide how sums are split, so the profile does, not the machine.
THREADS = {"quick": 1, "full": 2}


def own_parts(
    section: Section, params: Mapping[str, Any], profile: str, device: str | None = None
) -> dict[str, Any]:
    """Everything a run's result depends on, but for the sections that it needs; on another device
    than this machine's, if one is given.

    A file given as a parameter counts by what is in it, too; data files by their content, not their
    packing.
    """
    given = [p.name for p in section.parameters if p.is_file and Path(params[p.name]).is_absolute()]
    read = {"files": {name: file_checksum(Path(params[name])) for name in given}} if given else {}
    digest, loaded = digest_and_packages(section)
    return read | {
        "scheme": code.SCHEME,
        "code": digest,
        "params": dict(params),
        "data": contents(section),
        "lock": packages.behind(loaded),
        "device": device_class(section, device),
        "threads": THREADS[profile],
    }


def key_parts(
    section: Section, params: Mapping[str, Any], profile: str, device: str | None = None
) -> dict[str, Any]:
    """Everything a run's result depends on.  Unfinished if a section that it needs has no current
    run.

    Needed sections count by what their runs say (metrics and arrays), at their default values of
    the profile and at this run's seed: one that is run again and says the same makes nothing stale.
    """
    in_order([section.name])  # refuses sections that need each other in a circle
    needs = {}
    for name in section.needs:
        run = run_of(name, profile, seed := params["seed"], device)
        if run is None:
            raise Unfinished(
                f"{section.name} needs {name}, which has no current {profile} run at seed {seed}: "
                f"`genlab run {name} --profile {profile} --seed {seed}` makes it"
            )
        needs[name] = store.content(run)
    return own_parts(section, params, profile, device) | {"needs": needs}


def digest_and_packages(section: Section) -> tuple[str, set[str]]:
    """What a key holds of `code_behind`.  UserError for a package that is neither in genlab nor
    installed."""

    def make() -> list:
        behind = code_behind(section)
        return [behind.digest, sorted(behind.packages)]

    sources = [section.path.name, *section.code_cells]
    digest, loaded = derived(f"code-{section.name}", sources, make)
    if local := sorted(set(loaded) - packages.distributions().keys()):
        raise UserError(
            f"{section.path.name} imports {', '.join(local)}, which is neither in genlab nor an "
            "installed package, so that a change of it would go unseen: move it into src/genlab"
        )
    return digest, set(loaded)


def code_behind(section: Section, package: Path = PACKAGE) -> code.Reached:
    """The definitions that the section's cells reach.  UserError for a cell that is no Python, or
    refers to something in a way that no key can follow."""
    return _code_behind(section.path.name, tuple(section.code_cells), package)


@cache
def _code_behind(file: str, cells: tuple[str, ...], package: Path) -> code.Reached:
    trees = _trees(file, cells)
    for i, tree in enumerate(trees, start=2):
        for said in unfollowable(tree):
            raise UserError(f"{file}, code cell {i}, {said}")
    return code.page(code.library(package), trees)


def trees(section: Section) -> list[ast.Module]:
    """The syntax trees of the section's code cells but the parameters, which come first."""
    return _trees(section.path.name, section.code_cells)


def _trees(file: str, cells: Iterable[str]) -> list[ast.Module]:
    return [parsed(cell, f"{file}, code cell {i}") for i, cell in enumerate(cells, start=2)]


def check(name: str) -> None:
    """UserError if a section, or one that it needs, cannot be read, or has no key: its data are not
    there, its code cannot be followed, this machine has no device for it."""
    for section in map(get_section, in_order([name])):
        packed(section)
        own_parts(section, section.values("full", {}), "full")


def current_key(
    name: str, profile: str, seed: int | None = None, device: str | None = None
) -> str | None:
    """Key of a section at the default values of the profile, and at `seed` and on `device` if they
    are given; None if it has none yet."""
    section = get_section(name)
    params = section.values(profile, {} if seed is None else {"seed": seed})
    try:
        return store.key_of(key_parts(section, params, profile, device))
    except Unfinished:
        return None


def run_of(
    name: str, profile: str, seed: int | None = None, device: str | None = None
) -> store.Run | None:
    """The sound run with the `current_key` of a section, or None."""
    key = current_key(name, profile, seed, device)
    return store.find(name, key) if key else None


def is_current(public: store.Run) -> bool:
    """Whether a published run has the present key, on the device that it was computed on."""
    record = public.record
    return record["key"] == current_key(record["section"], "full", device=record["device"])


def current(name: str, profile: str) -> store.Run | None:
    """The current run of a section at the default values of the profile: of this machine's device,
    or else the published one, of its own."""
    if run := run_of(name, profile):
        return run
    public = store.published(name) if profile == "full" else None
    return public if public and public.sound and is_current(public) else None


def current_run(name: str) -> store.Run:
    """The current run of a section at its default values, full or else quick.  UserError if there
    is none."""
    if run := current(name, "full") or current(name, "quick"):
        return run
    raise UserError(f"{name} has no current run: `genlab run {name}` makes one")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries a result depends on, as installed here."""
    return {"python": platform.python_version()} | {
        name: metadata.version(name) for name in VERSIONS
    }
