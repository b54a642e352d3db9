"""Autoencoders that know classes: a linear classifier on the codes, training of both together, and
codes to draw new images of a class from."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch import nn
from torch.nn import functional

from genlab import checks
from genlab.autoencoders.convolutional import LOSSES, Autoencoder, codes
from genlab.images.networks import as_images, check_labels, mlp, moved
from genlab.streams import stream
from genlab.training import Trained
from genlab.training import torch as training
from genlab.training.torch import Descent, device_of, in_batches, run_epochs


class Classified(nn.Module):
    """An autoencoder `net` with a linear classifier `head` on its codes."""

    def __init__(self, net: Autoencoder, head: nn.Module):
        super().__init__()
        self.net, self.head = net, head

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Codes (n, latent_dim) and log-odds of the classes (n, n_classes) of images
        (n, 1, 28, 28)."""
        z = self.net.encode(x)
        return z, self.head(z)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """(n, n_classes)."""
        return in_batches(lambda x: self(x)[1].softmax(1), as_images(images, device_of(self)))


def train_probe(
    net: Autoencoder,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    rules: training.Rules,
    epochs: int,
    seed: int,
    n_classes: int = 10,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """A linear classifier on the codes of `net`, which stays as it is: source D's one-layer
    matcher.  The model is a `Classified`."""
    where, z = device_of(net), codes(net, images)
    y = check_labels(labels, len(images), n_classes, device=where)
    head = mlp([z.shape[1], n_classes], seed=stream(seed, "init") + 2, device=where)
    trained = run_epochs(
        probe_update, head, (torch.from_numpy(z).to(where), y), rules, epochs=epochs, seed=seed,
        what="probe", until=until, resume=resume,
    )  # fmt: skip
    return trained._replace(model=Classified(net, head))


def probe_update(descent: Descent, batch: tuple, rules: training.Rules) -> dict[str, torch.Tensor]:
    """One step down the cross-entropy [nats] of codes (n, latent_dim) and labels (n,)."""
    z, labels = batch
    return {"loss": descent.down(functional.cross_entropy(descent.net(z), labels))}


@dataclass(frozen=True)
class TuningRules(training.Rules):
    """How autoencoder and classifier are trained together: `weight` of the cross-entropy, of labels
    smoothed by `smoothing`, beside the error, a sum over pixels; `shift` and `flip` as for `moved`.

    Source D's sum of a *mean* over pixels and the cross-entropy is weight=784.
    """

    weight: float = 1.0
    smoothing: float = 0.0
    shift: int = 0
    flip: bool = False

    def check(self) -> None:
        super().check()
        checks.number(self.weight, "weight", "at least 0")
        checks.number(self.smoothing, "smoothing", "in [0, 1)")
        checks.count(self.shift, "shift", 0)


def fine_tune(
    both: Classified,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    rules: TuningRules,
    epochs: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """A copy of `both` whose encoder, decoder and classifier were trained together by
    `tuning_update` on images (n, 28, 28) and labels (n,)."""
    both = copy.deepcopy(both)
    where, n_classes = device_of(both), both.head[-1].out_features
    data = as_images(images, where), check_labels(labels, len(images), n_classes, device=where)
    return run_epochs(
        tuning_update, both, data, rules, epochs=epochs, seed=seed, what="fine-tuning",
        until=until, resume=resume,
    )  # fmt: skip


def tuning_update(descent: Descent, batch: tuple, rules: TuningRules) -> dict[str, torch.Tensor]:
    """One step down the error of reconstructing images plus weight · cross-entropy [nats]."""
    both, (x, labels) = descent.net, batch
    x = moved(x, shift=rules.shift, flip=rules.flip)
    z, log_odds = both(x)
    cross_entropy = functional.cross_entropy(log_odds, labels, label_smoothing=rules.smoothing)
    errors = LOSSES[both.net.loss](both.net.decode(z), x)
    return {"loss": descent.down(errors.mean() + rules.weight * cross_entropy)}


def prototypes(
    both: Classified, images: np.ndarray, labels: np.ndarray, *, share: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Source D's recipe: mean and standard deviation, each (n_classes, latent_dim), of the codes of
    each class's `share` of images that the classifier is surest of."""
    images = checks.images(images)
    labels = checks.labels(labels, "labels", len(images))
    checks.number(share, "share", "in [0, 1]")
    z, sure = codes(both.net, images), both.probabilities(images)
    if np.bincount(labels, minlength=sure.shape[1]).min() < 2:
        raise ValueError(f"labels hold {np.bincount(labels)} of the classes: at least two of each")
    picked = []
    for c in range(sure.shape[1]):
        own = np.flatnonzero(labels == c)
        picked.append(own[np.argsort(-sure[own, c])[: max(2, round(share * len(own)))]])
    return np.stack([z[p].mean(0) for p in picked]), np.stack([z[p].std(0, ddof=1) for p in picked])


def class_mixtures(
    z: np.ndarray, labels: np.ndarray, *, components: int, seed: int
) -> list[GaussianMixture]:
    """The repair: a Gaussian mixture for the codes of each class, all of them,
    with full covariances."""
    z = checks.points(2, dtype=None, z=z)[0]
    labels = checks.labels(labels, "labels", len(z))
    least = np.bincount(labels).min()
    components = checks.count(components, "components", 1, least, ": codes of the smallest class")
    return [
        GaussianMixture(components, random_state=stream(seed, "train")).fit(z[labels == c])
        for c in range(int(labels.max()) + 1)
    ]
