"""Faults: one line of a file of genlab, changed as a tired programmer would, in a copy of it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fault:
    """One line of a file of genlab, and the experiment or the section that uses it."""

    name: str
    used_by: str
    file: str
    right: str
    wrong: str


def text_of(fault: Fault, source: Path) -> tuple[Path, str]:
    """The fault's file below `source` (a copy of src/) and what is in it, the right line once."""
    file = source / "genlab" / fault.file
    text = file.read_text()
    assert text.count(fault.right) == 1, f"{fault.file} holds {fault.right!r} not once"
    return file, text


def plant(fault: Fault, source: Path) -> None:
    """Change the line in that copy."""
    file, text = text_of(fault, source)
    file.write_text(text.replace(fault.right, fault.wrong))
