"""Silhouettes on pictures drawn by hand."""

import numpy as np
import pytest

from genlab.metrics import silhouettes


def square(low=8, high=20, ink=1.0):
    x = np.zeros((28, 28), np.float32)
    x[low:high, low:high] = ink
    return x


def test_what_thresholding_leaves():
    ring, two, dim, tiny = square(), square(), square(ink=0.2), square(13, 15)
    ring[12:16, 12:16], two[:, 13:15] = 0, 0
    found = silhouettes.silhouettes(np.stack([square(), ring, two, dim, tiny]), threshold=0.5)
    assert found.kept.tolist() == [True, True, False, False, False]
    assert found.components.tolist() == [1, 1, 2, 0, 1]
    np.testing.assert_allclose(
        found.area[[0, 1, 3]], [144 / 784, 144 / 784, 0]
    )  # the hole is filled
    assert set(np.unique(found.shapes)) == {0, 1} and found.shapes.shape == (2, 28, 28)
    low = silhouettes.silhouettes(np.stack([dim]), threshold=0.1)
    assert low.kept.tolist() == [True]


def test_pieces_hang_together_by_their_sides():
    x = np.zeros((2, 4, 4))
    x[0, 0, 0] = x[0, 1, 1] = x[1, 0, 0] = x[1, 0, 1] = 1
    assert silhouettes.components(x).tolist() == [2, 1]


def test_a_seam_is_seen_where_it_is():
    rng = np.random.default_rng(0)
    quarters = rng.integers(0, 2, (200, 2, 2))
    torn = np.kron(quarters, np.ones((14, 14)))
    noise = rng.integers(0, 2, (200, 28, 28))
    assert silhouettes.seam(torn) == pytest.approx(0.5, abs=0.1)
    assert silhouettes.changes(torn).argmax() == 13
    # 200 × 28 pairs on each of ten lines: the error of a share is 0.5 / √5600
    assert abs(silhouettes.seam(noise)) < 4.5 * 0.5 / np.sqrt(5600)
    assert silhouettes.seam(torn, at=10) == 0
    whole = np.broadcast_to(np.ones((28, 28)), (3, 28, 28))
    assert silhouettes.seam(whole) == 0


def test_the_nearest_shape():
    others = np.stack([square(), square(0, 10)])
    near = square()
    near[8, 8] = 0
    index, share = silhouettes.nearest_shape(np.stack([near, others[1]]), others)
    assert index.tolist() == [0, 1] and share.tolist() == pytest.approx([1 / 784, 0])
    assert silhouettes.nearest_shape(near[None], others[1:])[1][0] > 0.1


def test_bad_input():
    for call, message in (
        (lambda: silhouettes.silhouettes(square()[None], threshold=1.0), "threshold=1.0"),
        (lambda: silhouettes.components(square(ink=0.5)[None]), "zeros and ones"),
        (lambda: silhouettes.seam(square()[None], at=2), "at=2"),
        (lambda: silhouettes.nearest_shape(square()[None], np.ones((2, 3, 3))), "others of shape"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
