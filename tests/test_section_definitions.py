"""Digests of definitions: the same on every Python, and known by where a definition stands."""

from genlab.section import code
from genlab.section.syntax import Ref

CANNED = '''
import numpy as np
from functools import partial
X: int = 0x10
Y = -1.5e-3, 1j, b"\\x00\\xff", ..., None, True, "é"
@partial(np.vectorize, otypes=[float])
def f(a, /, b: "int" = 1, *c, d=2, **e) -> None:
    """Doc."""
    global X
    with open("f") as g, open("h"):
        pass
    try:
        assert a, f"{a!r:>{b}} and {b:.2f}" "tail" f"{{}}"
    except* ValueError as x:
        raise KeyError from x
    match a:
        case {"k": [1, *r], **s} if r:
            return lambda *p, q=1: (yield)
        case None | str():
            del a[1:2, ::3]
    return [i async for i in a if (w := i)], {**e}, {*c}, not a < b <= 3, a if b else c
async def g():
    async for i in f(1): await i
class C(dict, metaclass=type):
    """Doc."""
    z = 1
    def m(self): return super().m()
'''


def test_digests_are_equal_on_every_python_that_is_promised(tmp_path):
    """Computed on 3.11.2, 3.11.7, 3.12.1 and 3.13.0; here on one of them."""
    (tmp_path / "genlab").mkdir()
    (tmp_path / "genlab" / "__init__.py").write_text("")
    (tmp_path / "genlab" / "all.py").write_text(CANNED)
    library = code.Library(tmp_path / "genlab")
    found = {n: library.digest(code.Ref("genlab.all", n)) for n in ("X", "Y", "f", "g", "C")}
    assert found == {
        "X": "8f513c6d4dfaa440",
        "Y": "067d34eb421acf6e",
        "f": "320c3a7031318da2",
        "g": "89e69075b74c04f9",
        "C": "8af3169b67725758",
    }


def test_a_definition_is_named_by_its_file(tmp_path):
    folder = tmp_path / "genlab"
    (folder / "room").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "room" / "__init__.py").write_text("A, B = 1, 2\nif A:\n    def late(): return B\n")
    (folder / "room" / "desk.py").write_text("from genlab.room import B\n\ndef pen(): return B\n")
    library = code.Library(folder)
    assert library.label(Ref("genlab.room.desk", "pen")) == "room/desk.py: pen"
    assert library.label(Ref("genlab.room", "A")) == "room/__init__.py: A"
    assert library.resolve("genlab.room.desk.B") == [(Ref("genlab.room", "B"), [])]
    assert library.resolve("genlab.room.late", ["x"]) == [(Ref("genlab.room", "late"), ["x"])]
    assert library.resolve("genlab.room.nothing") == [(Ref("genlab.room"), ["nothing"])]
    assert library.resolve("numpy.linalg", ["norm"]) == [("numpy.linalg.norm", [])]
    assert library.digest(Ref("genlab.room", "A")) != library.digest(Ref("genlab.room", "B"))
    assert library.loaded(["genlab.room.desk.pen"]) == ["genlab", "genlab.room", "genlab.room.desk"]


def test_the_source_of_a_definition_has_no_docstring(tmp_path):
    folder = tmp_path / "genlab"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        'import functools\n\n\n@functools.cache\ndef f(x):\n    """What.\n\n    More.\n    """\n'
        "    # why\n    return x\n\n\nLIMIT = 3  # units\n"
    )
    library = code.Library(folder)
    source = library.source(Ref("genlab", "f"))
    assert source == "@functools.cache\ndef f(x):\n    # why\n    return x"
    assert library.source(Ref("genlab", "LIMIT")) == "LIMIT = 3  # units"
