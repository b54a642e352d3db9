"""What a reader of syntax trees cannot follow is refused, and the library has none of it."""

import ast

import pytest

from genlab.section import code
from genlab.section.paths import PACKAGE
from genlab.section.syntax import unfollowable


@pytest.mark.parametrize(
    "source",
    [
        "from . import x",
        "from genlab.tools import *",
        "from genlab import tools\ngetattr(tools, 'x')",
        "from genlab import tools\nvars(tools)",
        "globals()['x']",
        "exec('x')",
        "eval('x')",
        "import importlib\nimportlib.import_module('genlab.tools')",
        "from genlab import tools\ntools.__dict__['x']",
    ],
)
def test_what_cannot_be_followed_is_refused(source):
    assert unfollowable(ast.parse(source))


def test_the_library_can_be_followed():
    """Nothing in it hides a reference, and no package gives a submodule's name to another thing."""
    found = {p: unfollowable(ast.parse(p.read_text("utf-8"))) for p in PACKAGE.rglob("*.py")}
    assert unfollowable(ast.parse("getattr(object(), 'x')")) == []
    results = {p: said for p, said in found.items() if "pipeline" not in p.parts}
    assert {p: said for p, said in results.items() if said} == {}
    library = code.library(PACKAGE)
    for face in PACKAGE.rglob("__init__.py"):
        name = ".".join(face.relative_to(PACKAGE.parent).parent.parts)
        below = {p.stem for p in face.parent.iterdir()} - {"__init__", "__pycache__"}
        taken = {
            n: full
            for n, full in library.module(name).bindings.items()
            if n in below and full != {f"{name}.{n}"}
        }
        assert taken == {}, "such a name is a module to one importer and something else to another"
