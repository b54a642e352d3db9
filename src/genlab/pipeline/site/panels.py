"""Figures of several panels side by side: where a narrow screen may cut the picture, so that the
panels stand below each other and their letters can be read; which names of rows stand at the first
panel only, and are repeated at the others; and the size of sharp pictures."""

import json
from itertools import combinations, pairwise
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
A_PANEL = 0.35  # of a part: what is wider is a panel, not a name
A_LINE = 0.3  # of the height: a column with more ink is the edge of a panel
NO_NAME = 20  # pixels of a plain screen: between the edge and a panel that has no names
TICKS = 4  # such pixels before a panel are its ticks', not its names'
SAME_ROWS = 0.95  # of the heights at which two panels with the same rows have ink, or none


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
            ink = has_ink(np.asarray(picture.convert("L")))
        cuts = gaps(ink, width)
        if cuts:
            told = json.dumps({"cuts": cuts, "names": names(ink, width, cuts)})
            raw = f'<script type="application/json" class="genlab-cuts">{told}</script>'
            around = image.parent if isinstance(image.parent, nodes.figure) else image
            around.parent.insert(around.parent.index(around) + 1, nodes.raw("", raw, format="html"))


def has_ink(grey: np.ndarray) -> np.ndarray:
    """Where a picture in grey differs from its edge."""
    return np.abs(grey.astype(int) - int(grey[0, 0])) >= ALIKE


def _stretches(marked: np.ndarray) -> np.ndarray:
    """(start, end) of each stretch of marked places."""
    return np.flatnonzero(np.diff(np.r_[False, marked, False].astype(int))).reshape(-1, 2)


def gaps(ink: np.ndarray, width: int) -> list[float]:
    """Where a picture (height, width) may be cut, from where it has ink: the middles of blank
    columns, as shares of its width; none if no cut makes it much narrower.  Of all ways to cut it
    into as few parts as fit, or one more, the one with the narrowest widest part.

    width: the picture's on a plain screen.
    """
    if width <= FITS:
        return []
    blank = ~ink.any(axis=0)
    edges = _stretches(blank)
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


def names(ink: np.ndarray, width: int, cuts: list[float]) -> float:
    """The share of a picture's width that holds names of rows which stand at its first part only:
    its other parts, cut off, are panels with the same rows and no names.  0 if there are none."""
    scale, across = ink.shape[1] / width, ink.shape[1]
    starts, rows = [], []
    for left, right in pairwise(round(across * cut) for cut in (0, *cuts, 1)):
        part = ink[:, left:right]
        wide = [a for a, b in _stretches(part.any(axis=0)) if b - a >= A_PANEL * (right - left)]
        if not wide:
            return 0.0
        # ticks, and numbers of the axis below, reach out of the panel: its edge is a tall line
        tall = wide[0] + np.flatnonzero(part[:, wide[0] :].mean(axis=0) >= A_LINE)
        starts.append(int(tall[0] if len(tall) else wide[0]))
        rows.append(part[:, starts[-1] :].any(axis=1))
    alike = [np.mean(rows[0] == other) >= SAME_ROWS for other in rows[1:]]
    if starts[0] <= NO_NAME * scale or max(starts[1:]) > NO_NAME * scale or not all(alike):
        return 0.0
    return round((starts[0] - TICKS * scale) / across, 4)
