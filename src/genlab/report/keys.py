"""The key of a run: a hash of everything that can change its result, and of nothing else."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from typing import Any

from genlab.report.closure import import_closure, imported_modules, sha256
from genlab.report.paths import ROOT, UserError
from genlab.report.sections import Section, get_section


@cache
def gpu_name() -> str | None:
    """Name of the first NVIDIA GPU, or None."""
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


def verify_data(section: Section) -> None:
    """UserError if a data file of the section is missing or is not what data/SHA256SUMS says."""
    for file in section.data:
        path, expected = ROOT / "data" / file, expected_checksum(file)
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
    """Everything a run's result depends on.  Needed sections count by their own keys, at their default values of the profile."""
    code = section.code_cells
    modules = set().union(*(imported_modules(_plain(cell)) for cell in code)) if code else set()
    return {
        "code": sha256("\0".join(code).encode()),
        "params": dict(params),
        "modules": import_closure(modules),
        "data": {file: expected_checksum(file) for file in section.data},
        "lock": _lock(),
        "device": device_class(section),
        "needs": {name: default_key(name, profile) for name in section.needs},
    }


def _plain(cell: str) -> str:
    """A cell without IPython's magics, which are no Python."""
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in cell.splitlines())


@cache
def _lock() -> str:
    path = ROOT / "requirements.lock"
    return sha256(path.read_bytes()) if path.is_file() else ""


def key_of(parts: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that name a run."""
    return sha256(json.dumps(parts, sort_keys=True).encode())[:16]


@cache
def default_key(name: str, profile: str) -> str:
    """Key of a section at the default values of the profile."""
    section = get_section(name)
    return key_of(key_parts(section, section.values(profile, {}), profile))


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between the key parts of two runs, in words: the part, and within it the file, parameter or section."""
    found = []
    for part, value in new.items():
        before = old.get(part)
        if before == value:
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            names = sorted(k for k in value.keys() | before.keys() if value.get(k) != before.get(k))
            found.append(f"{part}: {', '.join(names)}")
        else:
            found.append(part)
    return found
