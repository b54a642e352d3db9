"""What really executes: every function of genlab that a process runs, noted in a file.

Put `folder(...)` on PYTHONPATH: Python imports its `sitecustomize` first of all, which has every
function and lambda of the package say in its first line that it runs (a tracer of the interpreter
would see the same and cost a third of the time).  A page's key is sound if all of them belong to
definitions that the key covers.
"""

from pathlib import Path

from genlab.section.code import Library, Reached
from genlab.section.syntax import Ref, defined, statements

TRACER = """
import ast, builtins, sys
from importlib.machinery import PathFinder, SourceFileLoader

PACKAGE, NOTES, SEEN = {package!r}, {notes!r}, set()

def note(file, line, name):
    if (file, line, name) in SEEN:
        return
    SEEN.add((file, line, name))
    above = sys._getframe(2).f_code.co_name
    with open(NOTES, "a", encoding="utf-8") as notes:
        notes.write(f"{{file}}\\t{{line}}\\t{{name}}\\t{{above}}\\n")

class Noting(ast.NodeTransformer):
    def __init__(self, file):
        self.file = file

    def call(self, node, name):
        given = [ast.Constant(x) for x in (self.file, node.lineno, name)]
        return ast.Call(ast.Name("__note__", ast.Load()), given, [])

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        after_docstring = ast.get_docstring(node, clean=False) is not None
        node.body.insert(after_docstring, ast.Expr(self.call(node, node.name)))
        return node

    def visit_Lambda(self, node):
        self.generic_visit(node)
        pair = ast.Tuple([self.call(node, "<lambda>"), node.body], ast.Load())
        node.body = ast.Subscript(pair, ast.Constant(1), ast.Load())
        return node

class Loader(SourceFileLoader):
    def get_code(self, module):  # never what was compiled before
        file = self.get_filename(module)
        tree = Noting(file).visit(ast.parse(self.get_data(file)))
        return compile(ast.fix_missing_locations(tree), file, "exec")

class Finder:
    @staticmethod
    def find_spec(module, path=None, target=None):
        spec = PathFinder.find_spec(module, path) if module.split(".")[0] == PACKAGE else None
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec

builtins.__note__ = note
sys.meta_path.insert(0, Finder)
"""


def folder(where: Path, package: Path, notes: Path) -> Path:
    """A folder for PYTHONPATH whose tracer of `package` writes to `notes`."""
    where.mkdir(parents=True, exist_ok=True)
    (where / "sitecustomize.py").write_text(
        TRACER.format(package=package.name, notes=str(notes)), "utf-8"
    )
    return where


def executed(notes: Path, library: Library) -> set[Ref]:
    """The definitions whose code was executed, by the notes of a tracer; without the pipeline."""
    found = set()
    for line in notes.read_text().splitlines():
        file, first, name, above = line.split("\t")
        parts = Path(file).relative_to(library.folder.parent).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        if library.opaque(module) or (above == "<module>" and name.startswith("<")):
            continue  # a lambda in a constant: part of the constant
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
