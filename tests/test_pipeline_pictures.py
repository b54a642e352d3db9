"""Small pictures are parts of the figures; an animation plays once."""

import base64
import io

import nbformat
import numpy as np
from PIL import Image

from genlab.pipeline.views.pictures import SIZE, animation, figure, once, small


def picture(colours, size=(400, 100)) -> bytes:
    """Bands of colour from left to right, as a PNG."""
    image = Image.new("RGB", size)
    wide = size[0] // len(colours)
    for i, colour in enumerate(colours):
        image.paste(Image.new("RGB", (wide, size[1]), colour), (i * wide, 0))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def drawn(png, name, alt="What it shows"):
    shown = {"image": {"alt": alt}, "figure": {"name": name}}
    output = nbformat.v4.new_output(
        "display_data", {"image/png": base64.b64encode(png).decode(), "text/plain": "<Figure>"}
    )
    return nbformat.v4.new_code_cell("draw()", metadata={"mystnb": shown}, outputs=[output])


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A"), *cells])


def test_a_figure_is_found_by_its_name_or_is_the_first():
    page = notebook(drawn(b"one", "fig-one"), drawn(b"two", "fig-two", "Two \n words"))
    assert figure(page).png == b"one" and figure(page, "fig-two").png == b"two"
    assert figure(page, "fig-two").alt == "Two words"
    assert figure(page, "fig-none").png == b"one" and figure(notebook()) is None


def test_a_small_picture_shows_its_part_on_the_background():
    png = picture(["white", "red", "blue", "white"])
    image = Image.open(io.BytesIO(small(png, (0.25, 0, 0.75, 1)))).convert("RGB")
    assert image.size == SIZE
    pixels = np.asarray(image).astype(int)
    middle = pixels[SIZE[1] // 2]
    assert middle[SIZE[0] // 4].argmax() == 0 and middle[3 * SIZE[0] // 4].argmax() == 2
    whole = np.asarray(Image.open(io.BytesIO(small(png, (0, 0, 1, 1)))).convert("RGB"))
    assert whole[SIZE[1] // 2, SIZE[0] // 16].min() > 240  # the twin: it is white there


def test_a_small_picture_is_always_the_same():
    """An unchanged book is not built again."""
    png = picture(["red", "blue"])
    first = small(png, (0, 0, 1, 1))
    assert small(png, (0, 0, 1, 1)) == first and small(png, (0, 0, 0.5, 1)) != first


def moving() -> bytes:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], duration=100, loop=0)
    return out.getvalue()


def test_an_animation_plays_once_and_is_the_same_else():
    webp = moving()
    before, after = (Image.open(io.BytesIO(data)) for data in (webp, once(webp)))
    assert before.info["loop"] == 0 and after.info["loop"] == 1
    assert after.n_frames == before.n_frames == 3 and once(once(webp)) == once(webp)
    still = io.BytesIO()
    Image.new("RGB", (8, 8)).save(still, "WEBP")
    assert once(still.getvalue()) == still.getvalue()


def test_the_animation_of_a_page_has_a_still_and_words():
    webp, png = (base64.b64encode(data).decode() for data in (moving(), picture(["red"])))
    text = (
        f'<picture><source media="print" srcset="data:image/png;base64,{png}">'
        f'<img src="data:image/webp;base64,{webp}" alt="a &amp; b" class="genlab-animation">'
        "</picture>"
    )
    output = nbformat.v4.new_output("display_data", {"text/html": text})
    cell = nbformat.v4.new_code_cell("plots.animation(draw, 3)", outputs=[output])
    found = animation(notebook(drawn(b"one", "fig-one"), cell))
    assert found.webp == once(moving()) and found.still == picture(["red"])
    assert found.alt == "a & b" and found.size == (8, 8)
    assert animation(notebook(drawn(b"one", "fig-one"))) is None
