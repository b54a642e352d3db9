"""Every picture draws what it was given, with labels, the same each time."""

import numpy as np
import pytest
from drawn import BOX, gaussian, pixels

from genlab import plots
from genlab.plots import codes, pictures

pytestmark = pytest.mark.usefixtures("clean_figures")


def drawings(rng) -> dict:
    """One call of every picture, on data drawn from rng."""
    x, null, curve = (
        rng.normal(size=(200, 2)),
        rng.normal(1, 0.1, 20),
        np.exp(-np.arange(1, 51) / 20),
    )
    return {
        "scatter": lambda ax: plots.scatter(ax, x, kind="ebm", box=BOX, label="model"),
        "density": lambda ax: plots.density(ax, lambda p: np.exp(gaussian(p)), BOX, bins=40),
        "log density": lambda ax: plots.density(ax, gaussian, BOX, log=True, bins=40),
        "energy": lambda ax: plots.energy(ax, lambda p: -gaussian(p), BOX, bins=40),
        "arrows": lambda ax: plots.arrows(ax, x[:20], -x[:20], kind="dsm", box=BOX),
        "histories": lambda ax: plots.histories(
            ax,
            100 * np.arange(1, 51),
            {"a": (curve, "train"), "b": (curve[:, None] * [1, 2], "gan")},
            ylabel="loss",
        ),
        "null_strip": lambda ax: plots.null_strip(ax, {"EBM": (1.3, "ebm")}, null, xlabel="W₂"),
        "bars": lambda ax: plots.bars(
            ax, {"a": (1.0, 0.1, "dsm"), "b": (2.0, None, "gan")}, ylabel="y", limit=0.5
        ),
        "distributions": lambda ax: plots.distributions(
            ax, {"real": (null, "data")}, ylabel="log density"
        ),
        "codes": lambda ax: codes.by_class(ax, x, np.arange(200) % 2, ("a", "b")),
        "mosaic": lambda ax: pictures.mosaic(ax, x[:196].reshape(8, 7, 7), 4),
        "filters": lambda ax: pictures.filters(ax, x[:196].reshape(8, 7, 7), 4),
        "rows": lambda ax: pictures.rows(
            ax, {"a": x[:49].reshape(2, 7, 7), "b": -x[:49].reshape(2, 7, 7)}
        ),
    }


@pytest.mark.parametrize("name", list(drawings(np.random.default_rng(0))))
def test_every_picture_draws_something_labelled_and_repeats(name):
    def once():
        return pixels(drawings(np.random.default_rng(0))[name])

    drawn, empty = once(), pixels(lambda ax: ax.set(xlabel="x₁", ylabel="x₂"))
    assert (drawn != once()).sum() == 0
    assert (
        drawn.shape != empty.shape
        or (np.abs(drawn.astype(int) - empty).max(axis=2) > 40).mean() > 0.002
    )
    _, axes = plots.panels(1)
    assert drawings(np.random.default_rng(0))[name](axes[0]) is axes[0]
    if name not in ("mosaic", "filters", "rows"):  # pictures of images have no axes
        assert axes[0].get_xlabel() or axes[0].get_xticklabels()
        assert axes[0].get_ylabel() or axes[0].get_yticklabels()
