"""Figures of several panels side by side: where a narrow screen may cut the picture, so that the
panels stand below each other and their letters can be read; and the size of sharp pictures."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from docutils import nodes
from PIL import Image

SHARP = 192  # dots per inch that a picture with two for each pixel of a plain screen says it has
FITS = 560  # pixels of a plain screen: a figure that is no wider can be read on a telephone
ALIKE = 8  # steps of grey: as blank as the edge of the picture
WIDE_GAP = 0.5  # of the widest gap
MUCH = 0.75  # of the picture: a part that is wider gains nothing


def setup(app: Any) -> None:
    """Look at the pictures of every page that is read."""
    app.connect("doctree-read", prepare)


def prepare(app: Any, doctree: nodes.document) -> None:
    """Give each PNG the width that it has on a plain screen, and say where it may be cut."""
    for image in list(doctree.findall(nodes.image)):
        path = Path(app.srcdir, image["uri"].lstrip("/"))
        path = path if path.is_file() else Path(image["uri"])
        if path.suffix != ".png" or not path.is_file():
            continue
        with Image.open(path) as picture:
            width = picture.width
            if round(picture.info.get("dpi", (0,))[0]) == SHARP:
                width //= 2
                image["width"] = f"{width}px"
            cuts = gaps(np.asarray(picture.convert("L")), width)
        if cuts:
            told = json.dumps({"cuts": cuts})
            raw = f'<script type="application/json" class="genlab-cuts">{told}</script>'
            around = image.parent if isinstance(image.parent, nodes.figure) else image
            around.parent.insert(around.parent.index(around) + 1, nodes.raw("", raw, format="html"))


def gaps(grey: np.ndarray, width: int) -> list[float]:
    """Where a picture (height, width) in grey may be cut: the middles of blank columns, as shares
    of its width; none if no cut makes it much narrower.  Of all ways to cut it into as few parts
    as fit, or one more, the one with the narrowest widest part."""
    if width <= FITS:
        return []
    blank = np.abs(grey.astype(int) - int(grey[0, 0])).max(axis=0) < ALIKE
    edges = np.flatnonzero(np.diff(np.r_[False, blank, False].astype(int))).reshape(-1, 2)
    inner = edges[(edges[:, 0] > 0) & (edges[:, 1] < len(blank))]
    lengths = np.diff(inner, axis=1).ravel()
    # what parts panels is wider than what parts a panel from its labels
    inner = inner[lengths >= WIDE_GAP * lengths.max(initial=0)]
    middles = inner[np.linspace(0, len(inner) - 1, min(len(inner), 12)).round().astype(int)].mean(1)
    parts = -(-width // FITS)
    best: tuple[float, tuple] = (MUCH, ())
    for cuts in (c for k in (parts, parts + 1) for c in combinations(middles / len(blank), k - 1)):
        widths = np.diff([0, *cuts, 1])
        # a part more must be worth it, and labels alone are no part
        if widths.max() < best[0] - 0.02 and widths.min() > widths.max() / 2:
            best = widths.max(), cuts
    return [round(float(cut), 4) for cut in best[1]]
