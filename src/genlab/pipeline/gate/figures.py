"""The figures of a run, and how alike two pictures look.

Two runs of the same code with other seeds draw other points in the same places, and another machine
draws the same letters a little differently.  So pictures are compared as small grey blurred
thumbnails by their structural similarity (Wang et al. 2004): 1 for the same picture, near 0 for
unrelated ones.
"""

import base64
import io
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image, ImageFilter
from skimage.metrics import structural_similarity

WIDTH = 240  # pixels of a thumbnail
BLUR = 1.5  # pixels: about the stroke of a letter at that width


def figures(notebook: Path) -> dict[str, bytes]:
    """{"figure_01": PNG bytes} of the static figures of an executed notebook, in the order of the
    page."""
    cells = nbformat.read(notebook, as_version=4).cells
    shown = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    found = [base64.b64decode(data["image/png"]) for data in shown if data.get("image/png")]
    return {f"figure_{i:02d}": png for i, png in enumerate(found, start=1)}


def thumbnail(png: bytes) -> Image.Image:
    """A picture on white, grey, WIDTH pixels wide, blurred."""
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    paper = Image.new("RGBA", picture.size, "white")
    grey = Image.alpha_composite(paper, picture).convert("L")
    height = max(round(grey.height * WIDTH / grey.width), 16)
    return grey.resize((WIDTH, height), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(BLUR))


def similarity(a: Image.Image, b: Image.Image) -> float:
    """Mean structural similarity of two thumbnails; the second is brought to the first's size, a
    few pixels of trim."""
    x, y = (np.asarray(image.resize(a.size), dtype=float) for image in (a, b))
    shape = min(abs(a.height / b.height - 1), 1.0)  # another aspect is another picture
    return float(structural_similarity(x, y, data_range=255.0)) * (1 - shape)


def ink(image: Image.Image) -> float:
    """Mean darkness of a thumbnail, 0 for blank paper: an empty plot has the same axes but less of
    it."""
    return float(1 - np.asarray(image, dtype=float).mean() / 255.0)
