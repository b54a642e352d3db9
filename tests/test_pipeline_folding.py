"""What of a page's code is shown: the method, not what records it."""

import ast

import nbformat
import pytest

from genlab.pipeline.runs.pages import get_section, section_names
from genlab.pipeline.views.folding import RECORDING, fold


def folded(*sources, **about):
    """(source, tags) of cells after folding; `about`: metadata of the last."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[-1].metadata.update(about)
    fold(cells)
    return [(cell.source, cell.metadata.get("tags", [])) for cell in cells]


def only(source, **about):
    ((shown, tags),) = folded(source, **about)
    return shown, tags


def test_what_records_is_left_out_and_the_method_stays():
    source = "x = f()\nsection.metric('a', x)\n# kept for later\nsection.save(x=x)\ny = g(x)"
    assert only(source) == ("x = f()\ny = g(x)", [])
    assert only("x = section.needed('a')") == ("x = section.needed('a')", [])


def test_a_cell_that_only_records_is_left_out_whole():
    source = (
        "for name, x in found.items():\n    about = {'n': 1}\n    section.metric(name, x, **about)"
    )
    assert only(source) == (source, ["remove-input"])


def test_a_loop_that_lends_its_names_stays():
    loop = "for x in found:\n    y = f(x)\n    section.metric('a', y)"
    (shown, tags), _ = folded(loop, "print(y)")
    assert (shown, tags) == ("for x in found:\n    y = f(x)", [])
    # ... and one that fills what is used elsewhere does, too
    filling = "for x in found:\n    kept[x] = f(x)\n    section.metric('a', kept[x])"
    assert only(filling) == ("for x in found:\n    kept[x] = f(x)", [])


def test_a_function_that_only_records_goes_with_its_calls():
    function = 'def record(x):\n    """Record it."""\n    z = x / 2\n    section.metric("a", z)'
    (first, tags), (second, none) = folded(function, "y = f()\nrecord(y)")
    assert tags == ["remove-input"] and first == function
    assert (second, none) == ("y = f()", [])
    gives = 'def record(x):\n    section.metric("a", x)\n    return x'
    assert folded(gives, "y = record(1)")[1] == ("y = record(1)", [])


@pytest.mark.parametrize(
    ("source", "about", "tag"),
    [
        ("section.show(f)", {}, "remove-input"),
        ("import jax\nx = 1", {}, "hide-input"),
        ("seed = 0", {"tags": ["parameters"]}, "hide-input"),
        ("plt.plot(x)", {"mystnb": {"image": {"alt": "x"}}}, "hide-input"),
        ("def draw(ax, t):\n    ...\n\n\nplots.animation(draw, 9)", {}, "hide-input"),
        ("print(x)", {"tags": ["nbval-check-output"]}, "hide-cell"),
    ],
)
def test_what_is_one_click_away(source, about, tag):
    assert only(source, **about)[1][-1] == tag


@pytest.mark.parametrize("name", section_names())
def test_the_pages_of_the_book(name):
    """All that is shown is Python, none of it records, and there is something to see."""
    cells = [c for c in get_section(name).notebook.cells if c.cell_type == "code"]
    cells = [nbformat.from_dict(c) for c in cells]
    whole = sum(len(c.source.splitlines()) for c in cells)
    fold(cells)
    tags = ("hide-input", "hide-cell", "remove-input")
    seen = [c.source for c in cells if not set(tags) & set(c.metadata.get("tags", []))]
    for source in seen:
        ast.parse(source)
        assert not any(f"section.{word}(" in source for word in RECORDING), source
    assert len(seen) > 3 and sum(len(s.splitlines()) for s in seen) < 0.6 * whole
