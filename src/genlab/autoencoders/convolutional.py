"""Autoencoders: reconstruction losses, sparse codes, noise, and two convolutional networks.

Every loss is a sum over pixels and a mean over images, so that losses of different pictures and
batches compare.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import KFold
from torch import nn
from torch.nn import functional

from genlab import checks
from genlab.images.networks import (
    as_images,
    conv_decoder,
    conv_encoder,
    initialised,
    moved,
    pooled_encoder,
)
from genlab.streams import stream
from genlab.training import Trained
from genlab.training import torch as training
from genlab.training.torch import Descent, builder, device_of, in_batches, run_epochs

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


@builder
def conv_autoencoder(latent_dim: int, *, loss: str = "mse", seed: int, **about) -> Autoencoder:
    """The convolutional autoencoder of source D; `about`, sizes and dropout, goes to `conv_encoder`
    and `conv_decoder`."""
    key = stream(seed, "init")
    return Autoencoder(
        conv_encoder(latent_dim, seed=key, **about),
        conv_decoder(latent_dim, seed=key + 1, **about),
        loss=loss,
    )


@dataclass(frozen=True)
class Rules(training.Rules):
    """How an autoencoder is trained.

    `l1`: weight of Σ|z| (sparse codes).  `noise`: share of pixels set to zero in what the encoder
    sees (denoising: Vincent et al. 2008).  `shift` and `flip` as for `moved`.
    """

    l1: float = 0.0
    noise: float = 0.0
    shift: int = 0
    flip: bool = False

    def check(self) -> None:
        super().check()
        checks.number(self.l1, "l1", "at least 0")
        checks.number(self.noise, "noise", "in [0, 1)")
        checks.count(self.shift, "shift", 0)


def train_autoencoder(
    net: Autoencoder,
    images: np.ndarray,
    *,
    rules: Rules,
    epochs: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """A copy of `net`, trained by `update` on images (n, 28, 28).  Raises ValueError, Diverged."""
    net = copy.deepcopy(net)
    data = (as_images(images, device_of(net)),)
    return run_epochs(
        update, net, data, rules, epochs=epochs, seed=seed, what="autoencoder",
        until=until, resume=resume,
    )  # fmt: skip


def update(descent: Descent, batch: tuple, rules: Rules) -> dict[str, torch.Tensor]:
    """One step down the error of reconstructing images (n, 1, 28, 28), plus l1 · Σ|z|."""
    net, x = descent.net, moved(*batch, shift=rules.shift, flip=rules.flip)
    z = net.encode(x * (torch.rand_like(x) >= rules.noise) if rules.noise else x)
    errors = LOSSES[net.loss](net.decode(z), x)
    return {"loss": descent.down((errors + rules.l1 * z.abs().sum(1)).mean())}


def codes(net: Autoencoder, images: np.ndarray) -> np.ndarray:
    """Codes (n, latent_dim) of images (n, 28, 28)."""
    return in_batches(net.encode, as_images(images, device_of(net)))


def reconstructions(net: Autoencoder, images: np.ndarray) -> np.ndarray:
    """Images (n, 28, 28) in [0, 1]."""
    return in_batches(lambda x: net.images(net.encode(x)), as_images(images, device_of(net)))[:, 0]


def squared_errors(net: Autoencoder, images: np.ndarray) -> np.ndarray:
    """Squared error of every image, summed over its pixels, (n,); divide by 784 for source D's
    mean squared error."""
    return ((reconstructions(net, images) - checks.images(images)) ** 2).sum((1, 2))


def cross_validate(
    images: np.ndarray,
    *,
    latent_dim: int,
    rules: Rules,
    folds: int,
    epochs: int,
    seed: int,
    fresh: bool = True,
) -> tuple[np.ndarray, Autoencoder]:
    """Squared error an image on each held-out fold, (folds,), and the last fold's network.

    `fresh`: every fold starts from new weights.  Otherwise, as in source D, each goes on from the
    last one's, which has been trained on what is now held out.
    """
    checks.images(images)
    images = np.asarray(images)
    folds = checks.count(folds, "folds", 2, len(images))
    net, errors = conv_autoencoder(latent_dim, seed=seed), []
    for fold, (seen, held_out) in enumerate(KFold(folds).split(images)):
        if fresh:
            net = conv_autoencoder(latent_dim, seed=seed + fold)
        net = train_autoencoder(
            net, images[seen], rules=rules, epochs=epochs, seed=seed + fold
        ).model
        errors.append(squared_errors(net, images[held_out]).mean())
    return np.array(errors), net


@builder
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


@builder
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
