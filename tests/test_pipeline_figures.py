"""Pictures of runs: a likeness that forgives fonts and sees what is empty or different."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest

from genlab.pipeline.gate.figures import similarity, thumbnail


def picture(points, *, font="DejaVu Sans", size=9.0) -> bytes:
    with plt.rc_context({"font.family": font, "font.size": size}):
        fig, axes = plt.subplots(1, 2, figsize=(7, 3))
        axes[0].scatter(*points.T, s=4)
        axes[1].plot(np.sort(points[:, 0]))
        for ax in axes:
            ax.set(xlabel="x one", ylabel="x two", title="A title", xlim=(None, None))
        buffer = io.BytesIO()
        fig.savefig(buffer, format="png")
        plt.close(fig)
    return buffer.getvalue()


def test_pictures_forgive_fonts_and_catch_empty_and_different_ones(rng):
    angle = rng.uniform(0, 2 * np.pi, 800)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.05 * rng.normal(size=(800, 2))
    reference = thumbnail(picture(ring))
    assert similarity(reference, reference) == pytest.approx(1.0)
    same = [
        similarity(reference, thumbnail(picture(ring, font=f, size=s)))
        for f, s in (("DejaVu Serif", 9.0), ("DejaVu Sans", 9.3))
    ]
    other_seed = similarity(reference, thumbnail(picture(ring[:400])))
    empty = similarity(reference, thumbnail(picture(np.full((800, 2), np.nan))))
    blob = similarity(reference, thumbnail(picture(0.3 * rng.normal(size=(800, 2)))))
    assert min(*same, other_seed) > 0.9 > 0.8 > max(empty, blob), (same, other_seed, empty, blob)
