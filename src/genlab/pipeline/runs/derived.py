"""What follows from sources alone is worked out once, and kept in _build until they change."""

import hashlib
import json
import platform
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from genlab.pipeline.runs.disk import write_all
from genlab.section.paths import BUILD, PACKAGE

FOLDER = BUILD / "derived"


def derived(name: str, sources: Iterable[str], make: Callable[[], Any]) -> Any:
    """make(), which is JSON; or what it was before, if `sources`, genlab and Python are as they
    were.  The name is that of the file that keeps it, below _build."""
    digest = hashlib.sha256(f"{platform.python_version()}\0{text_of(PACKAGE)}".encode())
    for source in sources:
        digest.update(b"\0" + source.encode("utf-8", "surrogatepass"))
    of, path = digest.hexdigest(), FOLDER / f"{name}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):  # not there, or no longer whole
        kept = json.loads(path.read_bytes())
        if kept["of"] == of:
            return kept["value"]
    value = make()
    with suppress(OSError):  # next time, then
        write_all({path: json.dumps({"of": of, "value": value}).encode()})
    return value


@cache
def text_of(package: Path) -> str:
    """A digest of the sources of a package, which nobody changes while they run."""
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        found.update(f"{path.relative_to(package).as_posix()}\0{len(content)}\0".encode() + content)
    return found.hexdigest()
