"""What really executes: every function of genlab that a process runs, noted in a file.

Put `folder(...)` on PYTHONPATH: Python imports its `sitecustomize` first of all, and a tracer then
writes down each code object of the package as it is first called.  A page's key is sound if all of
them belong to definitions that the key covers.
"""

from pathlib import Path

from genlab.section.code import Library, Reached
from genlab.section.syntax import Ref, defined, statements

TRACER = """
import sys, threading
SEEN, PACKAGE, NOTES = {{}}, {package!r}, {notes!r}

def note(frame, event, argument):
    code = frame.f_code
    if id(code) in SEEN:
        return
    SEEN[id(code)] = code  # held, so that no other code takes its id
    # A function: neither a module nor the body of a class.
    if code.co_filename.startswith(PACKAGE) and code.co_flags & 1:
        above = frame.f_back.f_code.co_name if frame.f_back else ""
        with open(NOTES, "a") as file:
            file.write(f"{{code.co_filename}}\\t{{code.co_firstlineno}}\\t{{code.co_name}}\\t{{above}}\\n")

sys.settrace(note)
threading.settrace(note)
"""


def folder(where: Path, package: Path, notes: Path) -> Path:
    """A folder for PYTHONPATH whose tracer writes to `notes`."""
    where.mkdir(parents=True, exist_ok=True)
    (where / "sitecustomize.py").write_text(TRACER.format(package=str(package), notes=str(notes)))
    return where


def executed(notes: Path, library: Library) -> set[Ref]:
    """The definitions whose code was executed, by the notes of a tracer; without the pipeline."""
    found = set()
    for line in notes.read_text().splitlines():
        file, first, name, above = line.split("\t")
        parts = Path(file).relative_to(library.folder.parent).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        if library.opaque(module) or (above == "<module>" and name.startswith("<")):
            continue  # a comprehension in a constant: part of the constant
        owner = definition_at(library, module, int(first))
        assert owner, f"{file}, line {first}: {name} belongs to no definition"
        found.add(owner)
    return found


def definition_at(library: Library, module: str, line: int) -> Ref | None:
    """The definition of a module that holds a line, its decorators included."""
    for node in statements(library.module(module).tree.body):
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        if first <= line <= node.end_lineno and (names := list(defined(node))):
            return Ref(module, names[0])
    return None


def unreached(notes: Path, library: Library, behind: Reached) -> list[str]:
    """Definitions that executed though the key does not cover them."""
    return sorted(library.label(r) for r in executed(notes, library) - behind.trail.keys())
