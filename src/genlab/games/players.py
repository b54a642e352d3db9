"""The players of adversarial games on images: generators, discriminators or critics, fully
connected and convolutional.

In the game images are tensors (n, channels, 28, 28) in [-1, 1]; `generated` and `sample` hand them
out as arrays in [0, 1].  Weights depend on the seed alone, generators begin with grey pictures.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn.functional import one_hot

from genlab import checks
from genlab.games.devices import MinibatchDiscrimination, VirtualBatchNorm
from genlab.images.networks import SIDE, check_labels, check_sizes, initialised, mlp
from genlab.streams import stream
from genlab.training.torch import builder, device_of, in_batches

LEAK = 0.2  # slope of LeakyReLU below zero (Radford et al. 2016, section 4)
N_REFERENCE = 64  # latent draws whose images virtual batch normalisation refers to
# Of the first weights of networks that normalise (Radford et al. 2016, section 4).  Normalised
# layers do not feel the size of their weights, but Adam's steps are of a fixed size: small weights
# turn faster.
WEIGHT_SD = 0.02


class Generator(nn.Module):
    """Latent numbers (n, latent_dim), and labels (n,) if it knows classes, -> images
    (n, channels, 28, 28) in [-1, 1].

    The label enters as ten more numbers, one of them 1 (Odena et al. 2017).  `reference`
    (r, latent_dim + n_classes) goes through the network ahead of every batch, for the layers that
    normalise by it, and is dropped behind.
    """

    def __init__(
        self,
        body: nn.Module,
        latent_dim: int,
        *,
        n_classes: int,
        channels: int,
        reference: torch.Tensor | None = None,
    ):
        super().__init__()
        self.body, self.latent_dim, self.n_classes, self.channels = (
            body,
            latent_dim,
            n_classes,
            channels,
        )
        self.register_buffer("reference", reference)

    def forward(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        if (labels is None) == bool(self.n_classes):
            raise ValueError(
                f"labels {'missing' if labels is None else 'given'}: "
                f"this generator knows {self.n_classes} classes"
            )
        if labels is not None:
            z = torch.cat([z, one_hot(labels, self.n_classes)], 1)
        if self.reference is None:
            return self.body(z)
        return self.body(torch.cat([self.reference, z]))[len(self.reference) :]


class Discriminator(nn.Module):
    """Images (n, channels, 28, 28) -> log-odds (n,) that they are real; as a critic, any numbers.

    `features` are what the heads read: `head` says real or not, `class_head` (None without classes)
    which class (Odena et al. 2017).
    """

    def __init__(self, body: nn.Module, n_features: int, *, n_classes: int = 0):
        super().__init__()
        self.body, self.n_classes = body, n_classes
        self.head = nn.Linear(n_features, 1)
        self.class_head = nn.Linear(n_features, n_classes) if n_classes else None

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What the heads read, (n, n_features)."""
        return self.body(x)

    def log_odds(self, features: torch.Tensor) -> torch.Tensor:
        """Log-odds (n,) for features (n, n_features)."""
        return self.head(features).squeeze(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.log_odds(self.features(x))


# --- fully connected, as in source D ---


@builder
def mlp_generator(
    latent_dim: int = 64,
    *,
    hidden: Sequence[int] = (256, 512, 1024),
    leak: float = LEAK,
    n_classes: int = 0,
    channels: int = 1,
    seed: int,
) -> Generator:
    """Linear layers with LeakyReLU between them and tanh at the end; leak=0 is ReLU.
    Raises ValueError for sizes below 1."""
    sizes = [latent_dim + n_classes, *hidden, channels * SIDE**2]
    net = mlp(sizes, activation=partial(nn.LeakyReLU, leak), seed=stream(seed, "init"))
    begin_grey(net[-1])
    return Generator(
        nn.Sequential(*net, nn.Tanh(), nn.Unflatten(1, (channels, SIDE, SIDE))),
        latent_dim,
        n_classes=n_classes,
        channels=channels,
    )


@builder
def mlp_discriminator(
    *,
    hidden: Sequence[int] = (1024, 512, 256),
    dropout: float = 0.3,
    n_classes: int = 0,
    channels: int = 1,
    kernels: int = 0,
    seed: int,
) -> Discriminator:
    """Linear layers, LeakyReLU and dropout after each of them; `kernels` of minibatch
    discrimination before the heads, if any.

    As a critic: dropout=0.  Raises ValueError for sizes below 1.
    """
    sizes = [channels * SIDE**2, *hidden, 1]
    net = mlp(sizes, activation=partial(nn.LeakyReLU, LEAK), dropout=dropout, seed=0)
    # These weights do not stay: `_discriminator` draws all of them anew.
    return _discriminator([nn.Flatten(), *net[:-1]], hidden[-1], kernels, n_classes, seed)


# --- convolutional, by the five guidelines of Radford et al. (2016) ---


@builder
def dcgan_generator(
    latent_dim: int = 64,
    *,
    width: int = 32,
    n_classes: int = 0,
    channels: int = 1,
    norm: str = "batch",
    seed: int,
) -> Generator:
    """A projection to 2 · width maps of 7 x 7 and two transposed convolutions of stride 2:
    ReLU inside, tanh at the end.

    norm: "batch", "virtual" (which shows the network N_REFERENCE more latent draws with
    every batch) or "none".
    """
    check_sizes([latent_dim, width, channels], 0)
    reference = None
    if norm == "virtual":
        reference = torch.randn(
            N_REFERENCE, latent_dim, generator=torch.Generator().manual_seed(stream(seed, "init"))
        )
        if n_classes:
            reference = torch.cat(
                [reference, one_hot(torch.arange(N_REFERENCE) % n_classes, n_classes)], 1
            )
    body = nn.Sequential(
        nn.Linear(latent_dim + n_classes, 2 * width * 49, bias=norm == "none"),
        nn.Unflatten(1, (2 * width, 7, 7)), *_norm(norm, 2 * width), nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=norm == "none"),  # 14 x 14
        *_norm(norm, width), nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh(),  # 28 x 28
    )  # fmt: skip
    if norm == "none":
        begin_grey(initialised(body, stream(seed, "init"))[-2])
    else:
        initialised(body, stream(seed, "init"), sd=WEIGHT_SD)
    return Generator(body, latent_dim, n_classes=n_classes, channels=channels, reference=reference)


