"""The picture of the first page and of the README: published samples of each model family over the
true densities.

Run by `make cover`; writes book/_static/cover.png.  Until a family is published its panel shows
real points, in their colour.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from genlab import plots
from genlab.data.toy import DENSITIES, SETS
from genlab.pipeline.runs.publish import lighter

BOOK = Path(__file__).parent
FAMILIES = {"ebm": "ebm", "dsm": "dsm", "ddpm": "ddpm", "gan_toy": "gan"}


def points(family: str, name: str) -> tuple[np.ndarray, str]:
    """The family's published samples of a set and its kind, or real points where there are none."""
    arrays = BOOK / "published" / f"{family}.npz"
    if arrays.exists():
        return np.load(arrays)[f"{name}_samples"], FAMILIES[family]
    return DENSITIES[name].sample(2000, rng=np.random.default_rng(0)), "data"


def main() -> None:
    plots.style()
    fig, axes = plt.subplots(1, 4, figsize=(12.8, 3.4), layout="constrained")
    for ax, name, family in zip(axes, SETS, FAMILIES, strict=True):
        box = 4.4 if name == "checkerboard" else 4.7
        plots.density(ax, DENSITIES[name].log_prob, box, log=True)
        ax.images[0].set_alpha(0.3)
        samples, kind = points(family, name)
        plots.scatter(ax, samples, kind=kind, box=box)
        ax.collections[0].set(alpha=0.75, sizes=[5])
        ax.set_axis_off()
    picture = BOOK / "_static" / "cover.png"
    fig.savefig(picture, dpi=120)
    picture.write_bytes(lighter(picture.read_bytes()))


if __name__ == "__main__":
    main()
