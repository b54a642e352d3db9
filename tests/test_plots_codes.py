"""The map of codes: every point and picture is in it, nothing else, and what it
cannot show is said."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from genlab import plots
from genlab.plots import codes

NAMES = ("shirt", "<boot>")


@pytest.fixture
def about(rng):
    labels = np.arange(7) % 2
    pictures = np.zeros((7, 28, 28))
    pictures[np.arange(7), np.arange(7), 3] = 1  # picture i has its only ink in row i
    return {"t-SNE": rng.normal(size=(7, 2)), "PCA": rng.normal(size=(7, 2))}, pictures, labels


def test_a_hover_map_holds_every_point_and_its_picture(about):
    maps, pictures, labels = about
    page = codes.hover_map(maps, pictures, labels, NAMES, alt="seven <codes>").data
    data = json.loads(
        re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL).group(1)
    )
    assert data["labels"] == labels.tolist() and data["classes"] == list(NAMES)
    for points, (x, y) in zip(maps.values(), (np.array(m).T for m in data["maps"]), strict=True):
        assert np.array_equal(np.argsort(x), np.argsort(points[:, 0])) and np.array_equal(
            np.argsort(y), np.argsort(-points[:, 1])
        )
        assert min(x.min(), y.min()) >= 0 and max(x.max(), y.max()) <= codes.SIDE
    sprite = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["sprite"]))).convert("L"))
    for i in range(7):
        row, column = divmod(i, data["columns"])
        tile = sprite[28 * row : 28 * row + 28, 28 * column : 28 * column + 28]
        assert np.unravel_index(tile.argmin(), tile.shape) == (i, 3)
    assert page.count("<circle") == 7 and page.count("<button") == 2
    assert "seven &lt;codes&gt;" in page and "&lt;boot&gt;" in page and "<boot>" not in page
    assert "prefers-reduced-motion" in page and "ArrowRight" in page


def test_what_a_map_cannot_show_is_said(about, rng):
    maps, pictures, labels = about
    with pytest.raises(ValueError, match=r"7 images, 6 labels"):
        codes.hover_map(maps, pictures, labels[:6], NAMES, alt="x")
    with pytest.raises(ValueError, match=r"maps of \[7, 6\] points"):
        codes.hover_map(maps | {"PCA": maps["PCA"][:6]}, pictures, labels, NAMES, alt="x")
    with pytest.raises(ValueError, match="alt=' '"):
        codes.hover_map(maps, pictures, labels, NAMES, alt=" ")
    n = 4000
    with pytest.raises(ValueError, match="at most 350: show fewer"):
        codes.hover_map(
            {"a": rng.normal(size=(n, 2))},
            rng.random((n, 28, 28)),
            np.zeros(n, int),
            NAMES,
            alt="x",
        )


def test_classes_are_named_at_their_median(about, rng):
    _, axes = plots.panels(1)
    points, labels = rng.normal(size=(50, 2)), np.arange(50) % 2
    ax = codes.by_class(axes[0], points, labels, NAMES)
    assert [t.get_text() for t in ax.texts] == list(NAMES)
    np.testing.assert_allclose(ax.texts[0].get_position(), np.median(points[labels == 0], axis=0))
    assert len(set(codes.CLASSES)) == 10
