"""An IPython extension of the kernels that execute sections: what is stored of a figure, which
neither a page nor a model needs to say.

A quick run stores IPython's PNG; a published one stores twice the pixels a side, for sharp screens,
in 256 colours.  With every figure go the numbers behind its curves and bars, for readers who point
at them or want them as a table.
"""

import io
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

NUMBERS = "application/vnd.genlab.figure+json"
SHARP = 2  # pixels of a published figure for each of a plain screen, a side
MOST = 400  # points of a curve of which the numbers are kept
CLOUD = 100  # dots that no line connects are a cloud if they are more


def load_ipython_extension(shell: Any) -> None:
    """Tell the shell how figures are stored; GENLAB_FIGURES=published asks for sharp ones."""
    from IPython.core.formatters import BaseFormatter
    from matplotlib.figure import Figure
    from matplotlib_inline import backend_inline  # noqa: F401  (sets the PNG that is replaced here)

    class Numbers(BaseFormatter):
        """A formatter of a type that IPython does not know."""

        _return_type = list

    formatters = shell.display_formatter.formatters
    if os.environ.get("GENLAB_FIGURES") == "published":
        formatters["image/png"].for_type(Figure, sharp)
    # The last one: the picture is drawn before anybody looks at its parts.
    formatters[NUMBERS] = Numbers(
        parent=shell.display_formatter, format_type=NUMBERS, print_method="_genlab_numbers_"
    )
    formatters[NUMBERS].for_type(Figure, lambda fig: list(numbers(fig)) or None)


def sharp(fig: Any) -> bytes:
    """A PNG with SHARP² times the pixels and at most 256 colours: a third of its size without."""
    from PIL import Image

    whole, few = io.BytesIO(), io.BytesIO()
    fig.savefig(whole, format="png", bbox_inches="tight", dpi=SHARP * fig.dpi)
    with Image.open(whole) as image:
        reduced = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        reduced.save(few, "PNG", optimize=True, dpi=(SHARP * 96, SHARP * 96))
    return few.getvalue()


def numbers(fig: Any) -> Iterator[dict[str, Any]]:
    """What the curves and bars of each panel show: its title, its axes, where it lies in the
    picture (left, top, right, bottom, as shares of it), and the series.  The figure is laid out
    already: to draw it again could move its parts."""
    from matplotlib import rcParams

    whole = fig.get_tightbbox().padded(rcParams["savefig.pad_inches"])
    for ax in fig.axes:
        if not ax.axison or not (series := [*_curves(ax), *_bars(ax)]):
            continue
        box = ax.get_window_extent().transformed(fig.dpi_scale_trans.inverted())
        across = ((x - whole.x0) / whole.width for x in (box.x0, box.x1))
        down = ((whole.y1 - y) / whole.height for y in (box.y1, box.y0))
        (left, right), (top, bottom) = across, down
        yield {
            "title": ax.get_title(),
            "x": _axis(ax.get_xlabel(), ax.get_xscale(), ax.get_xlim()) | names_of(ax),
            "y": _axis(ax.get_ylabel(), ax.get_yscale(), ax.get_ylim()),
            "box": _few([left, top, right, bottom]),
            "series": series,
        }


def _axis(label: str, scale: str, limits: tuple[float, float]) -> dict[str, Any]:
    return {"label": label, "scale": scale, "limits": _few(limits)}


def names_of(ax: Any) -> dict[str, dict[str, str]]:
    """{"names": {place: name}} of a horizontal axis whose ticks are words."""
    marks = ax.get_xticks(), ax.get_xticklabels()
    ticks = {f"{at:g}": label.get_text() for at, label in zip(*marks, strict=False)}
    words = any(text.strip("−-.0123456789 k") for text in ticks.values())
    return {"names": ticks} if words else {}


def _curves(ax: Any) -> Iterator[dict[str, Any]]:
    """The lines in data coordinates: neither what crosses the whole panel nor clouds of dots."""
    from matplotlib.colors import to_hex

    for line in ax.lines:
        x, y = (np.ravel(np.asarray(v, dtype=float)) for v in line.get_data())
        dots = line.get_linestyle() in ("None", " ", "")
        if line.get_transform() != ax.transData or len(x) < 2 or (dots and len(x) > CLOUD):
            continue
        keep = np.unique(np.linspace(0, len(x) - 1, min(MOST, len(x))).round().astype(int))
        label = str(line.get_label())
        yield {
            "label": "" if label.startswith("_") else label,
            "color": to_hex(line.get_color()),
            "x": _few(x[keep]),
            "y": _few(y[keep]),
        }


def _bars(ax: Any) -> Iterator[dict[str, Any]]:
    """Each bar as a series of one point, with the name below it."""
    from matplotlib.colors import to_hex

    names = names_of(ax).get("names", {})
    for patch in (p for bars in ax.containers for p in getattr(bars, "patches", ())):
        at = patch.get_x() + patch.get_width() / 2
        yield {
            "label": names.get(f"{at:g}", ""),
            "color": to_hex(patch.get_facecolor()),
            "x": _few([at]),
            "y": _few([patch.get_y() + patch.get_height()]),
        }


def _few(values: Any) -> list[float | None]:
    """Four digits of each; None for what JSON cannot say."""
    return [float(f"{v:.4g}") if np.isfinite(v) else None for v in values]