@builder
def dcgan_discriminator(
    *,
    width: int = 32,
    dropout: float = 0.0,
    n_classes: int = 0,
    channels: int = 1,
    norm: str = "batch",
    kernels: int = 0,
    seed: int,
) -> Discriminator:
    """Two convolutions of stride 2 with LeakyReLU, the second normalised, dropout, and no fully
    connected hidden layer.

    As a critic with gradient penalty: norm="none".  `kernels` as in `mlp_discriminator`.
    """
    check_sizes([width, channels], dropout)
    if norm == "virtual":
        raise ValueError("norm='virtual' is for generators: use 'batch' or 'none'")
    layers = [
        nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(LEAK),  # 14 x 14
        nn.Conv2d(width, 2 * width, 4, 2, 1, bias=norm == "none"),  # 7 x 7
        *_norm(norm, 2 * width), nn.LeakyReLU(LEAK),
        nn.Flatten(), nn.Dropout(dropout),
    ]  # fmt: skip
    sd = None if norm == "none" else WEIGHT_SD
    return _discriminator(layers, 2 * width * 49, kernels, n_classes, seed, sd)


def _discriminator(layers, n_features, kernels, n_classes, seed, sd=None) -> Discriminator:
    """The discriminator with these layers, `kernels` of minibatch discrimination and its heads;
    weights anew from the seed."""
    if kernels:
        layers, n_features = (
            [*layers, MinibatchDiscrimination(n_features, kernels)],
            n_features + kernels,
        )
    net = Discriminator(nn.Sequential(*layers), n_features, n_classes=n_classes)
    return initialised(net, stream(seed, "init") + 1, sd=sd)


