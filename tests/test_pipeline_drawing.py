"""What is stored of a figure: the numbers behind it, where they lie in the picture, sharpness."""

import base64
import io
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image
from pipeline import Project, succeed

from genlab.pipeline.execution import drawing

RED = "#ff0000"


@pytest.fixture
def fig():
    """Two panels: a red curve with a limit, a band and a cloud; and two bars, one named."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
    left.plot([0, 1, 4], [2, 3, np.nan], color=RED, label="loss")
    left.axhline(2.5)
    left.plot(np.arange(500.0), np.arange(500.0), ".")
    left.set(title="left", xlabel="steps", ylabel="nats", xlim=(0, 4), ylim=(1, 3))
    right.bar([0, 1], [5.0, 0.25], color=RED)
    right.set_xticks([0, 1], ["ours", "theirs"])
    right.set_yscale("log")
    fig.canvas.draw()
    yield fig
    plt.close(fig)


def test_the_numbers_behind_curves_and_bars(fig):
    left, right = drawing.numbers(fig)
    (curve,) = left["series"]  # neither the limit across the panel nor the cloud
    assert curve == {"label": "loss", "color": RED, "x": [0, 1, 4], "y": [2, 3, None]}
    assert (left["title"], left["x"]["label"], left["y"]["limits"]) == ("left", "steps", [1, 3])
    assert [(s["label"], s["x"], s["y"]) for s in right["series"]] == [
        ("ours", [0], [5]),
        ("theirs", [1], [0.25]),
    ]
    assert right["y"]["scale"] == "log"
    json.dumps([left, right], allow_nan=False)


def test_a_long_curve_keeps_its_ends(fig):
    fig.axes[0].plot(np.linspace(0, 4, 5000), np.linspace(1, 3, 5000), label="long")
    long = next(drawing.numbers(fig))["series"][-1]
    assert len(long["x"]) == drawing.MOST and (long["x"][0], long["x"][-1]) == (0, 4)


def test_the_box_of_a_panel_is_where_its_pixels_are(fig):
    """The red curve's first point, found by its colour, lies where box and limits say."""
    picture = Image.open(io.BytesIO(drawing.sharp(fig))).convert("RGB")
    red = (np.asarray(picture).astype(int) - [255, 0, 0]).__abs__().sum(axis=-1) < 60
    panel = next(drawing.numbers(fig))
    left, top, right, bottom = panel["box"]
    (x0, x1), (y0, y1) = panel["x"]["limits"], panel["y"]["limits"]
    x = (left + (right - left) * (0.5 - x0) / (x1 - x0)) * picture.width
    y = (bottom - (bottom - top) * (2.5 - y0) / (y1 - y0)) * picture.height

    def close(x, y):
        return red[round(y) - 5 : round(y) + 6, round(x) - 5 : round(x) + 6].any()

    assert close(x, y)
    assert not close(x, y - 0.1 * picture.height)


def test_a_sharp_figure_has_twice_the_pixels_a_side_and_few_colours(fig):
    plain = io.BytesIO()
    fig.savefig(plain, format="png", bbox_inches="tight")
    small, large = Image.open(plain), Image.open(io.BytesIO(drawing.sharp(fig)))
    assert np.abs(np.subtract(large.size, np.multiply(small.size, 2))).max() <= 2
    assert large.mode == "P" and large.info["dpi"] == pytest.approx((192, 192), abs=0.1)
    assert drawing.sharp(fig) == drawing.sharp(fig)


def test_to_look_at_the_numbers_moves_nothing(fig):
    """The layout is not settled by one drawing; the picture after it must be the one before."""

    def places():
        return [tuple(ax.get_position().bounds) for ax in fig.axes]

    before = places()
    list(drawing.numbers(fig))
    assert places() == before


def test_a_figure_without_curves_has_no_numbers():
    fig, ax = plt.subplots()
    ax.imshow(np.eye(3))
    fig.canvas.draw()
    assert list(drawing.numbers(fig)) == []
    plt.close(fig)


@pytest.mark.slow
def test_a_full_run_is_sharp_and_a_quick_one_is_not(tmp_path):
    project = Project(tmp_path)
    path = project.root / "notebooks/first.md"
    cell = "\n```{code-cell} ipython3\n---\nmystnb:\n  image:\n    alt: a line\n---\n"
    code = "import matplotlib.pyplot as plt\n\n_ = plt.plot([1, 2], [3, 4])\n```\n"
    path.write_text(path.read_text() + cell + code)
    widths = {}
    for profile in ("quick", "full"):
        succeed(project, "run", "first", "--profile", profile)
    for file in (project.root / "runs/first").glob("*/notebook.ipynb"):
        profile = json.loads((file.parent / "record.json").read_text())["profile"]
        (data,) = (
            output["data"]
            for c in json.loads(file.read_text())["cells"]
            for output in c.get("outputs", [])
            if "image/png" in output.get("data", {})
        )
        (panel,) = data[drawing.NUMBERS]
        assert panel["series"][0]["y"] == [3, 4]
        png = base64.b64decode(data["image/png"])
        widths[profile] = Image.open(io.BytesIO(png)).width
    assert widths["full"] == pytest.approx(2 * widths["quick"], abs=2)
