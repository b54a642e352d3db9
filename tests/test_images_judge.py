"""The judge: it learns, says the same twice, and the same of an image alone and among others."""

import numpy as np
import pytest
from blobs import blobs

from genlab.images.judge import Rules, judged, train_judge


@pytest.fixture(scope="module")
def pictures():
    """Blurred blobs at four places: (400, 28, 28) bytes and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 400)
    centres = np.array([[9, 9], [9, 19], [19, 9], [19, 19]])[labels] + rng.normal(size=(400, 2))
    return np.uint8(255 * blobs(centres)), labels


def test_it_learns_and_says_the_same_twice(pictures):
    images, labels = pictures
    judge = train_judge(images[:300], labels[:300], rules=Rules(), epochs=6, seed=0).model
    features, p = judged(judge, images[300:])
    assert (
        features.shape == (100, 128)
        and features.min() >= 0
        and p.sum(1) == pytest.approx(np.ones(100), abs=1e-5)
    )
    assert (p.argmax(1) == labels[300:]).mean() >= 0.95  # chance is 0.25
    again = judged(judge, images[300:])
    assert all(np.array_equal(a, b) for a, b in zip((features, p), again, strict=True))


def test_one_image_is_judged_as_among_others(pictures):
    """Statistics of the batch belong to training: judged alone or in company, an image gets
    the same answer."""
    judge = train_judge(*(a[:300] for a in pictures), rules=Rules(), epochs=1, seed=1).model
    together, alone = judged(judge, pictures[0][:50])[1][:1], judged(judge, pictures[0][:1])[1]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    judge.train()  # the wrong twin: the batch decides
    assert (
        np.abs(judged(judge, pictures[0][:50])[1][:1] - judged(judge, pictures[0][:2])[1][:1]).max()
        > 1e-3
    )


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((5, 28, 27)), np.zeros(5, int), r"must be \(n, 28, 28\)"),
        (np.zeros((5, 28, 28)), np.full(5, 10), "whole numbers from 0 to 9"),
        (np.full((5, 28, 28), 2.0), np.zeros(5, int), r"bytes, or finite numbers in \[0, 1\]"),
    ],
)
def test_bad_data_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        train_judge(images, labels, rules=Rules(batch_size=5), epochs=1, seed=0)
