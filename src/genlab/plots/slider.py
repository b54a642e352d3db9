"""A slider over pictures made beforehand: it lives in the page, needs no server, and shows one
picture where scripts do not run."""

import hashlib
import html
import io
import json
from collections.abc import Callable, Sequence

from IPython.display import HTML

from genlab.plots.motion import MAX_BYTES, MAX_FRAMES, _png, _render, _text

# The script changes one image and the text beside the slider; the arrow keys work because it is an
# ordinary range input.
PAGE = """<figure class="genlab-slider" id="{name}" \
style="margin:0 auto;max-width:{width}px;text-align:center">
<img src="data:image/png;base64,{still}" alt="{alt}" \
width="{width}" height="{height}" style="max-width:100%;height:auto">
<figcaption><label>{label}
<input type="range" min="0" max="{last}" value="{start}" \
aria-valuetext="{text}" style="width:55%;vertical-align:middle">
<output>{text}</output></label></figcaption>
<script type="application/json">{frames}</script>
<script>(() => {{
const figure = document.getElementById("{name}"), \
[frames, texts] = JSON.parse(figure.querySelector("script").textContent);
const slider = figure.querySelector("input"), show = () => {{
figure.querySelector("img").src = "data:image/webp;base64," + frames[slider.value];
figure.querySelector("output").textContent = texts[slider.value];
slider.setAttribute("aria-valuetext", texts[slider.value]); }};
slider.addEventListener("input", show); show(); }})();</script></figure>"""


def slider(
    draw: Callable,
    texts: Sequence[str],
    *,
    start: int,
    label: str,
    alt: str,
    size: tuple[float, float] = (5.0, 4.2),
    dpi: int = 96,
    columns: int = 1,
) -> HTML:
    """A range input labelled `label` over the pictures ``draw(ax, i)``, one for each of `texts`,
    which says what the slider stands at.

    Shows picture `start` first, and only that in print or without scripts.  With `columns` > 1,
    draw gets an array of axes.  Raises ValueError for fewer than two or more than 60 pictures,
    an empty `alt`, or more than 350 kB.
    """
    if not 2 <= len(texts) <= MAX_FRAMES:
        raise ValueError(f"{len(texts)} pictures: a slider has 2 to {MAX_FRAMES}")
    if not alt.strip() or not 0 <= start < len(texts):
        raise ValueError(
            f"start={start}, alt={alt!r}: start at one of {len(texts)} pictures and "
            "say what they show"
        )
    images, still = _render(draw, range(len(texts)), start, size, dpi, columns)
    frames = []
    for image in images:
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=60, method=6)
        frames.append(_text(buffer.getvalue()))
    weight = sum(map(len, frames)) * 3 // 4
    if weight > MAX_BYTES:
        raise ValueError(
            f"the pictures take {weight // 1000} kB, at most {MAX_BYTES // 1000}: "
            "use fewer or smaller ones"
        )
    data = json.dumps([frames, list(texts)]).replace("<", "\\u003c")
    return HTML(
        PAGE.format(
            name="slider-" + hashlib.sha256(data.encode()).hexdigest()[:12],
            width=still.width,
            height=still.height,
            still=_text(_png(still)),
            alt=html.escape(alt),
            label=html.escape(label),
            last=len(texts) - 1,
            start=start,
            text=html.escape(texts[start]),
            frames=data,
        )
    )
