"""Stacked digits have their colours, and what is no stack is refused."""

import numpy as np
import pytest

from genlab import plots
from genlab.plots import games, pictures


def test_a_stack_shows_each_channel_in_its_colour():
    stack = np.zeros((2, 3, 4, 4))
    stack[0, 0, 1, 2] = stack[1, 2, 3, 0] = 1  # red in the first, blue in the second
    _, (ax,) = plots.panels(1)
    shown = np.asarray(games.stacks(ax, stack, 2).images[0].get_array())
    assert shown.shape == (4, 8 + pictures.GAP, 3)
    assert shown[1, 2].tolist() == [1, 0, 0] and shown[3, 4 + pictures.GAP].tolist() == [0, 0, 1]
    assert shown[0, 0].tolist() == [0, 0, 0] and (shown[:, 4 : 4 + pictures.GAP] == 1).all()


@pytest.mark.parametrize("shape", [(2, 28, 28), (2, 1, 28, 28)])
def test_what_is_no_stack_is_refused(shape):
    _, (ax,) = plots.panels(1)
    with pytest.raises(ValueError, match="must be"):
        games.stacks(ax, np.zeros(shape), 2)
