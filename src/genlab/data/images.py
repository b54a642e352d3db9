"""MNIST and Fashion-MNIST from the project's own `data/` folder, checked against their recorded
checksums at every load."""

import math
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genlab import checks
from genlab.data.files import DATA, DataError, read

NAMES = ("mnist", "fashion-mnist")
SPLITS = {"train": "train", "test": "t10k"}
CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        "t-shirt", "trouser", "pullover", "dress", "coat",
        "sandal", "shirt", "sneaker", "bag", "boot",
    ),
}  # fmt: skip
UNSIGNED_BYTE = 0x08


class Images(NamedTuple):
    """images (n, 28, 28) uint8, 0 is background; labels (n,) uint8, 0-9."""

    images: np.ndarray
    labels: np.ndarray


def load(name: str, split: str, *, folder: Path = DATA) -> Images:
    """The `split` ("train": 60,000, "test": 10,000) of "mnist" (LeCun et al. 1998) or
    "fashion-mnist" (Xiao et al. 2017).

    Raises ValueError for another name or split, DataError for a missing or broken file.
    """
    checks.one_of(name, "name", NAMES)
    checks.one_of(split, "split", SPLITS)
    prefix = f"{name}/{SPLITS[split]}"
    images = read_idx(f"{prefix}-images-idx3-ubyte", folder)
    labels = read_idx(f"{prefix}-labels-idx1-ubyte", folder)
    if images.shape[1:] != (28, 28) or labels.shape != (len(images),):
        raise DataError(
            f"data/{prefix}-*: images {images.shape} and labels {labels.shape}, not (n, 28, 28) "
            "and (n,): restore data/ from git"
        )
    return Images(images, labels)


def read_idx(name: str, folder: Path = DATA) -> np.ndarray:
    """The array in the IDX file data/`name`, once its SHA-256 is the recorded one.

    IDX: two zero bytes, a type byte, the number of axes, the length of each axis
    (big-endian uint32), then the values.
    """
    raw = read(name, folder)
    zero, kind, axes = struct.unpack(">HBB", raw[:4].ljust(4))
    if (zero, kind) != (0, UNSIGNED_BYTE):
        raise DataError(
            f"data/{name} is no IDX file of unsigned bytes (header {raw[:4].hex()}): "
            "restore it from git"
        )
    shape = struct.unpack(f">{axes}I", raw[4 : 4 + 4 * axes].ljust(4 * axes))
    values = np.frombuffer(raw[4 + 4 * axes :], np.uint8)
    if values.size != math.prod(shape):
        raise DataError(
            f"data/{name} announces {shape} but holds {values.size} values: restore it from git"
        )
    return values.reshape(shape)
