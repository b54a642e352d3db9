"""Animations, sliders and hover maps of the notebooks as the book shows them: still pictures that
a script brings to life when somebody asks for it.

The pictures leave the page.  A page read from a disk may not fetch its neighbours, but it may load
a script, so what moves is a file of JavaScript that the page loads when it is needed.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from sphinx.util.osutil import relative_uri

from genlab.pipeline.site import webp

KINDS = re.compile(r'class="genlab-(?:animation|slider|hover)"')
HINT = "Point at a code, or use the arrow keys."
BROAD = 560  # pixels: what is wider scrolls on a telephone, so that its letters can be read
Save = Callable[[str, bytes], str]  # a file's ending and content -> its address from the page


def setup(app: Any) -> None:
    app.connect("doctree-resolved", on_page)


def on_page(app: Any, doctree: nodes.document, page: str) -> None:
    """Replace what the page's cells gave, and write the files beside the book's pictures."""
    folder, base = Path(app.outdir) / "_images", app.builder.get_target_uri(page)

    def save(ending: str, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()[:20] + ending
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        return relative_uri(base, f"_images/{name}")

    for node in doctree.findall(nodes.raw):
        if "html" in node.get("format", "") and KINDS.search(node.astext()):
            html = rewritten(node.astext(), save)
            node.parent.replace(node, nodes.raw("", html, **node.attributes))


def rewritten(html: str, save: Save) -> str:
    """The HTML of an animation, a slider or a hover map without its pictures and its script."""
    soup = BeautifulSoup(html, "html.parser")
    for picture in soup.select("picture:has(> .genlab-animation)"):
        picture.replace_with(_animation(soup, picture, save))
    for figure in soup.select("figure.genlab-slider"):
        figure.replace_with(_slider(soup, figure, save))
    for figure in soup.select("figure.genlab-hover"):
        _hover(figure, save)
    return str(soup)


def _animation(soup: BeautifulSoup, picture: Tag, save: Save) -> Tag:
    told = {"frames": _told(webp.frames(_bytes(picture.img["src"])))}
    still = _bytes(picture.source["srcset"])
    return _player(soup, picture.img, still, save, "genlab-player", told)


def _slider(soup: BeautifulSoup, figure: Tag, save: Save) -> Tag:
    pictures, texts = json.loads(figure.script.string)
    frames = [frame for picture in pictures for frame in webp.frames(base64.b64decode(picture))]
    told = {"frames": _told(frames), "texts": texts}
    still, start = _bytes(figure.img["src"]), figure.input["value"]
    made = _player(soup, figure.img, still, save, "genlab-slider", told)
    label = figure.label.find(string=True) if figure.label else ""
    made["data-label"], made["data-start"] = " ".join(str(label).split()), start
    made["data-text"] = texts[int(start)]
    return made


def _player(
    soup: BeautifulSoup, image: Tag, still: bytes, save: Save, kind: str, told: dict
) -> Tag:
    """A still that a script turns into a player of the frames in the file that it names."""
    size = {key: image[key] for key in ("width", "height")}
    style = f"max-width:{size['width']}px"
    made = soup.new_tag("div", attrs={"class": kind, "style": style})
    made["data-film"] = save(".js", _script(told))
    made["data-count"] = str(len(told["frames"]))
    attrs = size | {"src": save(".png", still), "alt": image["alt"], "loading": "lazy"}
    broad = " genlab-broad" if int(str(size["width"])) > BROAD else ""
    made.append(film := soup.new_tag("div", attrs={"class": f"genlab-film{broad}"}))
    film.append(soup.new_tag("img", attrs=attrs))
    return made


def _hover(figure: Tag, save: Save) -> None:
    """The map itself stays in the page; its numbers and pictures go, and so does its style."""
    data, svg = figure.find("script", type="application/json"), figure.svg
    figure["data-film"] = save(".js", _script(json.loads(data.string)))
    for element in figure.find_all(["script", "style"]):
        element.decompose()
    for element in [figure, *figure.find_all(["div", "canvas", "p", "ul"])]:
        del element["style"]
    del svg["style"]
    figure.name = "div"
    # `img` cannot have the focus that its arrow keys need
    svg["role"] = "application"
    svg["aria-roledescription"] = "map"
    figure.output.string = HINT
    choices, body, shown = figure.find_all("div")[:3]
    choices["class"], body["class"], shown["class"] = "genlab-choices", "genlab-map", "genlab-shown"


def _told(frames: list[webp.Frame]) -> list[list]:
    """Frames as the script reads them: picture, x, y, milliseconds, replaces, wiped."""
    return [[base64.b64encode(f[0]).decode(), *f[1:4], int(f[4]), int(f[5])] for f in frames]


def _script(data: Any) -> bytes:
    """JavaScript that hands data to the page which loads it."""
    return f"genlabFilm({json.dumps(data, separators=(',', ':'))})".encode()


def _bytes(address: str) -> bytes:
    """What a data URI holds."""
    return base64.b64decode(address.partition("base64,")[2])