def _norm(norm: str, channels: int) -> list[nn.Module]:
    """The layer that normalises so many channels, if any."""
    layers = {
        "batch": nn.BatchNorm2d,
        "virtual": partial(VirtualBatchNorm, n_reference=N_REFERENCE),
        "none": None,
    }
    if norm not in layers:
        raise ValueError(f"norm={norm!r} must be one of {', '.join(layers)}")
    return [layers[norm](channels)] if layers[norm] else []


@torch.no_grad()
def begin_grey(layer: nn.Module) -> None:
    """Shrink the last layer before a tanh tenfold, so that it begins where tanh is not flat."""
    layer.weight.mul_(0.1)


# --- pictures ---


@contextmanager
def still(net: nn.Module) -> Iterator[None]:
    """In this context `net` normalises by its batch as before but keeps no running statistics of
    it: nothing in it changes."""
    layers = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    try:
        for layer in layers:
            layer.track_running_stats = False
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True


def latents(generator: Generator, n: int, rng: torch.Generator | None = None) -> torch.Tensor:
    """n draws of N(0, I) for this generator, from `rng` or torch's own stream, on its device."""
    where = device_of(generator)
    drawn_on = where if rng is None else rng.device
    return torch.randn(n, generator.latent_dim, generator=rng, device=drawn_on).to(where)


def latents_of(generator: Generator, n: int, seed: int) -> np.ndarray:
    """n draws of the stream "sample" for this generator, the same on every device."""
    rng = torch.Generator().manual_seed(stream(seed, "sample"))
    return latents(generator, n, rng).cpu().numpy()


def generated(generator: Generator, z: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """The images of latent numbers z (n, latent_dim), of these classes (n,) if it knows classes:
    (n, 28, 28) in [0, 1].

    Several channels stay an axis, (n, channels, 28, 28).  Batch normalisation uses its running
    statistics, so that each image depends on its own z alone.  ValueError for another shape or
    labels out of range.
    """
    z = checks.numbers(z, "z", np.float32)
    if z.ndim != 2 or not len(z) or z.shape[1] != generator.latent_dim:
        raise ValueError(f"z of shape {z.shape} must be (n, {generator.latent_dim})")
    where = device_of(generator)
    z = torch.from_numpy(z).to(where)
    if labels is not None:
        labels = check_labels(labels, len(z), max(generator.n_classes, 1), device=where)
    training = generator.training
    generator.eval()
    x = in_batches(
        lambda i: generator(z[i], None if labels is None else labels[i]),
        torch.arange(len(z), device=where),
    )
    generator.train(training)
    return (
        ((x + 1) / 2).clip(0, 1).squeeze(1) if generator.channels == 1 else ((x + 1) / 2).clip(0, 1)
    )


def sample(
    generator: Generator, *, n: int, seed: int, labels: np.ndarray | None = None
) -> np.ndarray:
    """`generated` for n latent draws of the stream "sample"."""
    return generated(generator, latents_of(generator, checks.count(n, "n"), seed), labels)


def between(stops: np.ndarray, steps: int) -> np.ndarray:
    """Latent numbers on the way through `stops` (k, d) and back to the first, `steps` for each
    leg: (k · steps, d).

    On a great circle rather than a line, along which lengths fall below those of normal
    draws (White 2016).
    """
    stops, steps = checks.numbers(stops, "stops"), checks.count(steps, "steps")
    if stops.ndim != 2 or len(stops) < 2 or not np.linalg.norm(stops, axis=1).all():
        raise ValueError(f"stops of shape {stops.shape}: at least two stops (k, d), none zero")
    t = np.arange(steps)[:, None] / steps
    path = []
    for a, b in zip(stops, np.roll(stops, -1, 0), strict=True):
        angle = np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))
        # Between parallel stops the circle is a line, and the sine is no divisor.
        weight = (
            (lambda s: s)
            if np.sin(angle) < 1e-6
            else (lambda s, angle=angle: np.sin(s * angle) / np.sin(angle))
        )
        path.append(weight(1 - t) * a + weight(t) * b)
    return np.concatenate(path).astype(np.float32)
