"""Encoders and decoders for 28 x 28 images: fully connected and convolutional, with weights that depend on the seed alone."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

SIDE = 28


@torch.random.fork_rng(devices=[])  # layers draw weights when they are made, which nobody asked for
def mlp(
    sizes: Sequence[int], *, activation: type[nn.Module] = nn.ReLU, dropout: float = 0.0, seed: int
) -> nn.Sequential:
    """Linear layers of these sizes with `activation` between them, none after the last; dropout before every layer but the first.

    Takes (n, sizes[0]), gives (n, sizes[-1]).  Raises ValueError for fewer than two sizes or one below 1.
    """
    check_sizes(sizes, dropout)
    layers: list[nn.Module] = []
    for i, (below, above) in enumerate(pairwise(sizes)):
        if i:
            layers += [activation(), *([nn.Dropout(dropout)] if dropout else [])]
        layers.append(nn.Linear(below, above))
    return initialised(nn.Sequential(*layers), seed)


def check_sizes(sizes: Sequence[int], dropout: float) -> None:
    """ValueError for a network that cannot be."""
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"layer sizes {list(sizes)}: at least two, each at least 1")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout={dropout} must be in [0, 1)")


@torch.random.fork_rng(devices=[])
def conv_encoder(
    outputs: int, *, channels: Sequence[int] = (16, 32, 64), hidden: int = 128, dropout: float = 0.0, seed: int
) -> nn.Sequential:
    """Three convolutions of stride 2 and two linear layers with dropout before each, as source D describes its encoder.

    Takes images (n, 1, 28, 28), gives (n, outputs).
    """
    check_sizes([*channels, hidden, outputs], dropout)
    c1, c2, c3 = channels
    net = nn.Sequential(
        nn.Conv2d(1, c1, 3, 2, 1), nn.ReLU(),  # 14 x 14
        nn.Conv2d(c1, c2, 3, 2, 1), nn.ReLU(),  # 7 x 7
        nn.Conv2d(c2, c3, 3, 2, 0), nn.ReLU(),  # 3 x 3
        nn.Flatten(),
        nn.Dropout(dropout), nn.Linear(9 * c3, hidden), nn.ReLU(),
        nn.Dropout(dropout), nn.Linear(hidden, outputs),
    )  # fmt: skip
    return initialised(net, seed)


@torch.random.fork_rng(devices=[])
def conv_decoder(
    inputs: int, *, channels: Sequence[int] = (16, 32, 64), hidden: int = 128, dropout: float = 0.0, seed: int
) -> nn.Sequential:
    """The mirror image of `conv_encoder`: takes (n, inputs), gives images (n, 1, 28, 28), as the loss reads them."""
    check_sizes([inputs, hidden, *channels], dropout)
    c1, c2, c3 = channels
    net = nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(hidden, 9 * c3), nn.ReLU(), nn.Dropout(dropout),
        nn.Unflatten(1, (c3, 3, 3)),
        nn.ConvTranspose2d(c3, c2, 3, 2), nn.ReLU(),  # 7 x 7
        nn.ConvTranspose2d(c2, c1, 3, 2, 1, 1), nn.ReLU(),  # 14 x 14
        nn.ConvTranspose2d(c1, 1, 3, 2, 1, 1),  # 28 x 28
    )  # fmt: skip
    return initialised(net, seed)


def initialised(net: nn.Module, seed: int) -> nn.Module:
    """`net` with weights drawn anew: uniform with variance 2 / fan-in (He et al. 2015, eq. 10), biases zero."""
    generator = torch.Generator().manual_seed(seed % 2**63)
    for layer in net.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)
    return net
