"""Autoencoders: reconstruction losses, sparse codes, noise, fine-tuning together with a classifier,
and samples by class.

Every loss is a sum over pixels and a mean over images, so that losses of different pictures and
batches compare.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold
from torch import nn
from torch.nn import functional

from genlab import checks
from genlab.images.networks import (
    as_images,
    check_labels,
    conv_decoder,
    conv_encoder,
    initialised,
    mlp,
    moved,
    pooled_encoder,
)
from genlab.streams import stream
from genlab.training.torch import in_batches, train

# loss(output of the decoder, images) -> (n,), summed over pixels; "bernoulli" reads the output as
# log-odds.
LOSSES = {
    "mse": lambda out, x: ((out - x) ** 2).flatten(1).sum(1),
    "l1": lambda out, x: (out - x).abs().flatten(1).sum(1),
    "huber": lambda out, x: (
        functional.huber_loss(out, x, reduction="none", delta=0.1).flatten(1).sum(1)
    ),
    "bernoulli": lambda out, x: (
        functional.binary_cross_entropy_with_logits(out, x, reduction="none").flatten(1).sum(1)
    ),
}


class Autoencoder(nn.Module):
    """encoder: images (n, 1, 28, 28) -> codes (n, latent_dim); decoder: codes -> images, log-odds
    if `loss` is "bernoulli".

    `keep`: only that many of a code's largest magnitudes pass to the decoder
    (k-sparse: Makhzani & Frey 2014).
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, *, loss: str = "mse", keep: int | None = None
    ):
        super().__init__()
        checks.one_of(loss, "loss", LOSSES)
        keep = keep if keep is None else checks.count(keep, "keep")
        self.encoder, self.decoder, self.loss, self.keep = encoder, decoder, loss, keep

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Codes (n, latent_dim) of images (n, 1, 28, 28)."""
        z = self.encoder(x)
        if self.keep is None or self.keep >= z.shape[1]:
            return z
        smallest_kept = z.abs().topk(self.keep, dim=1).values[:, -1:]
        return z * (z.abs() >= smallest_kept)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Images (n, 1, 28, 28) of codes, as the loss reads them."""
        return self.decoder(z).view(-1, 1, 28, 28)

    def images(self, z: torch.Tensor) -> torch.Tensor:
        """Grey values in [0, 1] of codes (n, latent_dim)."""
        out = self.decode(z)
        return out.sigmoid() if self.loss == "bernoulli" else out.clamp(0, 1)

    def errors(self, x: torch.Tensor, seen: torch.Tensor | None = None) -> torch.Tensor:
        """The loss (n,) of reconstructing x from `seen`, by default x itself."""
        return LOSSES[self.loss](self.decode(self.encode(x if seen is None else seen)), x)


def conv_autoencoder(latent_dim: int, *, loss: str = "mse", seed: int, **about) -> Autoencoder:
    """The convolutional autoencoder of source D; `about`, sizes and dropout, goes to `conv_encoder`
    and `conv_decoder`."""
    key = stream(seed, "init")
    return Autoencoder(
        conv_encoder(latent_dim, seed=key, **about),
        conv_decoder(latent_dim, seed=key + 1, **about),
        loss=loss,
    )


def train_autoencoder(
    net: Autoencoder,
    images: np.ndarray,
    *,
    seed: int,
    l1: float = 0.0,
    noise: float = 0.0,
    shift: int = 0,
    flip: bool = False,
    **rules,
) -> tuple[Autoencoder, dict[str, np.ndarray]]:
    """A trained copy of `net` for images (n, 28, 28), and the history.

    `l1`: weight of Σ|z| (sparse); `noise`: share of pixels set to zero in what the encoder sees
    (denoising: Vincent et al. 2008); `shift` and `flip` as for `moved`.  `rules`: epochs, lr and
    the rest of `training.train`.
    """
    checks.number(noise, "noise", "in [0, 1)")
    checks.number(l1, "l1", "at least 0")
    net = copy.deepcopy(net)

    def loss(x):
        x = moved(x, shift=shift, flip=flip)
        z = net.encode(x * (torch.rand_like(x) >= noise) if noise else x)
        return (LOSSES[net.loss](net.decode(z), x) + l1 * z.abs().sum(1)).mean()

    return net, train(net, loss, (as_images(images),), seed=seed, what="autoencoder", **rules)


def codes(net: Autoencoder, images: np.ndarray) -> np.ndarray:
    """Codes (n, latent_dim) of images (n, 28, 28)."""
    return in_batches(net.encode, as_images(images))


def reconstructions(net: Autoencoder, images: np.ndarray) -> np.ndarray:
    """Images (n, 28, 28) in [0, 1]."""
    return in_batches(lambda x: net.images(net.encode(x)), as_images(images))[:, 0]


def squared_errors(net: Autoencoder, images: np.ndarray) -> np.ndarray:
    """Squared error of every image, summed over its pixels, (n,); divide by 784 for source D's
    mean squared error."""
    x = as_images(images)[:, 0].numpy()
    return ((reconstructions(net, images) - x) ** 2).sum((1, 2))


