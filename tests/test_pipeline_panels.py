"""Where a picture of several panels may be cut, and how wide a sharp one is shown."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from docutils import nodes
from docutils.utils import new_document
from PIL import Image

from genlab.pipeline.site import panels


def drawn(width=1200, height=200, gaps=(300, 600, 900), across=False):
    """A picture of panels as dark lines with a gap of 20 blank columns at each of `gaps`."""
    grey = np.full((height, width), 250, np.uint8)
    grey[height // 2, 10 : width - 10] = 30
    for gap in gaps:
        grey[:, gap - 10 : gap + 10] = 250
    if across:
        grey[5, 10 : width - 10] = 30  # a title over all panels
    return grey


@pytest.mark.parametrize(
    ("width", "gaps", "cuts"),
    [
        (1100, (1 / 2,), [1 / 2]),
        (1100, (0.07, 0.52), [0.52]),  # labels alone are no part
        (1200, (1 / 4, 1 / 2, 3 / 4), [1 / 4, 1 / 2, 3 / 4]),
        (1500, (1 / 3, 2 / 3), [1 / 3, 2 / 3]),
        (1150, (0.33, 0.55, 0.77), [0.33, 0.55, 0.77]),  # names on the left of the first panel
        (500, (1 / 2,), []),
    ],
)
def test_a_picture_is_cut_in_its_gaps_into_few_parts(width, gaps, cuts):
    grey = drawn(width, gaps=[round(width * gap) for gap in gaps])
    assert panels.gaps(panels.has_ink(grey), width) == pytest.approx(cuts, abs=0.01)


def test_nothing_is_cut_through():
    for gaps, across in (((550,), True), ((), False), ((200,), False)):
        # with one at 200 the larger part is hardly narrower
        grey = drawn(1100, gaps=gaps, across=across)
        assert panels.gaps(panels.has_ink(grey), 1100) == []


def test_the_label_of_an_axis_stays_with_its_panel():
    grey = drawn(1100, gaps=())
    for left, right in ((500, 530), (540, 560)):
        grey[:, left:right] = 250
    assert panels.gaps(panels.has_ink(grey), 1100) == [pytest.approx(515 / 1100, abs=1e-3)]
    wide = drawn(1100, gaps=())  # the twin: what lies between is no label
    for left, right in ((470, 500), (540, 560)):
        wide[:, left:right] = 250
    assert panels.gaps(panels.has_ink(wide), 1100) == [pytest.approx(550 / 1100, abs=1e-3)]


def rows_of(width, *, start, gap, lines, names=True, scale=1):
    """Two panels with lines at the heights `lines`, cut at `gap`; names of the rows at the left."""
    ink = np.zeros((200 * scale, width * scale), bool)
    for height in lines:
        ink[height * scale, start * scale : (gap - 5) * scale] = True
        ink[height * scale, (gap + 5) * scale : (width - 5) * scale] = True
        if names:
            ink[height * scale, 10 * scale : (start - 20) * scale] = True
    return ink


@pytest.mark.parametrize("scale", [1, 2])
def test_names_of_rows_at_the_first_panel_belong_to_the_others_too(scale):
    ink = rows_of(1100, start=150, gap=620, lines=(50, 100, 150), scale=scale)
    assert panels.names(ink, 1100, [620 / 1100]) == pytest.approx(146 / 1100, abs=1e-3)
    other = ink.copy()  # a second panel with rows of its own has nothing to do with these names
    other[:, 620 * scale :] = np.arange(200 * scale)[:, None] % 3 == 0
    assert panels.names(other, 1100, [620 / 1100]) == 0
    own = ink.copy()  # nor has one with names of its own
    own[:, 630 * scale : 660 * scale] = False
    own[50 * scale, 628 * scale : 640 * scale] = True
    assert panels.names(own, 1100, [620 / 1100]) == 0
    bare = rows_of(1100, start=10, gap=555, lines=(50,), names=False, scale=scale)
    assert panels.names(bare, 1100, [555 / 1100]) == 0


def test_names_may_stand_beside_one_row_of_panels():
    """Above, both panels have numbers of their own; below, the first has the names of both."""
    below = rows_of(1100, start=150, gap=620, lines=range(5, 195, 10))
    below[:, 625:700] = False  # room for the numbers above
    above = np.zeros_like(below)
    for left in (150, 700):
        above[:, left] = below[:, left] = True  # an axis
        above[20:180:20, left - 40 : left - 20] = above[20:180:20, left : left + 395] = True
    blank = np.zeros((20, 1100), bool)
    ink, cuts = np.vstack([above, blank, below]), [620 / 1100]
    assert panels.names(ink, 1100, cuts) == 0
    share, rows = panels.names_of_rows(ink, 1100, cuts)
    assert share == pytest.approx(146 / 1100, abs=1e-3)
    assert rows == [pytest.approx([220 / 420, 1.0], abs=1e-3)]
    whole = rows_of(1100, start=150, gap=620, lines=(50, 100, 150))
    assert panels.names_of_rows(whole, 1100, cuts)[1] == [[0.0, 1.0]]
    assert panels.names_of_rows(np.vstack([above, blank, above]), 1100, cuts) == (0.0, [])


def page_with(tmp_path, grey, **saved):
    Image.fromarray(grey).save(tmp_path / "a.png", **saved)
    doctree = new_document("page")
    figure = nodes.figure("", nodes.image(uri="a.png", alt="points"), nodes.caption("", "caption"))
    doctree += figure
    panels.prepare(SimpleNamespace(srcdir=tmp_path), doctree)
    (image,) = doctree.findall(nodes.image)
    return image, [
        json.loads(r.astext().split(">")[1].split("<")[0]) for r in doctree.findall(nodes.raw)
    ]


def test_a_sharp_picture_is_shown_half_as_wide(tmp_path):
    sharp, cuts = page_with(tmp_path, drawn(1000, gaps=(500,)), dpi=(192, 192))
    assert sharp["width"] == "500px" and cuts == []
    plain, cuts = page_with(tmp_path, drawn(1000, gaps=(500,)), dpi=(110, 110))
    assert "width" not in plain and cuts == [
        {"cuts": [0.5], "names": 0, "rows": [], "paper": "#fafafa"}
    ]
