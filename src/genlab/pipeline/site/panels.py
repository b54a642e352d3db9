"""Figures of several panels side by side: where a narrow screen may cut the picture, so that the
panels stand below each other and their letters can be read; and the size of sharp pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from docutils import nodes
from PIL import Image

SHARP = 192  # dots per inch that a picture with two for each pixel of a plain screen says it has
FITS = 560  # pixels of a plain screen: a figure that is no wider can be read on a telephone
ALIKE = 8  # steps of grey: as blank as the edge of the picture


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
            cuts = gaps(np.asarray(picture.convert("L")), width) if width > FITS else []
        if cuts:
            told = json.dumps({"cuts": cuts})
            raw = f'<script type="application/json" class="genlab-cuts">{told}</script>'
            around = image.parent if isinstance(image.parent, nodes.figure) else image
            around.parent.insert(around.parent.index(around) + 1, nodes.raw("", raw, format="html"))


def gaps(grey: np.ndarray, width: int) -> list[float]:
    """Where a picture (height, width) in grey may be cut into as few parts as fit: the middles of
    blank columns, as shares of its width; none if a cut would go through something."""
    blank = np.abs(grey.astype(int) - int(grey[0, 0])).max(axis=0) < ALIKE
    edges = np.flatnonzero(np.diff(np.r_[False, blank, False].astype(int))).reshape(-1, 2)
    parts = -(-width // FITS)
    cuts = []
    for i in range(1, parts):
        near = [
            (end - start, (start + end) / 2 / len(blank))
            for start, end in edges
            if abs((start + end) / 2 / len(blank) - i / parts) < 0.3 / parts
        ]
        if not near:
            return []
        cuts.append(round(max(near)[1], 4))
    return cuts
