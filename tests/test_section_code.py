"""The key of code: what moves a digest and what does not, on a small package for each case."""

import ast
import textwrap

import pytest

from genlab.section import code

FILES = {
    "__init__.py": "",
    "tools.py": """
        import math
        from numpy import linalg as la

        LIMIT = 3
        PAIR, OTHER = 1, 2

        def helper(x, *, by=LIMIT):
            return la.norm(x) * by

        def other(x):
            return math.sqrt(x) + OTHER

        def even(n):
            return n == 0 or odd(n - 1)

        def odd(n):
            return n != 0 and even(n - 1)
        """,
    "model.py": '''
        """A model."""

        import genlab.tools
        from genlab.tools import helper

        class Model:
            """What it is."""

            def fit(self, x):
                """Fit."""
                return helper(x)

        def train(x, tools=None):
            # a local named like a module is the local
            tools = [x for x in range(3)]
            return Model().fit(x), tools

        def place():
            return __name__
        ''',
    "effects.py": """
        from genlab import tools

        TABLE = {}
        TABLE.update(a=tools.LIMIT)

        def unused():
            return 1
        """,
}
CELLS = ["from genlab.model import train", "y = train([1.0, 2.0])"]


class Small:
    """A package called genlab in a folder of its own, and the digest of a page on it."""

    def __init__(self, folder):
        self.folder = folder / "genlab"
        self.folder.mkdir()
        for name, text in FILES.items():
            (self.folder / name).write_text(textwrap.dedent(text))

    def edit(self, file, old, new):
        path = self.folder / file
        text = path.read_text()
        assert old in text, (old, text)
        path.write_text(text.replace(old, new))

    def page(self, *cells):
        return code.page(code.Library(self.folder), [ast.parse(c) for c in cells or CELLS])


@pytest.fixture
def small(tmp_path):
    return Small(tmp_path)


SAME = {
    "a comment": ("tools.py", "return la.norm(x) * by", "return la.norm(x) * by  # why"),
    "layout": (
        "tools.py",
        "return la.norm(x) * by",
        "return (\n        la.norm(x)\n        * by\n    )",
    ),
    "the docstring of a module": ("model.py", "A model.", "Another model."),
    "the docstring of a class": ("model.py", "What it is.", "What it was."),
    "the docstring of a method": ("model.py", '"""Fit."""', '"""Fit it."""'),
    "a definition that nothing reaches": ("tools.py", "+ OTHER", "- OTHER"),
    "a new definition": ("tools.py", "LIMIT = 3", "LIMIT = 3\nNEW = 4"),
    "the spelling of an import": (
        "tools.py",
        "from numpy import linalg as la",
        "import numpy.linalg as la",
    ),
    "an alias": ("tools.py", "la", "al"),
    "brackets": ("tools.py", "return math.sqrt(x) + OTHER", "return (math.sqrt(x) + OTHER)"),
}
MOVED = {
    "what it does": ("tools.py", "la.norm(x) * by", "la.norm(x) + by"),
    "a constant that it reaches": ("tools.py", "LIMIT = 3", "LIMIT = 4"),
    "the type of a constant": ("tools.py", "LIMIT = 3", "LIMIT = 3.0"),
    "a default": ("tools.py", "by=LIMIT", "by=5"),
    "a decorator": ("tools.py", "def helper", "@staticmethod\ndef helper"),
    "what an alias stands for": ("tools.py", "numpy import linalg", "scipy import linalg"),
    "a method of a class that it reaches": ("model.py", "helper(x)", "helper(x) + 1"),
    "the name of an argument": ("tools.py", "by", "times"),
}


@pytest.mark.parametrize("what", SAME)
def test_what_changes_no_result_moves_no_digest(small, what):
    before = small.page().digest
    small.edit(*SAME[what])
    assert small.page().digest == before


@pytest.mark.parametrize("what", MOVED)
def test_what_may_change_a_result_moves_the_digest(small, what):
    before = small.page().digest
    small.edit(*MOVED[what])
    assert small.page().digest != before


