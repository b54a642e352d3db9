"""The judge: it learns, says the same twice, and is moved by neither what it is not shown nor
how it is called."""

import numpy as np
import pytest
import torch
from blobs import blobs

from genlab.images.judge import judged, train_judge
from genlab.images.networks import moved


@pytest.fixture(scope="module")
def pictures():
    """Blurred blobs at four places: (400, 28, 28) bytes and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 400)
    centres = np.array([[9, 9], [9, 19], [19, 9], [19, 19]])[labels] + rng.normal(size=(400, 2))
    return np.uint8(255 * blobs(centres)), labels


def test_it_learns_and_repeats(pictures):
    images, labels = pictures
    before = torch.get_rng_state()
    judges = [train_judge(images[:300], labels[:300], seed=0, epochs=6) for _ in range(2)]
    assert torch.equal(before, torch.get_rng_state())
    features, p = judged(judges[0], images[300:])
    assert (
        features.shape == (100, 128)
        and features.min() >= 0
        and p.sum(1) == pytest.approx(np.ones(100), abs=1e-5)
    )
    assert (p.argmax(1) == labels[300:]).mean() >= 0.95  # chance is 0.25
    again = judged(judges[1], images[300:])
    assert all(np.array_equal(a, b) for a, b in zip((features, p), again, strict=True))


def test_one_image_is_judged_as_among_others(pictures):
    """Statistics of the batch belong to training: judged alone or in company, an image gets
    the same answer."""
    judge = train_judge(*(a[:300] for a in pictures), seed=1, epochs=1)
    together, alone = judged(judge, pictures[0][:50])[1][:1], judged(judge, pictures[0][:1])[1]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    judge.train()  # the wrong twin: the batch decides
    assert (
        np.abs(judged(judge, pictures[0][:50])[1][:1] - judged(judge, pictures[0][:2])[1][:1]).max()
        > 1e-3
    )


def test_moving_shifts_by_whole_pixels_and_mirrors_half():
    x = torch.zeros(2000, 1, 28, 28)
    x[:, 0, 14, 10] = 1
    torch.manual_seed(0)
    out = moved(x, shift=2, flip=True)
    at = out.flatten(1).argmax(1)
    assert out.flatten(1).sum(1).tolist() == [1.0] * 2000
    rows, columns = at // 28, at % 28
    assert len(set(rows.tolist())) == 1 and abs(int(rows[0]) - 14) <= 2
    left = int(columns.min())
    assert abs(left - 10) <= 2 and set(columns.tolist()) == {left, 27 - left}
    assert abs((columns == left).float().mean() - 0.5) < 4 * 0.5 / 2000**0.5
    before = torch.random.get_rng_state()
    assert moved(x, shift=0, flip=False) is x
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((5, 28, 27)), np.zeros(5, int), r"must be \(n, 28, 28\)"),
        (np.zeros((5, 28, 28)), np.full(5, 10), "one from 0 to 9"),
        (np.full((5, 28, 28), 2.0), np.zeros(5, int), r"bytes, or finite numbers in \[0, 1\]"),
    ],
)
def test_bad_data_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        train_judge(images, labels, seed=0, epochs=1)
