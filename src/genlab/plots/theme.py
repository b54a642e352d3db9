"""The look of every figure: one colour per meaning, a light card that stands on light and dark
pages alike."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

DPI = 110
INK = "#2b303b"
CARD = "#fdfdfb"

# Distinct for the common kinds of colour blindness; each differs from the others in lightness or
# hue.
COLORS = {
    # what a number stands beside
    "data": "#39424e",
    "null": "#a7adb8",
    "limit": "#14171c",
    "source": "#8a6a33",
    "failure": "#c3272f",
    "train": "#4aa8c4",
    "validation": "#433e91",
    # models of the plane
    "ebm": "#e0802a",
    "dsm": "#2a6fb5",
    "ddpm": "#169b7b",
    # adversarial games, of the plane and of images
    "gan": "#b5479b",
    "discriminator": "#57b98a",
    "mlp": "#6b1e3f",
    "wgan": "#5cc04c",
    "wgan_gp": "#2e5cff",
    # Boltzmann machines
    "rbm": "#8fa31e",
    "dbn": "#3d7a2f",
    "dbm": "#7b3fa0",
    # autoencoders and what they are compared with
    "autoencoder": "#2f7f8f",
    "vae": "#c06a1f",
    "pca": "#7c86c6",
    "relu": "#5d4a1f",
    "bits": "#d4618c",
    # optimal transport
    "emd": "#0d5f73",
    "sinkhorn": "#f07f95",
    "linear": "#d9bf2b",
}

# Likelier is darker, in densities and in energies.
LIKELIHOOD = LinearSegmentedColormap.from_list(
    "likelihood",
    [CARD, "#d9ecee", "#a3d3da", "#5fb0c5", "#2f86b0", "#245a95", "#25316a", "#191a3c"],
)


def color(kind: str) -> str:
    """The colour of a meaning.  Raises ValueError for a kind that has none."""
    if kind not in COLORS:
        raise ValueError(f"unknown kind {kind!r}: use one of {', '.join(COLORS)}")
    return COLORS[kind]


def style() -> None:
    """Set the book's look for all figures of this process; call once per notebook."""
    sns.set_theme(
        context="notebook",
        style="ticks",
        rc={
            "figure.dpi": DPI,
            "savefig.dpi": DPI,
            "figure.facecolor": CARD,
            "savefig.facecolor": CARD,
            "savefig.bbox": "tight",
            "savefig.pad_inches": 0.12,
            "figure.constrained_layout.use": True,
            "axes.facecolor": CARD,
            "axes.edgecolor": "#8b93a1",
            "axes.linewidth": 0.8,
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "axes.titlesize": 10,
            "axes.titleweight": "bold",
            "axes.titlepad": 6,
            "axes.labelsize": 9.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "xtick.labelsize": 8.5,
            "ytick.labelsize": 8.5,
            "xtick.color": "#667080",
            "ytick.color": "#667080",
            "xtick.labelcolor": INK,
            "ytick.labelcolor": INK,
            "xtick.major.size": 3,
            "ytick.major.size": 3,
            "xtick.major.width": 0.8,
            "ytick.major.width": 0.8,
            "legend.fontsize": 8.5,
            "legend.frameon": False,
            "text.color": INK,
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],
            "lines.linewidth": 1.6,
            "lines.solid_capstyle": "round",
        },
    )


def sentence(name: str) -> str:
    """A name as a title in sentence case: "eight_gaussians" -> "Eight Gaussians";
    acronyms and Greek letters stay."""
    words = name.replace("_", " ").replace("gaussian", "Gaussian")
    return (words[:1].upper() if words[:1].isascii() else words[:1]) + words[1:]


def panels(
    n: int, *, columns: int = 4, size: float = 2.6, titles: Sequence[str] = ()
) -> tuple[Figure, np.ndarray]:
    """A figure of `n` equal panels, `size` inches wide, at most `columns` in a row;
    returns it and its n axes, flat.

    Missing or empty titles leave the panel without one.  Raises ValueError for n < 1 or more
    titles than panels.
    """
    if n < 1:
        raise ValueError(f"n={n} must be at least 1 panel")
    if len(titles) > n:
        raise ValueError(f"{len(titles)} titles for n={n} panels: give at most one title a panel")
    columns = min(columns, n)
    rows = -(-n // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(size * columns, size * rows), squeeze=False, layout="constrained"
    )
    flat: np.ndarray = axes.ravel()
    for ax, title in zip(flat, titles, strict=False):
        ax.set_title(sentence(title))
    for ax in flat[n:]:
        ax.remove()
    return fig, flat[:n]


def square(ax: Axes, box: float) -> Axes:
    """Show [-box, box]² with equal scales and the axes' names."""
    ax.set(xlim=(-box, box), ylim=(-box, box), xlabel="x₁", ylabel="x₂")
    ax.set_aspect("equal")
    ax.locator_params(nbins=5)
    return ax
