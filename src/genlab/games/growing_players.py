"""Players that grow (Karras et al. 2018, section 2): a generator and a discriminator that begin
with images of 7 pixels and add layers for 14 and for 28, faded in.

`growth` = stage - 1 + alpha says how far both are: 0 is 7 pixels alone, 1 is 14 pixels; between,
the layers of 14 pixels count by alpha and the smaller image, enlarged, by 1 - alpha.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from genlab import checks
from genlab.games.players import LEAK
from genlab.games.scaled import (
    BatchCloseness,
    BatchSpread,
    PixelNorm,
    ScaledConv2d,
    ScaledLinear,
    started,
)
from genlab.images.networks import SIDE, check_sizes
from genlab.streams import stream
from genlab.training.torch import builder

SMALLEST = 7  # pixels of the first stage, each way
LAST = int(math.log2(SIDE // SMALLEST))  # number of the last stage: 7, 14, 28 are 0, 1, 2


def doubled(x: torch.Tensor) -> torch.Tensor:
    """Images (n, c, h, w) twice as large: every pixel four times."""
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def halved(x: torch.Tensor) -> torch.Tensor:
    """Images half as large: means of four pixels."""
    return functional.avg_pool2d(x, 2)


def faded(small: torch.Tensor, large: torch.Tensor, alpha: float) -> torch.Tensor:
    """(1 - alpha) small + alpha large, exactly `small` at 0 and `large` at 1
    (Karras et al. 2018, fig. 2)."""
    return torch.lerp(small, large, alpha)


def position(growth: float) -> tuple[int, float]:
    """The stage that a growth has reached or fades in, and its alpha in (0, 1]: 1.25 -> (2, 0.25);
    0 and all whole numbers are a stage at alpha 1."""
    stage = math.ceil(growth)
    return stage, 1.0 - (stage - growth)


def at_growth(images: torch.Tensor, growth: float) -> torch.Tensor:
    """Real images (n, 1, 28, 28) as a player of this growth is shown them: halved to its size and,
    while layers fade in, mixed with themselves at the size before."""
    stage, alpha = position(growth)
    for _ in range(LAST - stage):
        images = halved(images)
    return images if alpha == 1 else faded(doubled(halved(images)), images, alpha)


class GrowingGenerator(nn.Module):
    """Latent numbers (n, latent_dim) -> images (n, 1, side, side) in [-1, 1], side 7, 14 or 28 by
    `growth`, which is the last stage at first.

    first: latent numbers -> maps of 7 pixels; blocks[s]: maps of stage s -> of s + 1;
    grey[s]: maps of stage s -> one image.
    """

    n_classes, channels = 0, 1

    def __init__(self, first: nn.Module, blocks, grey, latent_dim: int):
        super().__init__()
        self.first, self.latent_dim, self.growth = first, latent_dim, float(LAST)
        self.blocks, self.grey = nn.ModuleList(blocks), nn.ModuleList(grey)

    def forward(self, z: torch.Tensor, labels: None = None) -> torch.Tensor:
        return self.drawn(z, *position(self.growth))

    def drawn(self, z: torch.Tensor, stage: int, alpha: float) -> torch.Tensor:
        """The images at this stage, whose layers count by alpha."""
        x = before = self.first(z)
        for block in self.blocks[:stage]:
            before, x = x, block(x)
        image = self.grey[stage](x)
        if stage and alpha < 1:
            image = faded(doubled(self.grey[stage - 1](before)), image, alpha)
        return image.tanh()


class GrowingDiscriminator(nn.Module):
    """Images (n, 1, side, side) of the size of `growth` -> any numbers (n,), high for real ones.

    seen[s]: images -> maps of stage s; blocks[s]: maps of stage s + 1 -> of s; last: maps of 7
    pixels -> numbers.
    """

    n_classes = 0

    def __init__(self, seen, blocks, last: nn.Module):
        super().__init__()
        self.last, self.growth = last, float(LAST)
        self.seen, self.blocks = nn.ModuleList(seen), nn.ModuleList(blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.judged(x, *position(self.growth))

    def judged(self, x: torch.Tensor, stage: int, alpha: float) -> torch.Tensor:
        """What it says of images of this stage, whose layers count by alpha."""
        h = self.seen[stage](x)
        for s in reversed(range(stage)):
            h = self.blocks[s](h)
            if s == stage - 1 and alpha < 1:
                h = faded(self.seen[s](halved(x)), h, alpha)
        return self.last(h).squeeze(1)


GENERATOR_NORMS = ("batch", "pixel", "none")
BATCH_LAYERS = ("none", "closeness", "spread")


@builder
def growing_generator(
    latent_dim: int = 64,
    *,
    widths: Sequence[int] = (32, 16, 8),
    norm: str = "pixel",
    scaled: bool = True,
    seed: int,
) -> GrowingGenerator:
    """A projection to widths[0] maps of 7 x 7; then, for each larger size, pixels doubled and a
    convolution of 3 x 3 to so many maps; LeakyReLU and `norm` after each, tanh at the end.

    norm: "pixel" normalises the latent numbers too, "batch" is that of torch, or "none".
    scaled: all weights are scaled at run time.
    """
    _check(latent_dim, widths)
    checks.one_of(norm, "norm", GENERATOR_NORMS)
    conv, linear = _layers(scaled)
    normal = {
        "batch": lambda width: [nn.BatchNorm2d(width), nn.LeakyReLU(LEAK)],
        "pixel": lambda width: [nn.LeakyReLU(LEAK), PixelNorm()],
        "none": lambda width: [nn.LeakyReLU(LEAK)],
    }[norm]
    first = nn.Sequential(
        *([PixelNorm()] if norm == "pixel" else []),
        linear(latent_dim, widths[0] * SMALLEST**2),
        nn.Unflatten(1, (widths[0], SMALLEST, SMALLEST)),
        *normal(widths[0]),
    )
    blocks = [
        nn.Sequential(nn.Upsample(scale_factor=2), conv(below, above, 3, 1, 1), *normal(above))
        for below, above in pairwise(widths)
    ]
    net = GrowingGenerator(first, blocks, [conv(width, 1, 1) for width in widths], latent_dim)
    return started(net, stream(seed, "init"))


@builder
def growing_discriminator(
    *,
    widths: Sequence[int] = (32, 16, 8),
    norm: str = "none",
    batch: str = "spread",
    kernels: int = 16,
    scaled: bool = True,
    seed: int,
) -> GrowingDiscriminator:
    """From each size down to 7 x 7 a convolution of 3 x 3 and stride 2 with LeakyReLU; there one
    more convolution and one linear output.

    norm: "layer" normalises all numbers of an image after each convolution, or "none".  batch: what
    is told of the batch, "spread" (`BatchSpread`, before the last convolution), "closeness"
    (`BatchCloseness` with so many `kernels`, after it) or "none".
    """
    _check(1, widths)
    checks.one_of(norm, "norm", ("layer", "none"))
    checks.one_of(batch, "batch", BATCH_LAYERS)
    conv, linear = _layers(scaled)
    normal = lambda width: [nn.GroupNorm(1, width)] if norm == "layer" else []  # noqa: E731
    act = lambda width: [*normal(width), nn.LeakyReLU(LEAK)]  # noqa: E731
    wide, n_features = widths[0], widths[0] * SMALLEST**2
    close = batch == "closeness"
    last = nn.Sequential(
        *([BatchSpread()] if batch == "spread" else []),
        conv(wide + (batch == "spread"), wide, 3, 1, 1), *act(wide),
        nn.Flatten(),
        *([BatchCloseness(n_features, kernels)] if close else []),
        linear(n_features + close * kernels, 1),
    )  # fmt: skip
    blocks = [
        nn.Sequential(conv(above, below, 3, 2, 1), *act(below)) for below, above in pairwise(widths)
    ]
    seen = [nn.Sequential(conv(1, width, 1), nn.LeakyReLU(LEAK)) for width in widths]
    return started(GrowingDiscriminator(seen, blocks, last), stream(seed, "init") + 1)


def _layers(scaled: bool) -> tuple[type[nn.Conv2d], type[nn.Linear]]:
    return (ScaledConv2d, ScaledLinear) if scaled else (nn.Conv2d, nn.Linear)


def _check(latent_dim: int, widths: Sequence[int]) -> None:
    check_sizes([latent_dim, *widths], 0)
    if len(widths) != LAST + 1:
        raise ValueError(f"widths={list(widths)}: {LAST + 1} numbers, for 7, 14 and 28 pixels")
