"""The scorecard of images: real ones are one more draw from the null, a rival without structure is
far from it, a repeated image has no variety."""

import numpy as np
import pytest

from genlab.data.images import load
from genlab.metrics import image_scorecard
from genlab.metrics.image_scorecard import MEASURES, Seen

N = 60
AXES = np.random.default_rng(9).normal(size=(784, 8)) / 28


def seen(x):
    """A judge that is a random projection: eight features, and ten probabilities of them."""
    features = x.reshape(len(x), -1) @ AXES
    logits = 4 * features @ np.eye(8, 10)
    p = np.exp(logits - logits.max(1, keepdims=True))
    return Seen(x, features, p / p.sum(1, keepdims=True))


@pytest.fixture(scope="module")
def real():
    images, _ = load("mnist", "test")
    return seen(images[: 4 * N].astype(np.float32) / 255)


@pytest.fixture(scope="module")
def null(real):
    return image_scorecard.null_scorecards(real, n=N, draws=8, rng=np.random.default_rng(0))


def test_more_real_images_are_one_more_draw(real, null, rng):
    half = np.arange(N)
    card = image_scorecard.scorecard(real.some(half + N), real.some(half), rng=rng)
    z = [(card[m] - v.mean()) / max(v.std(ddof=1), 1e-9) for m, v in null.items()]
    assert np.abs(z).max() < 6  # eight draws: a heavy-tailed t


def test_independent_pixels_are_far_from_real(real, null, rng):
    rival = image_scorecard.independent_pixels(real.images, N, rng=rng)
    assert rival.shape == (N, 28, 28)
    means = [x.mean(axis=0).ravel() for x in (rival, real.images)]
    assert np.corrcoef(*means)[0, 1] > 0.95  # each pixel alone is as in the data
    card = image_scorecard.scorecard(seen(rival), real.some(np.arange(N)), rng=rng)
    assert card["swd_average"] > null["swd_average"].max() * 1.5
    assert abs(card["ms_ssim"] - null["ms_ssim"].mean()) > 6 * null["ms_ssim"].std(ddof=1)


def test_one_image_repeated_has_no_variety(real, rng):
    same = real.some(np.zeros(N, int))
    card = image_scorecard.scorecard(same, real.some(np.arange(N)), rng=rng)
    assert card["ms_ssim"] == pytest.approx(1)
    assert (card["modes_of_ten"], card["class_entropy"]) == (1, 0)
    assert card["recall"] < 0.1


def test_rows_to_record(null):
    cards = [{m: i + 1.0 for m in MEASURES} for i in range(3)]
    rows = image_scorecard.measured("gan", cards, null, n=N)
    assert [row["name"] for row in rows] == [f"gan/{m}" for m in MEASURES]
    first = rows[0]
    assert (first["values"], first["over"], first["better"]) == ([1, 2, 3], "seeds", "lower")
    assert first["limit"] == null["frechet"].mean()
    (one, *_) = image_scorecard.measured("gan", cards[:1], null, n=N)
    assert (one["values"], one["over"]) == (1, None)


def test_what_cannot_be_measured_is_refused(real, rng):
    with pytest.raises(ValueError, match="equally many"):
        image_scorecard.scorecard(real, real.some(np.arange(N)), rng=rng)
    with pytest.raises(ValueError, match="half of 240 real images"):
        image_scorecard.null_scorecards(real, n=121, draws=8, rng=rng)
    with pytest.raises(ValueError, match="draws=1"):
        image_scorecard.null_scorecards(real, n=N, draws=1, rng=rng)
    with pytest.raises(ValueError, match="no scorecard"):
        image_scorecard.measured("gan", [], {}, n=N)
