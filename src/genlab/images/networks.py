"""Encoders and decoders for 28 x 28 images: fully connected and convolutional, with weights that
depend on the seed alone.

Whatever makes a network takes `device=`, where it shall lie, by default torch's own default; it
computes where it lies.
"""

import copyreg
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from genlab import checks
from genlab.training.torch import builder

SIDE = checks.SIDE


@builder
def mlp(
    sizes: Sequence[int], *, activation: type[nn.Module] = nn.ReLU, dropout: float = 0.0, seed: int
) -> nn.Sequential:
    """Linear layers of these sizes with `activation` between them, none after the last;
    dropout before every layer but the first.

    Takes (n, sizes[0]), gives (n, sizes[-1]).  Raises ValueError for fewer than two sizes or one
    below 1.
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
    checks.number(dropout, "dropout", "in [0, 1)")


@builder
def conv_encoder(
    outputs: int,
    *,
    channels: Sequence[int] = (16, 32, 64),
    hidden: int = 128,
    dropout: float = 0.0,
    code_dropout: float = 0.0,
    seed: int,
) -> nn.Sequential:
    """Three convolutions of stride 2 and two linear layers with dropout before each, as source D
    describes its encoder.

    `code_dropout` is that of the last layer, whose outputs are the code.  Takes images
    (n, 1, 28, 28), gives (n, outputs).
    """
    check_sizes([*channels, hidden, outputs], dropout)
    check_sizes([hidden, outputs], code_dropout)
    c1, c2, c3 = channels
    net = nn.Sequential(
        nn.Conv2d(1, c1, 3, 2, 1), nn.ReLU(),  # 14 x 14
        nn.Conv2d(c1, c2, 3, 2, 1), nn.ReLU(),  # 7 x 7
        nn.Conv2d(c2, c3, 3, 2, 0), nn.ReLU(),  # 3 x 3
        nn.Flatten(),
        nn.Dropout(dropout), nn.Linear(9 * c3, hidden), nn.ReLU(),
        nn.Dropout(code_dropout), nn.Linear(hidden, outputs),
    )  # fmt: skip
    return initialised(net, seed)


@builder
def conv_decoder(
    inputs: int,
    *,
    channels: Sequence[int] = (16, 32, 64),
    hidden: int = 128,
    dropout: float = 0.0,
    code_dropout: float = 0.0,
    seed: int,
) -> nn.Sequential:
    """The mirror image of `conv_encoder`: takes (n, inputs), gives images (n, 1, 28, 28), as the
    loss reads them."""
    check_sizes([inputs, hidden, *channels], dropout)
    check_sizes([inputs, hidden], code_dropout)
    c1, c2, c3 = channels
    net = nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(code_dropout),
        nn.Linear(hidden, 9 * c3), nn.ReLU(), nn.Dropout(dropout),
        nn.Unflatten(1, (c3, 3, 3)),
        nn.ConvTranspose2d(c3, c2, 3, 2), nn.ReLU(),  # 7 x 7
        nn.ConvTranspose2d(c2, c1, 3, 2, 1, 1), nn.ReLU(),  # 14 x 14
        nn.ConvTranspose2d(c1, 1, 3, 2, 1, 1),  # 28 x 28
    )  # fmt: skip
    return initialised(net, seed)


@builder
def pooled_encoder(
    outputs: int,
    *,
    channels: Sequence[int] = (32, 64, 64),
    hidden: int = 128,
    dropout: float = 0.0,
    activation: type[nn.Module] = nn.ReLU,
    seed: int,
) -> nn.Sequential:
    """Three blocks of convolution, the largest of each 2 x 2 pixels, batch normalisation and
    `activation`, and two linear layers with dropout before the first; the last layer alone is
    net[-1].  Takes images (n, 1, 28, 28), gives (n, outputs).

    Normalising after pooling is as good, and a quarter cheaper: there are a quarter as many
    numbers.
    """
    check_sizes([*channels, hidden, outputs], dropout)
    layers: list[nn.Module] = []
    for below, above in pairwise((1, *channels)):  # 14 x 14, 7 x 7, 3 x 3
        layers += [
            nn.Conv2d(below, above, 3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(above),
            activation(),
        ]
    layers += [
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(9 * channels[-1], hidden),
        activation(),
        nn.Linear(hidden, outputs),
    ]
    # Channels last: a third less time for these convolutions on processors, nothing gained for the
    # narrow strided ones above.
    return initialised(nn.Sequential(*layers), seed).to(memory_format=torch.channels_last)


def initialised(net: nn.Module, seed: int, *, sd: float | None = None) -> nn.Module:
    """`net` with weights drawn anew: uniform with variance 2 / fan-in
    (He et al. 2015, eq. 10), or from N(0, sd²) if that is given; biases zero.
    """
    generator = torch.Generator().manual_seed(seed)
    for layer in net.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            if sd is None:
                bound = math.sqrt(6 / fan_in(layer))
                nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            else:
                nn.init.normal_(layer.weight, std=sd, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return net


def fan_in(layer: nn.Module) -> float:
    """How many inputs an output of the layer sums over; in a transposed convolution
    in_channels · (kernel / stride)²."""
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.in_channels * math.prod(layer.kernel_size) / math.prod(layer.stride)
    return layer.weight[0].numel()


def rebuilt(
    values: np.ndarray, strides: tuple[int, ...], learnt: bool, device: str = "cpu"
) -> torch.Tensor:
    """A tensor or a parameter from its values, laid out in memory with these strides."""
    values = torch.from_numpy(values)
    x = torch.empty_strided(values.shape, strides, dtype=values.dtype, device=device).copy_(values)
    return nn.Parameter(x) if learnt else x


def reduced(x: torch.Tensor) -> tuple:
    """How to pickle `x`: as its values, its device and its layout, on which the choice of kernels
    and so the last digit of a result depends.

    torch's own way writes memory addresses, so that equal networks have unequal hashes.
    """
    about = x.detach().cpu().numpy().copy(), x.stride(), isinstance(x, nn.Parameter)
    return rebuilt, about if x.device.type == "cpu" else (*about, x.device.type)


copyreg.pickle(torch.Tensor, reduced)
copyreg.pickle(nn.Parameter, reduced)


def as_images(x: np.ndarray, device: torch.device) -> torch.Tensor:
    """Grey values (n, 28, 28) as a tensor (n, 1, 28, 28): bytes are divided by 255, floats must lie
    in [0, 1].  ValueError otherwise."""
    return torch.from_numpy(checks.images(x)).to(device).unsqueeze(1)


def check_labels(
    labels: np.ndarray, n: int, n_classes: int = 10, *, device: torch.device
) -> torch.Tensor:
    """Labels (n,) as integers; ValueError if one is out of range or their number is wrong."""
    return torch.from_numpy(checks.labels(labels, "labels", n, n_classes)).to(device)


def moved(x: torch.Tensor, *, shift: int, flip: bool) -> torch.Tensor:
    """Images (n, 1, h, w), all moved alike by up to `shift` pixels each way, zeros coming in;
    with `flip` half of them mirrored.  Without either nothing is drawn and x comes back."""
    if not (shift or flip):
        return x
    # On the processor, whatever the device: Python must know them.
    dy, dx = torch.randint(0, 2 * shift + 1, (2,), device="cpu").tolist()
    height, width = x.shape[2:]
    x = functional.pad(x, (shift,) * 4)[:, :, dy : dy + height, dx : dx + width]
    return (
        torch.where(torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5, x.flip(3), x) if flip else x
    )
