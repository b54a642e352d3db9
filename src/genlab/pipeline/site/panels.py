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
A_LABEL = 14  # pixels of a plain screen: the label of an axis is no wider
A_ROW = 0.15  # of the height: what is lower between two blank lines holds no panels


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
            paper = "#" + bytes(picture.crop((0, 0, 1, 1)).convert("RGB").getpixel((0, 0))).hex()
        cuts = gaps(ink, width)
        if cuts:
            share, rows = names_of_rows(ink, width, cuts)
            told = json.dumps({"cuts": cuts, "names": share, "rows": rows, "paper": paper})
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
    wide = inner[lengths >= WIDE_GAP * lengths.max(initial=0)]
    middles = wide[np.linspace(0, len(wide) - 1, min(len(wide), 12)).round().astype(int)].mean(1)
    parts = -(-width // FITS)
    best: tuple[float, tuple] = (MUCH, ())
    for cuts in (c for k in (parts, parts + 1) for c in combinations(middles / len(blank), k - 1)):
        widths = np.diff([0, *cuts, 1])
        # a part more must be worth it, and labels alone are no part
        if widths.max() < best[0] - 0.02 and widths.min() > widths.max() / 2:
            best = widths.max(), cuts
    places = (before_label(inner, cut * len(blank), len(blank) / width) for cut in best[1])
    return [round(place / len(blank), 4) for place in places]


def before_label(gaps: np.ndarray, cut: float, scale: float) -> float:
    """The cut, or the middle of the gap before it, if that is as wide and nothing but the label of
    an axis lies between them, which belongs to the panel behind it."""
    i = int(np.argmin(np.abs(gaps.mean(axis=1) - cut)))
    (before, at), between = np.diff(gaps[[i - 1, i]], axis=1).ravel(), gaps[i, 0] - gaps[i - 1, 1]
    is_label = 0 < between <= A_LABEL * scale and before >= at
    return float(gaps[i - 1].mean() if is_label else cut)


def names_of_rows(
    ink: np.ndarray, width: int, cuts: list[float]
) -> tuple[float, list[list[float]]]:
    """`names` of a picture, and (top, bottom), as shares of its height, where they stand: all of
    it, or the rows of panels that have names at the first part only."""
    if share := names(ink, width, cuts):
        return share, [[0.0, 1.0]]
    height = len(ink)
    bands = [band for band in _stretches(ink.any(axis=1)) if np.ptp(band) >= A_ROW * height]
    named = {(a, b): share for a, b in bands if (share := names(ink[a:b], width, cuts))}
    rows = [[round(float(edge) / height, 4) for edge in band] for band in named]
    return max(named.values(), default=0.0), rows


def names(ink: np.ndarray, width: int, cuts: list[float]) -> float:
    """The share of a picture's width that holds names of rows which stand at its first part only:
    its other parts, cut off, are panels with the same rows and no names.  0 if there are none."""
    scale, across = ink.shape[1] / width, ink.shape[1]
    starts, rows, named = [], [], []
    for left, right in pairwise(round(across * cut) for cut in (0, *cuts, 1)):
        part = ink[:, left:right]
        wide = [a for a, b in _stretches(part.any(axis=0)) if b - a >= A_PANEL * (right - left)]
        if not wide:
            return 0.0
        # ticks, and numbers of the axis below, reach out of the panel: its edge is a tall line
        tall = wide[0] + np.flatnonzero(part[:, wide[0] :].mean(axis=0) >= A_LINE)
        starts.append(int(tall[0] if len(tall) else wide[0]))
        rows.append(part[:, starts[-1] :].any(axis=1))
        beside = part[:, : max(starts[-1] - round(2 * TICKS * scale), 0)]
        named.append(bool(starts[-1] > NO_NAME * scale and beside.any()))
    alike = [np.mean(rows[0] == other) >= SAME_ROWS for other in rows[1:]]
    if not named[0] or any(named[1:]) or not all(alike):
        return 0.0
    return round((starts[0] - TICKS * scale) / across, 4)
