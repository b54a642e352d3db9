"""The files under `data/`: what is in them, packed or not, once it is what `SHA256SUMS` says it is.

A file is named by its content (`mnist/train-images-idx3-ubyte`); it may lie there as it is, as
`.xz` or as `.gz`.  `SHA256SUMS` lists the checksum of the content under that name and that of the
packed file under its own.
"""

import gzip
import hashlib
import lzma
from collections.abc import Callable
from pathlib import Path

DATA = Path(__file__).resolve().parents[3] / "data"
UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
}


class DataError(Exception):
    """A data file is missing or not what it should be; the text says which, what was expected and
    found, and the remedy."""


def checksums(folder: Path = DATA) -> dict[str, str]:
    """{file: sha256} of `SHA256SUMS` in the folder, as `sha256sum` writes it.  DataError if it is
    missing or a line is no such line."""
    try:
        lines = (folder / "SHA256SUMS").read_text("utf-8").splitlines()
    except OSError:
        raise DataError(
            "data/SHA256SUMS is missing: restore it with `git checkout -- data`"
        ) from None
    found = {}
    for i, line in enumerate(lines, start=1):
        digest, _, name = line.partition(" ")
        if line.strip() and (len(digest) != 64 or not name.strip()):
            raise DataError(
                f"data/SHA256SUMS, line {i}, {line[:40]!r}: it must read `CHECKSUM  FILE`: "
                "restore it with `git checkout -- data`"
            )
        if line.strip():
            found[name.lstrip(" *").removeprefix("./")] = digest
    return found


def content_name(name: str) -> str:
    """The name of a file's content: without `.xz` or `.gz`."""
    return name.removesuffix(".xz").removesuffix(".gz")


def content_checksum(name: str, folder: Path = DATA) -> str:
    """The checksum of what is in the file of that name.  DataError if none is listed."""
    known = checksums(folder)
    if name not in known:
        raise DataError(f"data/{name} is not listed in data/SHA256SUMS: add its checksum")
    return known[name]


def stored(name: str, folder: Path = DATA) -> Path:
    """Where the file of that name lies, packed or not.  DataError if it does not."""
    for suffix in UNPACK:
        if (path := folder / f"{name}{suffix}").is_file():
            return path
    expected = content_checksum(name, folder)
    raise DataError(
        f"data/{name} is missing (expected SHA-256 {expected}): "
        f"restore it with `git checkout -- data/{name.split('/')[0]}`"
    )


def read(name: str, folder: Path = DATA) -> bytes:
    """What is in the file of that name.  DataError if it is missing, cannot be unpacked, or its
    SHA-256 is not the recorded one."""
    expected, path = content_checksum(name, folder), stored(name, folder)
    shown = f"data/{path.relative_to(folder).as_posix()}"
    remedy = f"restore it with `git checkout -- {shown}`"
    try:
        content = UNPACK[path.suffix if path.suffix in UNPACK else ""](path.read_bytes())
    except (OSError, EOFError, lzma.LZMAError, gzip.zlib.error) as error:
        raise DataError(f"{shown} cannot be read ({error}): {remedy}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DataError(f"{shown} is broken: expected SHA-256 {expected}, found {found}: {remedy}")
    return content
