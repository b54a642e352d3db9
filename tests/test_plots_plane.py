"""Points, densities and energies in the plane are drawn where they are."""

import numpy as np
import pytest
from drawn import BOX
from matplotlib.colors import to_hex

from genlab import plots
from genlab.plots.plane import _grid

pytestmark = pytest.mark.usefixtures("clean_figures")


@pytest.fixture
def points(rng):
    return rng.normal(size=(300, 2))


def test_scatter_has_the_colour_of_its_meaning_and_all_points(points):
    _, (ax,) = plots.panels(1)
    plots.scatter(ax, points, kind="ddpm", box=BOX)
    (cloud,) = ax.collections
    assert to_hex(cloud.get_facecolors()[0]) == plots.COLORS["ddpm"]
    np.testing.assert_allclose(cloud.get_offsets(), points)
    assert ax.get_xlim() == (-BOX, BOX)


def test_density_puts_the_peak_where_it_is():
    """The darkest cell is at the peak; the wrong twin, with the axes exchanged, is not."""
    peak = np.array([1.2, -0.6])

    def bump(x):
        return np.exp(-((x - peak) ** 2).sum(axis=1) / 0.1)

    def darkest(f):
        _, (ax,) = plots.panels(1)
        values = plots.density(ax, f, BOX, bins=60).images[0].get_array()
        return _grid(BOX, 60)[np.argmax(values)]

    cell = 2 * BOX / 60
    assert np.abs(darkest(bump) - peak).max() <= cell
    assert np.abs(darkest(lambda x: bump(x[:, ::-1])) - peak).max() > cell


def test_lower_energy_is_darker_and_minus_infinity_is_the_page():
    _, axes = plots.panels(2)
    energy = plots.energy(axes[0], lambda x: (x**2).sum(axis=1), BOX, bins=41).images[0]
    middle, corner = energy.get_array()[20, 20], energy.get_array()[0, 0]
    assert sum(energy.to_rgba(middle)[:3]) < sum(energy.to_rgba(corner)[:3])
    half = np.where(_grid(BOX, 40)[:, 0] > 0, 0.0, -np.inf)
    image = plots.log_density_grid(axes[1], half, BOX).images[0]
    assert np.isfinite(image.get_array()).all()
    assert (
        image.get_array()[0, 0] == image.norm.vmin and image.get_array()[0, -1] == image.norm.vmax
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda ax: plots.scatter(ax, np.zeros((3, 2)), kind="flow"),
            "unknown kind 'flow': use one of data",
        ),
        (lambda ax: plots.scatter(ax, np.zeros((3, 4))), r"\(3, 4\) must have shape \(n, 2\)"),
        (lambda ax: plots.log_density_grid(ax, np.zeros(10), BOX), "10 values make no square"),
    ],
)
def test_bad_input_is_refused_in_words(call, words):
    _, (ax,) = plots.panels(1)
    with pytest.raises(ValueError, match=words):
        call(ax)
