"""The key of a run: a hash of everything that can change its result, and of nothing else."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from genlab.report.closure import import_closure, imported_modules, installed_differently, packages, sha256, top_level
from genlab.report.paths import ROOT, UserError
from genlab.report.sections import Section, get_section

VERSIONS = ("jax", "torch", "POT", "numpy", "scipy", "scikit-learn", "papermill", "jupyter-book")


@cache
def gpu_name() -> str | None:
    """Name of the first NVIDIA GPU, or None.  GENLAB_GPU overrides it: "none", or the name of the GPU on the workers."""
    if told := os.environ.get("GENLAB_GPU"):
        return None if told == "none" else told
    if not shutil.which("nvidia-smi"):
        return None
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    result = subprocess.run(query, capture_output=True, text=True, check=False)
    return result.stdout.splitlines()[0].strip() if result.returncode == 0 and result.stdout.strip() else None


def device_class(section: Section) -> str:
    """ "cpu" or "cuda:NAME", by the section's policy and what this machine has.  UserError if it wants a GPU and there is none."""
    gpu = gpu_name() if section.device != "cpu" else None
    if section.device == "gpu" and gpu is None:
        raise UserError(
            f"{section.name} needs a GPU and this machine shows none: run it on one, or set `device: any` in its file"
        )
    return f"cuda:{gpu}" if gpu else "cpu"


@cache
def _sums() -> dict[str, str]:
    path = ROOT / "data" / "SHA256SUMS"
    lines = path.read_text().splitlines() if path.is_file() else []
    return {
        name.strip().lstrip("*").removeprefix("./"): digest
        for digest, name in (line.split(maxsplit=1) for line in lines if line.strip())
    }


def expected_checksum(file: str) -> str:
    """The checksum of a file under data/, from data/SHA256SUMS."""
    if file not in _sums():
        raise UserError(f"data file {file!r} is not listed in data/SHA256SUMS: add it, or mend `data:` in the section")
    return _sums()[file]


def verify_packages(parts: Mapping[str, Any]) -> None:
    """UserError if an installed package is not the version in the key: its result would carry a false name."""
    if found := installed_differently(parts["lock"]):
        raise UserError(
            f"packages differ from requirements.lock: {'; '.join(found[:4])}: `make` installs the pinned ones"
        )


def verify_data(section: Section) -> None:
    """UserError if a data file of the section is missing or is not what data/SHA256SUMS says."""
    verify_files({file: expected_checksum(file) for file in section.data})


def verify_files(checksums: Mapping[str, str]) -> None:
    """UserError if a file under data/ is missing or has another checksum than the expected one."""
    for file, expected in checksums.items():
        path = ROOT / "data" / file
        if not path.is_file():
            raise UserError(
                f"data file data/{file} is missing (expected sha256 {expected}): `git checkout data/{file}` restores it"
            )
        found = sha256(path.read_bytes())
        if found != expected:
            raise UserError(
                f"data file data/{file} is broken: expected sha256 {expected}, found {found}: `git checkout data/{file}` restores it"
            )


def key_parts(section: Section, params: Mapping[str, Any], profile: str) -> dict[str, Any]:
    """Everything a run's result depends on.

    Needed sections count by their own keys, at their default values of the profile and at this run's seed; a file given
    as a parameter counts by what is in it, too.
    """
    sources = [plain(cell) for cell in section.code_cells]
    modules = import_closure(set().union(*map(imported_modules, sources)))
    given = [p.name for p in section.parameters if p.is_file and Path(params[p.name]).is_absolute()]
    files = {"files": {name: sha256(Path(params[name]).read_bytes()) for name in given}} if given else {}
    return files | {
        "code": sha256("\0".join(section.code_cells).encode()),
        "params": dict(params),
        "modules": modules,
        "data": {file: expected_checksum(file) for file in section.data},
        "lock": packages(modules, set().union(*map(top_level, sources))),
        "device": device_class(section),
        "needs": {name: default_key(name, profile, params["seed"]) for name in section.needs},
    }


def plain(cell: str) -> str:
    """A cell without IPython's magics, which are no Python."""
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in cell.splitlines())


def key_of(parts: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that name a run."""
    return sha256(json.dumps(parts, sort_keys=True).encode())[:16]


@cache
def default_key(name: str, profile: str, seed: int | None = None) -> str:
    """Key of a section at the default values of the profile, and at `seed` if one is given."""
    section = get_section(name)
    return key_of(key_parts(section, section.values(profile, {} if seed is None else {"seed": seed}), profile))


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries a result depends on, as installed here."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in VERSIONS}
