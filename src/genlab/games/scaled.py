"""Layers of Karras et al. (2018): weights that are scaled at run time, features that are normalised
pixel by pixel, and what tells a discriminator how varied its batch is.

No layer here has a running statistic.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from genlab.games.devices import ROW, MinibatchDiscrimination
from genlab.images.networks import fan_in

TINY = 1e-8  # added before a root (Karras et al. 2018, section 4.2)


def he_constant(layer: nn.Module) -> float:
    """√(2 / fan-in): the standard deviation of weights that keep the size of signals through ReLUs
    (He et al. 2015, eq. 10)."""
    return math.sqrt(2 / fan_in(layer))


class ScaledConv2d(nn.Conv2d):
    """A convolution of x (n, in, h, w) by c · weight, c = `he_constant`; the weights themselves are
    of N(0, 1) (Karras et al. 2018, section 4.1).

    Adam's steps do not depend on the size of a gradient, so the weights of all layers move by equal
    shares of their size.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x, he_constant(self) * self.weight, self.bias)


class ScaledLinear(nn.Linear):
    """The same of a linear layer: x (n, in) -> (n, out)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, he_constant(self) * self.weight, self.bias)


def started(net: nn.Module, seed: int) -> nn.Module:
    """`net` with weights drawn anew from the seed, biases zero: of scaled layers from N(0, 1), of
    others from N(0, c²), so that a network and its scaled twin begin as the same function."""
    generator = torch.Generator().manual_seed(seed)
    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            scaled = isinstance(layer, (ScaledConv2d, ScaledLinear))
            sd = 1.0 if scaled else he_constant(layer)
            nn.init.normal_(layer.weight, std=sd, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return net


class PixelNorm(nn.Module):
    """a / √(mean over channels of a² + tiny) at every pixel of a (n, channels, ...)
    (Karras et al. 2018, section 4.2): mean square one."""

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        return a * (a.square().mean(1, keepdim=True) + TINY).rsqrt()


class BatchSpread(nn.Module):
    """Maps (n, channels, h, w) -> (n, channels + 1, h, w): the new one holds one number, the
    `batch_spread` of the maps (Karras et al. 2018, section 3).

    `offset`: what is added to that number, for whoever asks what the network makes of it.
    """

    def __init__(self):
        super().__init__()
        self.offset: torch.Tensor | float = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spread = batch_spread(x) + self.offset
        return torch.cat([x, spread.expand(len(x), 1, *x.shape[2:])], 1)


def batch_spread(x: torch.Tensor) -> torch.Tensor:
    """Standard deviation over the batch (divisor n) of every entry of x (n, ...), then the mean of
    them all: one number, 0 where all rows are equal."""
    return (x.var(0, unbiased=False) + TINY).sqrt().mean()


class BatchCloseness(MinibatchDiscrimination):
    """Minibatch discrimination (Salimans et al. 2016, section 3.2) by differences that have second
    derivatives, which a gradient penalty needs and torch's own distances lack."""

    def forward(self, f: torch.Tensor) -> torch.Tensor:
        m = (self.project(f) / ROW).view(len(f), self.kernels, ROW)
        apart = (m[:, None] - m[None]).abs().sum(3)  # (n, n, kernels)
        return torch.cat([f, (-apart).exp().sum(1) - 1], 1)  # itself left out
