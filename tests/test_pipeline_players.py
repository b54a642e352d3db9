"""What moves leaves the page: a still with its words stays, and the file beside it holds every
frame."""

import base64
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from bs4 import BeautifulSoup, Tag
from docutils import nodes
from docutils.utils import new_document
from PIL import Image

from genlab import plots
from genlab.pipeline.site import players, webp
from genlab.plots import codes
from genlab.plots.slider import slider

pytestmark = pytest.mark.usefixtures("clean_figures")


class Shelf(dict):
    """Files as they were saved, by address."""

    def save(self, ending: str, content: bytes) -> str:
        address = f"../_images/{len(self)}{ending}"
        self[address] = content
        return address

    def film(self, box: Tag) -> dict:
        text = self[box["data-film"]].decode()
        assert text.startswith("genlabFilm({") and text.endswith("})")
        return json.loads(text.removeprefix("genlabFilm(").removesuffix(")"))


def rewritten(html: str) -> tuple[Tag, Shelf]:
    shelf = Shelf()
    made = players.rewritten(html, shelf.save)
    assert "base64" not in made and "<script" not in made and "<style" not in made
    (box,) = BeautifulSoup(made, "html.parser").find_all(recursive=False)
    return box, shelf


def bar(ax, i):
    ax.bar([0], [i + 1.0])
    ax.set_ylim(0, 5)


def grey(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=float)


def test_an_animation_becomes_a_still_and_a_file_of_frames():
    html = plots.animation(bar, 4, still=3, fps=10, hold=0.5, size=(2, 2), alt='bars "rise"').data
    box, shelf = rewritten(html)
    assert box["class"] == ["genlab-player"] and box["data-count"] == "4"
    assert box.img["alt"] == 'bars "rise"' and box.img["loading"] == "lazy"
    frames = shelf.film(box)["frames"]
    assert [frame[3] for frame in frames] == [100, 100, 100, 500]
    first, still = grey(base64.b64decode(frames[0][0])), grey(shelf[box.img["src"]])
    assert first.shape == still.shape and first.mean() > still.mean() + 5  # one bar, four bars
    whole = webp.frames(base64.b64decode(html.partition("image/webp;base64,")[2].split('"')[0]))
    assert [base64.b64decode(frame[0]) for frame in frames] == [frame.picture for frame in whole]


def test_a_slider_keeps_its_label_its_words_and_its_start():
    words = [f"λ = {i} <b>" for i in range(4)]
    html = slider(bar, words, start=2, label="weight & more", alt="bars", size=(2, 2)).data
    box, shelf = rewritten(html)
    film = shelf.film(box)
    assert box["class"] == ["genlab-slider"] and film["texts"] == words
    assert (box["data-label"], box["data-start"], box["data-text"]) == (
        "weight & more", "2", words[2],
    )  # fmt: skip
    ink = [grey(base64.b64decode(frame[0])).mean() for frame in film["frames"]]
    assert ink == sorted(ink, reverse=True) and all(frame[4] for frame in film["frames"])
    still = grey(shelf[box.img["src"]]).mean()
    assert abs(still - ink[2]) < 3 < abs(still - ink[0])


def test_a_hover_map_keeps_its_points_and_says_how_it_is_used():
    rng = np.random.default_rng(0)
    maps = {name: rng.normal(size=(9, 2)) for name in ("one", "two")}
    html = codes.hover_map(
        maps, rng.random((9, 28, 28)), np.arange(9) % 3, ["a", "b", "c"], alt="points"
    ).data
    box, shelf = rewritten(html)
    assert box.name == "div" and len(box.find_all("circle")) == 9
    assert [b.get_text() for b in box.find_all("button")] == ["one", "two"]
    assert box.output.get_text() == players.HINT and box.svg["aria-label"] == "points"
    assert not box.find_all(style=lambda style: style and "background" in style)
    film = shelf.film(box)
    assert len(film["maps"]) == 2 and grey(base64.b64decode(film["sprite"])).shape == (84, 84)


def test_only_what_is_broad_scrolls_on_a_telephone():
    made = [
        rewritten(plots.animation(bar, 2, still=0, size=(width, 1), alt="x").data)[0]
        for width in (2, 8)
    ]
    assert [box.div["class"] for box in made] == [["genlab-film"], ["genlab-film", "genlab-broad"]]


def test_files_lie_beside_the_pictures_of_the_book(tmp_path):
    html = plots.animation(bar, 2, still=0, size=(1, 1), alt="x").data
    text = "<p>as it is</p>"
    document = new_document("page")
    document += [nodes.raw("", h, format="html", classes=["output"]) for h in (html, text)]
    builder = SimpleNamespace(format="html", get_target_uri=lambda page: f"{page}.html")
    players.on_page(SimpleNamespace(builder=builder, outdir=tmp_path), document, "notebooks/a")
    box = BeautifulSoup(document[0].astext(), "html.parser")
    for address in (box.img["src"], box.div["data-film"]):
        assert (tmp_path / "notebooks" / address).resolve().parent == tmp_path / "_images"
        assert (tmp_path / "_images" / address.rpartition("/")[2]).stat().st_size > 100
    assert document[0]["classes"] == ["output"] and document[1].astext() == text


def test_other_html_is_left_alone():
    """Only what this looks for is read; the twin, an animation, is not left alone."""
    html = '<table class="dataframe"><tr><td>1</td></tr></table>'
    assert not players.KINDS.search(html)
    assert players.KINDS.search(plots.animation(bar, 2, still=0, size=(1, 1), alt="x").data)
