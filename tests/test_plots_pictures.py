"""Images are tiled in their places, and ink is dark."""

import numpy as np
import pytest
from drawn import pixels

from genlab import plots
from genlab.plots import pictures

pytestmark = pytest.mark.usefixtures("clean_figures")


def test_a_tile_keeps_every_image_in_its_place():
    images = np.arange(5 * 6, dtype=float).reshape(5, 2, 3)
    canvas = pictures.tile(images, 3)
    assert canvas.shape == (2 * 2 + pictures.GAP, 3 * 3 + 2 * pictures.GAP)
    np.testing.assert_array_equal(canvas[:2, 5:8], images[1])
    np.testing.assert_array_equal(canvas[4:6, 5:8], images[4])
    assert np.isnan(canvas[:, 3:5]).all() and np.isnan(canvas[4:, 10:]).all()


def test_more_ink_is_darker_and_signs_have_their_colours():
    ink = pixels(
        lambda ax: pictures.mosaic(
            ax, np.linspace(0, 1, 4).reshape(4, 1, 1) * np.ones((4, 9, 9)), 4
        )
    ).astype(int)
    columns = [ink[:, round(ink.shape[1] * f)].min() for f in (0.15, 0.38, 0.62, 0.85)]
    assert columns == sorted(columns, reverse=True) and columns[0] - columns[-1] > 150
    signed = pixels(lambda ax: pictures.filters(ax, np.array([[[-3.0]], [[5.0]]]), 2)).astype(int)
    red, blue = signed[..., 0] - signed[..., 2], signed[..., 2] - signed[..., 0]
    assert blue[:, : signed.shape[1] // 2].max() > 80 and red[:, signed.shape[1] // 2 :].max() > 80


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda ax: pictures.mosaic(ax, np.zeros((4, 784)), 2), r"\(4, 784\) in 2 columns"),
        (
            lambda ax: pictures.rows(ax, {"a": np.zeros((2, 4, 4)), "b": np.zeros((3, 4, 4))}),
            "must be equally long",
        ),
    ],
)
def test_bad_input_is_refused_in_words(call, words):
    _, (ax,) = plots.panels(1)
    with pytest.raises(ValueError, match=words):
        call(ax)


def test_a_stack_shows_each_channel_in_its_colour():
    stack = np.zeros((2, 3, 4, 4))
    stack[0, 0, 1, 2] = stack[1, 2, 3, 0] = 1  # red in the first, blue in the second
    _, (ax,) = plots.panels(1)
    shown = np.asarray(pictures.stacks(ax, stack, 2).images[0].get_array())
    assert shown.shape == (4, 8 + pictures.GAP, 3)
    assert shown[1, 2].tolist() == [1, 0, 0] and shown[3, 4 + pictures.GAP].tolist() == [0, 0, 1]
    assert shown[0, 0].tolist() == [0, 0, 0] and (shown[:, 4 : 4 + pictures.GAP] == 1).all()


@pytest.mark.parametrize("shape", [(2, 28, 28), (2, 1, 28, 28)])
def test_what_is_no_stack_is_refused(shape):
    _, (ax,) = plots.panels(1)
    with pytest.raises(ValueError, match="must be"):
        pictures.stacks(ax, np.zeros(shape), 2)
