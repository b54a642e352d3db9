"""A slider holds every picture and its words."""

import base64
import io
import itertools
import json
import re

import numpy as np
import pytest
from drawn import embedded
from PIL import Image

from genlab import plots
from genlab.plots.slider import slider

pytestmark = pytest.mark.usefixtures("clean_figures")


def test_slider_holds_every_picture_and_its_words():
    def draw(ax, i):
        ax.bar([0], [i + 1.0])
        ax.set_ylim(0, 5)

    html = slider(
        draw,
        [f"λ = {i} <b>" for i in range(4)],
        start=2,
        label="weight & more",
        alt='bars "rise"',
        size=(2, 2),
    ).data
    frames, texts = json.loads(
        re.search(r'<script type="application/json">(.*?)</script>', html)[1]
    )
    pictures_ = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(f))).convert("L"), dtype=float)
        for f in frames
    ]
    assert (
        texts == [f"λ = {i} <b>" for i in range(4)]
        and "&lt;b&gt;" in html
        and "weight &amp; more" in html
    )
    # each bar has more ink
    assert all(a.mean() > b.mean() for a, b in itertools.pairwise(pictures_))
    still = np.asarray(Image.open(io.BytesIO(embedded(html, "png"))).convert("L"), dtype=float)
    assert np.abs(still - pictures_[2]).mean() < 3 < np.abs(still - pictures_[0]).mean()
    assert 'min="0" max="3" value="2"' in html and 'alt="bars &quot;rise&quot;"' in html


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda ax: slider(lambda a, i: None, ["one"], start=0, label="x", alt="x"),
            "1 pictures: a slider has 2 to 60",
        ),
        (lambda ax: slider(lambda a, i: None, ["a", "b"], start=2, label="x", alt="x"), "start=2"),
    ],
)
def test_bad_input_is_refused_in_words(call, words):
    _, (ax,) = plots.panels(1)
    with pytest.raises(ValueError, match=words):
        call(ax)
