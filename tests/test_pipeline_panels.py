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
    assert panels.gaps(grey, width) == pytest.approx(cuts, abs=0.01)


def test_nothing_is_cut_through():
    assert panels.gaps(drawn(1100, gaps=(550,), across=True), 1100) == []
    assert panels.gaps(drawn(1100, gaps=()), 1100) == []
    assert panels.gaps(drawn(1100, gaps=(200,)), 1100) == []  # the larger part is hardly narrower


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
    assert "width" not in plain and cuts == [{"cuts": [0.5]}]
