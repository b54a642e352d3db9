"""The record of a run: what it must hold, and how damage is noticed.

`files` holds the length and the SHA-256 of notebook and arrays, `digest` that of the record itself,
so that a file that was cut off, exchanged or edited is never taken for a result.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, FiniteFloat, StrictBool, StrictInt, ValidationError

from genlab.pipeline.runs.disk import checksum

RECORD_BYTES = 50_000_000  # the most that is read of a file that says it is a record
KEY = r"^[0-9a-f]{16}$"
NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
Number = StrictBool | StrictInt | Annotated[FiniteFloat, Field(strict=True)]


class _Metric(BaseModel):
    value: Number


class _File(BaseModel):
    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Files(BaseModel):
    notebook: _File
    arrays: _File | None = None


class _Gpu(BaseModel):
    driver: str
    peak_memory_mib: Number


class _Record(BaseModel, extra="allow"):
    """The fields that others read; the rest is for people."""

    section: Annotated[str, Field(pattern=NAME)]
    profile: Literal["quick", "full"]
    params: dict[str, Any]
    seed: StrictInt
    key: Annotated[str, Field(pattern=KEY)]
    key_parts: dict[str, Any]
    device: str
    seconds: Number
    gpu: _Gpu | None = None
    dirty: bool | Literal["unknown"] = "unknown"
    metrics: dict[str, _Metric]
    files: _Files
    digest: str


class Damaged(Exception):
    """What is wrong with a stored run, in a few words."""


def key_of(parts: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that name a run."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def digest_of(record: Mapping[str, Any]) -> str:
    """SHA-256 of all that a record says, but for this."""
    said = {name: value for name, value in record.items() if name != "digest"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def sealed(record: Mapping[str, Any], files: Mapping[str, bytes | None]) -> bytes:
    """The record as it is stored, with what it takes to notice damage of it and of its files
    {"notebook", "arrays"}."""
    about = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
        if content is not None
    }
    whole = {**record, "files": about}
    return (json.dumps(whole | {"digest": digest_of(whole)}, indent=1) + "\n").encode()


def read(file: Path) -> dict[str, Any]:
    """The record in a file.  Damaged if it is cut off, edited, or no record."""
    try:
        if file.stat().st_size > RECORD_BYTES:
            raise Damaged(f"it is larger than {RECORD_BYTES:,} bytes")
        record = json.loads(file.read_text("utf-8"))
        _Record.model_validate(record)
    except (OSError, ValueError, RecursionError) as error:  # pydantic's error is a ValueError
        raise Damaged(_first_fault(error)) from None
    if record["digest"] != digest_of(record):
        raise Damaged("it was changed after it was written")
    if record["key"] != key_of(record["key_parts"]):
        raise Damaged("its key is not that of its parts")
    return record


def _first_fault(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error) or type(error).__name__
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'record'}: {first['msg']}"


def verify_files(record: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Damaged unless the files {"notebook", "arrays"} are those that the record was written
    with."""
    for name, about in record["files"].items():
        file = files[name]
        if not file.is_file():
            raise Damaged(f"{file.name} is missing")
        if (size := file.stat().st_size) != about["bytes"]:
            raise Damaged(f"{file.name} has {size:,} bytes of {about['bytes']:,}")
        if checksum(file) != about["sha256"]:
            raise Damaged(f"{file.name} is not the file that was stored")