def test_moving_and_renaming_a_helper_is_free(small):
    before = small.page().digest
    helper = "def helper(x, *, by=LIMIT):\n    return la.norm(x) * by\n"
    small.edit("tools.py", helper, "")
    (small.folder / "norms.py").write_text(
        "from numpy import linalg\nfrom genlab.tools import LIMIT as AT_MOST\n\n"
        "def scaled_norm(x, *, by=AT_MOST):\n    return linalg.norm(x) * by\n"
    )
    small.edit("model.py", "from genlab.tools import helper", "from genlab import norms")
    small.edit("model.py", "return helper(x)", "return norms.scaled_norm(x)")
    assert small.page().digest == before
    small.edit("model.py", "norms.scaled_norm(x)", "norms.linalg.norm(x)")  # the wrong twin
    assert small.page().digest != before


def test_moving_and_renaming_a_module_is_free(small):
    before = small.page().digest
    (small.folder / "tools.py").rename(small.folder / "instruments.py")
    for file in ("model.py", "effects.py"):
        text = (small.folder / file).read_text()
        (small.folder / file).write_text(
            text.replace("genlab.tools", "genlab.instruments").replace(
                "import tools", "import instruments as tools"
            )
        )
    assert small.page().digest == before


def test_a_face_of_a_package_is_followed(small):
    before = small.page().digest
    (small.folder / "__init__.py").write_text("from genlab.model import train\n")
    assert small.page("import genlab", "y = genlab.train([1.0, 2.0])").digest == before
    assert small.page("from genlab import train as t", "y = t([1.0, 2.0])").digest == before


def test_cells_count_by_what_they_do(small):
    before = small.page()
    assert small.page(CELLS[0], "y = train([1.0,   2.0])  # a comment").digest == before.digest
    assert small.page("import genlab.model as m", "y = m.train([1.0, 2.0])").digest == before.digest
    assert small.page(CELLS[0], "import numpy", CELLS[1]).digest == before.digest
    assert small.page(CELLS[0], "y = train([1.0, 3.0])").digest != before.digest
    assert small.page(CELLS[0], CELLS[1], CELLS[1]).digest != before.digest


def test_what_a_module_does_when_it_is_imported_counts_for_whoever_loads_it(small):
    cells = ["from genlab.effects import unused", "x = 1"]
    before = small.page(*cells).digest
    small.edit("tools.py", "LIMIT = 3", "LIMIT = 4")
    assert small.page(*cells).digest != before
    small.edit("tools.py", "LIMIT = 4", "LIMIT = 3")
    small.edit("effects.py", "return 1", "return 2")  # reached by nobody
    assert small.page(*cells).digest == before
    small.edit("effects.py", "a=tools", "b=tools")
    assert small.page(*cells).digest != before


def test_functions_that_call_each_other_have_digests_that_know_of_each_other(small):
    library = code.Library(small.folder)
    even, odd = (library.digest(code.Ref("genlab.tools", n)) for n in ("even", "odd"))
    other_way = code.Library(small.folder)
    assert other_way.digest(code.Ref("genlab.tools", "odd")) == odd != even
    small.edit("tools.py", "n != 0 and", "n == 1 or")
    changed = code.Library(small.folder)
    assert changed.digest(code.Ref("genlab.tools", "even")) != even


def test_a_definition_that_knows_its_place_moves_with_it(small):
    before = small.page("from genlab.model import place", "place()").digest
    (small.folder / "model.py").rename(small.folder / "models.py")
    assert small.page("from genlab.models import place", "place()").digest != before


def test_a_module_as_a_value_counts_whole(small):
    cells = ["from genlab import tools", "f = tools"]
    before = small.page(*cells).digest
    small.edit("tools.py", "+ OTHER", "- OTHER")
    assert small.page(*cells).digest != before


def test_a_variable_with_the_name_of_a_module_is_not_the_module(small):
    cells = ["from genlab import tools", "tools = [1]", "n = tools.count(1)"]
    before = small.page(*cells).digest
    small.edit("tools.py", "+ OTHER", "- OTHER")
    assert small.page(*cells).digest == before
    assert small.page(cells[0], "tools += [1]").digest != small.page("tools += [1]").digest
    library = code.Library(small.folder)
    reached = library.reach([code.Ref("genlab.model", "train")])
    assert code.Ref("genlab.tools", "other") not in reached


def test_packages_are_those_of_what_is_reached(small):
    assert small.page().packages == {"numpy"}
    small.edit("tools.py", "return math.sqrt(x)", "import scipy\n    return scipy.sqrt(x)")
    assert small.page().packages == {"numpy"}
    assert small.page("from genlab.tools import other", "other(2)").packages == {"scipy"}
    assert "torch" in small.page("import torch", "x = 1").packages
