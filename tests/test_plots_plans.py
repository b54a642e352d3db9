"""Pictures of transport plans show where mass moves."""

import numpy as np
import pytest

from genlab import plots
from genlab.plots import plans

pytestmark = pytest.mark.usefixtures("clean_figures")


@pytest.fixture
def points(rng):
    return rng.normal(size=(300, 2))


def test_pictures_of_plans(points):
    plan = np.zeros((3, 2))
    plan[0, 0] = plan[2, 1] = 0.5
    _, axes = plots.panels(3)
    assert plans.coupling(axes[0], plan, np.arange(3.0), np.arange(2.0)).images[
        0
    ].get_array().shape == (2, 3)
    squares = plans.table(
        axes[1], plan, np.array([[2, 0], [0, 0], [0, -2]]), ["a", "b", "c"], ["x", "y"]
    ).collections
    liked, disliked = squares[0].get_facecolor()[0], squares[5].get_facecolor()[0]
    assert liked[0] > liked[2] and disliked[2] > disliked[0]
    assert not plans.picture(axes[2], np.zeros((4, 4, 3))).axison
