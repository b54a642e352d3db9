"""How five pages look, small: as they are kept in tests/browser, and how alike two looks are.

.venv/bin/python tests/looks.py     keeps them anew, after a change of looks that was meant
"""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import browsing
import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity

from genlab.section.paths import ROOT

KEPT = ROOT / "tests" / "browser"
FONTS = KEPT / "fonts.json"
PAGES = (
    "book/intro",
    "notebooks/dsm",
    "notebooks/transport",
    "book/scoreboard",
    "book/how_to_read",
)
VIEWS = {
    "wide": {"viewport": {"width": 1280, "height": 1600}, "color_scheme": "light"},
    "narrow": {"viewport": {"width": 400, "height": 1600}, "color_scheme": "dark"},
}
SMALL = {1280: 160, 400: 100}  # pixels across: lines of text are grey bands, a figure is a patch
TILE = 10  # small pixels
SHIFT = 64  # pixels of the page: two lines more or less are the same look
WORST = 0.05  # of all tiles are not looked at

# Measured on the ten looks.  Alike: the same page twice 1.00, every digit another 0.85, a sentence
# more 0.64 in the worst case.  Not alike: a picture that is not shown 0.59 in the best case, one
# that is gone with its place 0.39, without genlab.css 0.41, in the other mode 0.13.
ALIKE = 0.62


@contextmanager
def shown(browser: Any, book: Path, name: str, view: str, **how: Any) -> Iterator[Any]:
    """A page as a look is taken of it: at rest."""
    path, how = book / f"{name}.html", VIEWS[view] | {"reduced_motion": "reduce"} | how
    with browsing.opened(browser, path, **how) as (page, _):
        yield page


def look(page: Any) -> Image.Image:
    """The first screens of a page, small."""
    page.wait_for_function(
        "[...document.images].every((i) => i.complete || i.getBoundingClientRect().top > 1600)"
    )
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    across = SMALL[image.width]
    size = across, round(across * image.height / image.width)
    return image.resize(size, Image.Resampling.BOX)


def likeness(kept: Image.Image, now: Image.Image) -> float:
    """Structural similarity (1: the same) of two looks in the tiles that are least alike, each at
    the shift down or up at which it is most alike; 0 if their shapes differ."""
    if kept.size != now.size:
        return 0.0
    one, other = np.asarray(kept), np.asarray(now)
    height, reach = kept.height, round(SHIFT * kept.width / _full(kept.width))
    moved = np.pad(other, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    tiles = [_tiles(one, moved[by : by + height]) for by in range(2 * reach + 1)]
    return float(np.quantile(np.max(tiles, axis=0), WORST))


def _full(across: int) -> int:
    return next(full for full, small in SMALL.items() if small == across)


def _tiles(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The similarity of two pictures, tile by tile."""
    _, local = structural_similarity(
        one, other, channel_axis=2, data_range=255, full=True, win_size=5
    )
    rows, columns = (n // TILE for n in local.shape[:2])
    local = local[: rows * TILE, : columns * TILE].mean(axis=2)
    return local.reshape(rows, TILE, columns, TILE).mean(axis=(1, 3))


def kept(name: str, view: str) -> Path:
    return KEPT / f"{Path(name).name}-{view}.webp"


def fonts(page: Any) -> list[float]:
    """How wide this machine sets a line of the page's text, and of code."""
    return page.evaluate(
        """() => {
          const style = getComputedStyle(document.body);
          const code = style.getPropertyValue("--pst-font-family-monospace");
          const pen = document.createElement("canvas").getContext("2d");
          return [style.fontFamily, code].map((font) => {
            pen.font = `16px ${font}`;
            return Math.round(10 * pen.measureText("Sphinx of black quartz, judge").width) / 10;
          });
        }"""
    )


def other_fonts(page: Any) -> bool:
    """Whether the kept looks were taken where text is of another width, so that lines break
    elsewhere."""
    there = json.loads(FONTS.read_text("utf-8"))
    return not np.allclose(fonts(page), there, rtol=0.005)


def keep() -> None:
    """Take all looks of the published book anew."""
    from genlab.pipeline.views.book import build_book

    book = build_book("full").parent
    KEPT.mkdir(exist_ok=True)
    with browsing.launched() as browser:
        for name in PAGES:
            for view in VIEWS:
                with shown(browser, book, name, view) as page:
                    look(page).save(kept(name, view), lossless=True)
        with shown(browser, book, "notebooks/dsm", "wide") as page:
            FONTS.write_text(json.dumps(fonts(page)) + "\n", "utf-8")


if __name__ == "__main__":
    keep()
