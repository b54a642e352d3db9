"""One convolutional classifier per image set: the judge behind every image metric of the book,
trained once and reused.

Distances in its features compare models of this book with each other and with real images, and with
nothing published.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from genlab.images.networks import as_images, check_labels, moved, pooled_encoder
from genlab.streams import stream
from genlab.training.torch import in_batches, train


def train_judge(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    epochs: int,
    flip: bool = False,
    lr: float = 2e-3,
) -> nn.Sequential:
    """A judge for images (n, 28, 28) and labels (n,), trained on copies moved by up to two pixels;
    `flip`: mirrored copies too, for garments, not for digits."""
    judge = pooled_encoder(10, dropout=0.25, seed=stream(seed, "init"))

    def loss(x, y):
        return functional.cross_entropy(
            judge(moved(x, shift=2, flip=flip)), y, label_smoothing=0.05
        )

    data = as_images(images), check_labels(labels, len(images))
    train(judge, loss, data, epochs=epochs, seed=seed, lr=lr, lr_last=0.0, what="judge")
    return judge


def judged(judge: nn.Sequential, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 128), which are positive, and class probabilities (n, 10) of
    images (n, 28, 28)."""
    features = in_batches(judge[:-1], as_images(images))
    with torch.no_grad():
        return features, judge[-1](torch.from_numpy(features)).softmax(1).numpy()
