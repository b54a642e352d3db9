"""MNIST and Fashion-MNIST: known facts about the files, and every broken file refused
with the remedy."""

import gzip
import hashlib
import struct

import numpy as np
import pytest

from genlab.data import images
from genlab.data.images import DATA, DataError, load, read_idx

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
    raw = gzip.decompress((DATA / "mnist/t10k-labels-idx1-ubyte.gz").read_bytes())
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


@pytest.fixture
def folder(tmp_path):
    """A small data folder in the same format: three 2 x 2 pictures, with a correct checksum."""
    write(tmp_path, struct.pack(">HBB3I", 0, 8, 3, 3, 2, 2) + bytes(range(12)))
    return tmp_path


def write(folder, raw: bytes) -> None:
    packed = gzip.compress(raw, mtime=0)
    (folder / "small.gz").write_bytes(packed)
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(packed).hexdigest()}  small.gz\n")


def test_idx_header(folder):
    np.testing.assert_array_equal(read_idx("small.gz", folder), np.arange(12).reshape(3, 2, 2))


def test_a_flipped_byte_is_refused(folder):
    """Wrong twin: one bit less in the file, and it says which file, both checksums,
    and what to do."""
    content = bytearray((folder / "small.gz").read_bytes())
    expected = hashlib.sha256(content).hexdigest()
    content[-1] ^= 1
    (folder / "small.gz").write_bytes(content)
    with pytest.raises(DataError) as error:
        read_idx("small.gz", folder)
    for word in (
        "data/small.gz is broken",
        expected,
        hashlib.sha256(content).hexdigest(),
        "git checkout",
    ):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (struct.pack(">HBB1I", 0, 13, 1, 4) + bytes(4), "no IDX file of unsigned bytes"),
        (struct.pack(">HBB1I", 0, 8, 1, 5) + bytes(4), "holds 4 values"),
    ],
)
def test_a_wrong_header_is_refused(folder, raw, words):
    write(folder, raw)
    with pytest.raises(DataError, match=words):
        read_idx("small.gz", folder)


def test_missing_files_are_named(folder):
    with pytest.raises(DataError, match="not listed in data/SHA256SUMS"):
        read_idx("other.gz", folder)
    (folder / "small.gz").unlink()
    with pytest.raises(
        DataError, match=r"data/small.gz is missing \(expected SHA-256 [0-9a-f]{64}\).*git checkout"
    ):
        read_idx("small.gz", folder)
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(DataError, match="SHA256SUMS is missing"):
        read_idx("small.gz", folder)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="unknown data set 'cifar': use mnist or fashion-mnist"):
        load("cifar", "train")
    with pytest.raises(ValueError, match="unknown split 'valid': use train or test"):
        load("mnist", "valid")


def test_every_file_is_listed_and_no_other():
    """Each as it is packed, and what is in it."""
    packed = {n for n in images.checksums() if n.endswith((".gz", ".xz"))}
    files = [p for folder in ("mnist", "fashion-mnist") for p in (DATA / folder).iterdir()]
    present = {p.relative_to(DATA).as_posix() for p in files}
    assert packed == present and len(packed) == 8
    assert {n.rsplit(".", 1)[0] for n in packed} == set(images.checksums()) - packed
