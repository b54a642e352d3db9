"""MNIST and Fashion-MNIST: known facts about the files, and every broken file refused
with the remedy."""

import hashlib
import struct

import numpy as np
import pytest

from genlab.data import images
from genlab.data.files import DataError, read
from genlab.data.images import load, read_idx

# Number of training digits of each class (LeCun et al. 1998, counted in many publications).
MNIST_TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
UNPACKED_MNIST_TEST_LABELS = "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"


@pytest.mark.parametrize("name", images.NAMES)
@pytest.mark.parametrize(("split", "n"), [("train", 60_000), ("test", 10_000)])
def test_shapes_and_ranges(name, split, n):
    pictures, labels = load(name, split)
    assert pictures.shape == (n, 28, 28) and pictures.dtype == np.uint8
    assert labels.shape == (n,) and set(np.unique(labels)) == set(range(10))
    assert pictures.min() == 0 and pictures.max() == 255


def test_class_counts():
    assert np.bincount(load("mnist", "train").labels).tolist() == MNIST_TRAIN_COUNTS
    assert np.bincount(load("fashion-mnist", "test").labels).tolist() == [1000] * 10
    assert len(images.CLASSES["fashion-mnist"]) == len(images.CLASSES["mnist"]) == 10


def test_first_digits_and_unpacked_checksum():
    assert load("mnist", "train").labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    raw = read("mnist/t10k-labels-idx1-ubyte")
    assert hashlib.sha256(raw).hexdigest() == UNPACKED_MNIST_TEST_LABELS


def test_digits_are_the_right_way_up():
    """A one is tall; the wrong twin, read with rows and columns exchanged, is wide."""
    pictures, labels = load("mnist", "test")
    ones = pictures[labels == 1].mean(axis=0)

    def tall(picture):
        rows, columns = np.indices(picture.shape)
        weight = picture / picture.sum()
        return (weight * (rows - 13.5) ** 2).sum() > (weight * (columns - 13.5) ** 2).sum()

    assert tall(ones) and not tall(ones.T)


def write(folder, raw: bytes) -> None:
    """A data file in the same format with a correct checksum."""
    (folder / "small").write_bytes(raw)
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(raw).hexdigest()}  small\n")


def test_idx_header(tmp_path):
    write(tmp_path, struct.pack(">HBB3I", 0, 8, 3, 3, 2, 2) + bytes(range(12)))
    np.testing.assert_array_equal(read_idx("small", tmp_path), np.arange(12).reshape(3, 2, 2))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (struct.pack(">HBB1I", 0, 13, 1, 4) + bytes(4), "no IDX file of unsigned bytes"),
        (struct.pack(">HBB1I", 0, 8, 1, 5) + bytes(4), "holds 4 values"),
        (struct.pack(">HBB1I", 0, 8, 3, 5), "holds 0 values"),
        (b"", "no IDX file"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path, raw, words):
    write(tmp_path, raw)
    with pytest.raises(DataError, match=words):
        read_idx("small", tmp_path)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="name='cifar' must be one of mnist, fashion-mnist"):
        load("cifar", "train")
    with pytest.raises(ValueError, match="split='valid' must be one of train, test"):
        load("mnist", "valid")
