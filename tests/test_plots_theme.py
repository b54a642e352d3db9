"""Panels are equal, colours are told apart, and the page on colours shows them."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from genlab import plots

pytestmark = pytest.mark.usefixtures("clean_figures")


def test_colours_differ_from_each_other_and_from_the_card():
    rgb = np.array([to_rgb(c) for c in plots.COLORS.values()])
    gaps = np.linalg.norm(rgb[:, None] - rgb[None], axis=2) + 10 * np.eye(len(rgb))
    assert gaps.min() > 0.15
    assert np.linalg.norm(rgb - 1.0, axis=1).min() > 0.4


def test_the_page_on_colours_shows_these_colours():
    page = (Path(__file__).parents[1] / "book" / "how_to_read.md").read_text()
    shown = dict(re.findall(r'background:(#[0-9a-f]{6})"></span>(\w+)', page))
    assert {name: code for code, name in shown.items()} == plots.COLORS


def test_panels_are_equal_and_titled_in_sentence_case():
    fig, axes = plots.panels(6, columns=4, titles=["eight_gaussians", "", "MALA"])
    assert [ax.get_title() for ax in axes[:3]] == ["Eight Gaussians", "", "MALA"]
    assert len(axes) == len(fig.axes) == 6
    fig.canvas.draw()
    sizes = np.array([ax.get_position().size for ax in axes])
    assert np.ptp(sizes, axis=0).max() < 1e-6


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda ax: plots.panels(0), "n=0 must be at least 1"),
        (lambda ax: plots.panels(1, titles=["a", "b"]), "2 titles for n=1"),
    ],
)
def test_bad_input_is_refused_in_words(call, words):
    _, (ax,) = plots.panels(1)
    with pytest.raises(ValueError, match=words):
        call(ax)
