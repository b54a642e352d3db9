"""Pictures of latent codes: one colour per class, and a map whose points show their image."""

import hashlib
import html
import io
import json
from collections.abc import Mapping, Sequence

import numpy as np
from IPython.display import HTML
from matplotlib.axes import Axes
from PIL import Image

from genlab.plots.motion import MAX_BYTES, _text
from genlab.plots.pictures import tile
from genlab.plots.theme import CARD, INK

# Ten classes: neighbours in this list differ in hue and in lightness.
CLASSES = (
    "#1f5fa8",
    "#e08a1e",
    "#2f8f4e",
    "#c3272f",
    "#7d5bb5",
    "#8a5a3c",
    "#d977b4",
    "#6b7280",
    "#a3a61b",
    "#27a5b5",
)
SIDE = 440  # of the map, in its own units

# Points are moved by transforms, so that a change of map is a motion one can follow, unless reduced
# motion is asked for.
PAGE = """<figure class="genlab-hover" id="{name}" style="\
margin:0 auto;max-width:640px;background:{card};color:{ink};padding:10px">
<style>#{name} circle{{transition:transform .7s}} \
#{name} button[aria-pressed=true]{{font-weight:bold}}
#{name} circle.on{{stroke:{ink};stroke-width:2}}
@media (prefers-reduced-motion: reduce){{#{name} circle{{transition:none}}}}</style>
<div role="group" aria-label="which map">{buttons}</div>
<div style="display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start">
<svg viewBox="0 0 {side} {side}" role="img" aria-label="{alt}" \
style="flex:1 1 300px;max-width:460px">{circles}</svg>
<div style="flex:0 0 130px;font-size:.85em"><canvas width="28" height="28" aria-hidden="true"
style="width:112px;height:112px;image-rendering:pixelated;\
background:{card};border:1px solid #8b93a1"></canvas>
<p style="margin:4px 0" aria-live="polite">\
<output>Point at a code, or use the arrow keys.</output></p>
<ul style="list-style:none;margin:0;padding:0">{legend}</ul></div></div>
<script type="application/json">{data}</script>
<script>(() => {{
const figure = document.getElementById("{name}"), \
data = JSON.parse(figure.querySelector("script").textContent);
const points = [...figure.querySelectorAll("circle")], \
buttons = [...figure.querySelectorAll("button")];
const svg = figure.querySelector("svg"), \
pen = figure.querySelector("canvas").getContext("2d"), sprite = new Image();
let at = 0;
const show = i => {{ points[at].classList.remove("on"); at = (i + points.length) % points.length;
  points[at].classList.add("on"); \
pen.drawImage(sprite, 28 * (at % data.columns), \
28 * Math.floor(at / data.columns), 28, 28, 0, 0, 28, 28);
  figure.querySelector("output").textContent = data.classes[data.labels[at]]; }};
const place = m => {{ points.forEach((p, i) => \
p.setAttribute("transform", `translate(${{data.maps[m][i]}})`));
  buttons.forEach((b, i) => b.setAttribute("aria-pressed", i === m)); }};
sprite.onload = () => show(0); sprite.src = "data:image/webp;base64," + data.sprite;
points.forEach((p, i) => p.addEventListener("pointerover", () => show(i)));
buttons.forEach((b, m) => b.addEventListener("click", () => place(m)));
svg.tabIndex = 0;
svg.addEventListener("keydown", e => {{ \
const step = {{ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}}[e.key];
  if (step) {{ show(at + step); e.preventDefault(); }} }});
place(0); }})();</script></figure>"""


def by_class(ax: Axes, points: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Axes:
    """Points (n, 2) in the colour of their class, each class named at its median, without ticks:
    only neighbourhoods mean something."""
    for c, name in enumerate(classes):
        own = points[labels == c]
        ax.plot(*own.T, ".", ms=2.5, alpha=0.55, color=CLASSES[c], rasterized=True)
        if len(own):
            box = {"facecolor": CARD, "alpha": 0.75, "edgecolor": "none", "pad": 1}
            ax.text(
                *np.median(own, 0),
                name,
                ha="center",
                va="center",
                fontsize=8,
                weight="bold",
                color=CLASSES[c],
                bbox=box,
            )
    ax.set(xticks=[], yticks=[], xlabel="first coordinate", ylabel="second coordinate")
    return ax


def hover_map(
    maps: Mapping[str, np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    alt: str,
) -> HTML:
    """A map of codes whose points show their image when pointed at; a button for each of `maps`,
    {name: points (n, 2)}.

    images (n, 28, 28) in [0, 1], labels (n,) into `classes`.  Where scripts do not run, the first
    map stands there. Raises ValueError for numbers that do not agree, an empty `alt`, or more than
    350 kB.
    """
    n = len(images)
    if not maps or {len(p) for p in maps.values()} != {n} or len(labels) != n or not alt.strip():
        raise ValueError(
            f"{n} images, {len(labels)} labels, maps of {[len(p) for p in maps.values()]} "
            f"points, alt={alt!r}"
        )
    columns = int(np.ceil(np.sqrt(n)))
    sheet = np.zeros((-(-n // columns) * 30, columns * 30))
    sheet[: sheet.shape[0] - 2, : sheet.shape[1] - 2] = tile(images, columns, fill=0.0)
    # `tile` leaves gaps of two pixels; the sprite has none
    cells = sheet.reshape(-1, 30, columns, 30)[:, :28, :, :28].reshape(-1, columns * 28)
    buffer = io.BytesIO()
    Image.fromarray(np.uint8(255 * (1 - cells))).convert("L").save(
        buffer, "WEBP", quality=45, method=6
    )
    placed = {
        name: (SIDE * (0.03 + 0.94 * _unit(p))).round().astype(int).tolist()
        for name, p in maps.items()
    }
    data = json.dumps(
        {
            "maps": list(placed.values()),
            "labels": np.asarray(labels).tolist(),
            "classes": list(classes),
            "columns": columns,
            "sprite": _text(buffer.getvalue()),
        },
        separators=(",", ":"),
    ).replace("<", "\\u003c")
    if len(data) > MAX_BYTES:
        raise ValueError(
            f"the map takes {len(data) // 1000} kB, at most {MAX_BYTES // 1000}: show fewer images"
        )
    first = next(iter(placed.values()))
    circles = (
        f'<circle r="3.5" fill="{CLASSES[c]}" fill-opacity=".75" '
        f'transform="translate({x},{y})"></circle>'
        for (x, y), c in zip(first, labels, strict=True)
    )
    return HTML(
        PAGE.format(
            name="hover-" + hashlib.sha256(data.encode()).hexdigest()[:12],
            buttons="".join(f'<button type="button">{html.escape(m)}</button> ' for m in maps),
            circles="".join(circles),
            legend="".join(
                f'<li><span style="color:{CLASSES[c]}">●</span> {html.escape(k)}</li>'
                for c, k in enumerate(classes)
            ),
            side=SIDE, card=CARD, ink=INK, alt=html.escape(alt), data=data,
        )
    )  # fmt: skip


def _unit(points: np.ndarray) -> np.ndarray:
    """Points (n, 2) moved and scaled into the unit square, second axis upwards."""
    points = np.asarray(points, dtype=float) * [1, -1]
    low, high = points.min(0), points.max(0)
    return (points - low) / np.where(high > low, high - low, 1)
