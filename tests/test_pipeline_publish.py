"""Published runs hold no path of the machine; their figures are lighter and look the same,
or stay as they are."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image
from pipeline import Project, one_line

from genlab.pipeline.runs.publish import LOSS, lighter


def png(picture) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def chart() -> bytes:
    fig, ax = plt.subplots(figsize=(3, 2), facecolor="white")
    for i, color in enumerate(("#1f5fa8", "#e08a1e", "#2f8f4e")):
        ax.plot(np.sin(np.arange(60) / 9 + i), color=color)
        ax.fill_between(np.arange(60), i, i + 0.5, color=color, alpha=0.3)
    file = io.BytesIO()
    fig.savefig(file, format="png")
    plt.close(fig)
    return file.getvalue()


def test_a_chart_gets_much_lighter_and_looks_the_same():
    before = chart()
    after = lighter(before)
    a, b = (np.asarray(Image.open(io.BytesIO(x)).convert("RGB"), float) for x in (before, after))
    assert (
        len(after) < 0.7 * len(before)
        and a.shape == b.shape
        and np.sqrt(((a - b) ** 2).mean()) <= LOSS
    )
    assert lighter(after) == after  # publishing what was published changes nothing


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_what_a_palette_would_spoil_stays_as_it_is(mode):
    """A picture of more colours than a palette has, and one that the page shines through."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 64, len(mode)), dtype=np.uint8)
    if mode == "RGBA":
        pixels[:, :, :3] = 200
    before = png(Image.fromarray(pixels, mode))
    assert lighter(before) == before


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.mark.slow
def test_publish_refuses_absolute_paths(project):
    root = "from genlab.section.paths import ROOT\nprint(ROOT)\n"
    project.edit("notebooks/second.md", "first = section", f"{root}first = section")
    assert project.genlab("run", "second", "--profile", "full").returncode == 0
    result = project.genlab("publish", "second")
    assert result.returncode == 2 and "absolute path" in one_line(result.stderr)