@dataclass
class Classified:
    """An autoencoder with a linear classifier on its codes."""

    net: Autoencoder
    head: nn.Module

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """(n, n_classes)."""
        return in_batches(lambda x: self.head(self.net.encode(x)).softmax(1), as_images(images))


def train_probe(
    net: Autoencoder,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    n_classes: int = 10,
    **rules,
) -> Classified:
    """A linear classifier on the codes of `net`, which stays as it is:
    source D's one-layer matcher."""
    x, y = torch.from_numpy(codes(net, images)), check_labels(labels, len(images), n_classes)
    head = mlp([x.shape[1], n_classes], seed=stream(seed, "init") + 2)
    train(
        head,
        lambda z, t: functional.cross_entropy(head(z), t),
        (x, y),
        seed=seed,
        what="probe",
        **rules,
    )
    return Classified(net, head)


def fine_tune(
    both: Classified,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    weight: float,
    shift: int = 0,
    flip: bool = False,
    smoothing: float = 0.0,
    **rules,
) -> tuple[Classified, dict[str, np.ndarray]]:
    """A copy of `both` whose encoder, decoder and classifier were trained together, and the
    history.

    The loss is the reconstruction's, a sum over pixels, + `weight` · cross-entropy, with labels
    smoothed by `smoothing`; `shift` and `flip` as for `moved`.  Source D's sum of a *mean* over
    pixels and the cross-entropy is weight=784.
    """
    both = copy.deepcopy(both)
    x, y = as_images(images), check_labels(labels, len(images), both.head[-1].out_features)

    def loss(x, y):
        x = moved(x, shift=shift, flip=flip)
        z = both.net.encode(x)
        cross_entropy = functional.cross_entropy(both.head(z), y, label_smoothing=smoothing)
        return LOSSES[both.net.loss](both.net.decode(z), x).mean() + weight * cross_entropy

    nets = nn.ModuleList([both.net, both.head])
    return both, train(nets, loss, (x, y), seed=seed, what="fine-tuning", **rules)


def cross_validate(
    images: np.ndarray, settings: dict, *, folds: int, seed: int, fresh: bool = True, **rules
) -> tuple[np.ndarray, Autoencoder]:
    """Squared error an image on each held-out fold, (folds,), and the last fold's network.

    settings: "latent_dim", "lr" and "weight_decay".  `fresh`: every fold starts from new weights.
    Otherwise, as in source D, each goes on from the last one's, which has been trained on what is
    now held out.  `rules`: epochs and the rest of `training.train`.
    """
    checks.images(images)
    images = np.asarray(images)
    folds = checks.count(folds, "folds", 2, len(images))
    rules |= {name: settings[name] for name in ("lr", "weight_decay")}
    net, errors = conv_autoencoder(settings["latent_dim"], seed=seed), []
    for fold, (seen, held_out) in enumerate(KFold(folds).split(images)):
        if fresh:
            net = conv_autoencoder(settings["latent_dim"], seed=seed + fold)
        net, _ = train_autoencoder(net, images[seen], seed=seed + fold, **rules)
        errors.append(squared_errors(net, images[held_out]).mean())
    return np.array(errors), net


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


def repaired_autoencoder(
    latent_dim: int, *, channels: Sequence[int] = (32, 64, 64), hidden: int = 256, seed: int
) -> Autoencoder:
    """An untrained autoencoder for images (n, 1, 28, 28) with codes (n, latent_dim);
    its loss is the squared error.

    Encoder: three blocks of convolution, the largest of each 2 x 2 pixels, batch normalisation and
    SiLU, and two linear layers.  Decoder: two linear layers to 7 x 7 pixels, two transposed
    convolutions, a sigmoid.  `channels`: of the three blocks; the decoder has those of the first
    two, in reverse.  SiLU: x · sigmoid(x) (Elfwing et al. 2018, eq. 6).
    ValueError for a size below 1.
    """
    key = stream(seed, "init")
    encoder = pooled_encoder(
        latent_dim, channels=channels, hidden=hidden, activation=nn.SiLU, seed=key
    )
    return Autoencoder(encoder, _repaired_decoder(latent_dim, channels, hidden, key + 1))


@torch.random.fork_rng(devices=[])  # layers draw weights when they are made, which nobody asked for
def _repaired_decoder(inputs: int, channels: Sequence[int], hidden: int, key: int) -> nn.Sequential:
    last, first = channels[:2]
    net = nn.Sequential(
        nn.Linear(inputs, hidden), nn.SiLU(),
        nn.Linear(hidden, 49 * first), nn.SiLU(),
        nn.Unflatten(1, (first, 7, 7)),
        nn.ConvTranspose2d(first, last, 4, 2, 1), nn.SiLU(),  # 14 x 14
        nn.ConvTranspose2d(last, 1, 4, 2, 1), nn.Sigmoid(),  # 28 x 28
    )  # fmt: skip
    return initialised(net, key).to(memory_format=torch.channels_last)
