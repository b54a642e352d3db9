"""One convolutional classifier per image set: the judge behind every image metric of the book,
trained once and reused.

Distances in its features compare models of this book with each other and with real images, and with
nothing published.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from genlab import checks
from genlab.images.networks import as_images, check_labels, moved, pooled_encoder
from genlab.streams import stream
from genlab.training import Trained
from genlab.training import torch as training
from genlab.training.torch import Descent, device_of, in_batches, run_epochs


@dataclass(frozen=True)
class Rules(training.Rules):
    """How the judge is trained: on copies moved by up to `shift` pixels, with labels smoothed by
    `smoothing`; `flip`: mirrored copies too, for garments, not for digits."""

    lr: float = 2e-3
    lr_last: float | None = 0.0
    shift: int = 2
    flip: bool = False
    smoothing: float = 0.05

    def check(self) -> None:
        super().check()
        checks.count(self.shift, "shift", 0)
        checks.number(self.smoothing, "smoothing", "in [0, 1)")


def train_judge(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    rules: Rules,
    epochs: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
    device: torch.device | str | None = None,
) -> Trained:
    """A judge for images (n, 28, 28) and labels (n,)."""
    judge = pooled_encoder(10, dropout=0.25, seed=stream(seed, "init"), device=device)
    where = device_of(judge)
    data = as_images(images, where), check_labels(labels, len(images), device=where)
    return run_epochs(
        update, judge, data, rules, epochs=epochs, seed=seed, what="judge",
        until=until, resume=resume,
    )  # fmt: skip


def update(descent: Descent, batch: tuple, rules: Rules) -> dict[str, torch.Tensor]:
    """One step down the cross-entropy [nats] of images (n, 1, 28, 28) and labels (n,)."""
    x, labels = batch
    log_odds = descent.net(moved(x, shift=rules.shift, flip=rules.flip))
    loss = functional.cross_entropy(log_odds, labels, label_smoothing=rules.smoothing)
    return {"loss": descent.down(loss)}


def judged(judge: nn.Sequential, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 128), which are positive, and class probabilities (n, 10) of
    images (n, 28, 28)."""
    where = device_of(judge)
    features = in_batches(judge[:-1], as_images(images, where))
    with torch.no_grad():
        return features, judge[-1](torch.from_numpy(features).to(where)).softmax(1).cpu().numpy()
