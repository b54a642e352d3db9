"""Curves and strips show the numbers they were given."""

import numpy as np
import pytest

from genlab import plots

pytestmark = pytest.mark.usefixtures("clean_figures")


def test_histories_show_mean_and_range_of_seeds():
    _, (ax,) = plots.panels(1)
    values = np.array([[1.0, 3.0], [2.0, 6.0]])
    plots.histories(ax, np.array([10, 20]), {"gan": (values, "gan")}, ylabel="loss")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [2.0, 4.0])
    assert len(ax.collections) == 1


def test_null_strip_shows_every_draw(rng):
    _, (ax,) = plots.panels(1)
    null = rng.normal(size=25)
    plots.null_strip(ax, {"a": (2.0, "ebm"), "b": (3.0, "gan")}, null, xlabel="W₂")
    np.testing.assert_allclose(ax.lines[0].get_xdata(), null)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["real", "a", "b"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda ax: plots.null_strip(ax, {}, np.zeros(1), xlabel=""), "at least two draws"),
        (
            lambda ax: plots.distributions(ax, {"x": (np.array([np.nan]), "ebm")}, ylabel=""),
            "0 finite draws",
        ),
    ],
)
def test_bad_input_is_refused_in_words(call, words):
    _, (ax,) = plots.panels(1)
    with pytest.raises(ValueError, match=words):
        call(ax)
