"""Source D's autoencoder, repaired: smooth activations, batch normalisation, no dropout, grey values by a sigmoid."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from genlab.images.autoencoder import Autoencoder
from genlab.images.networks import check_sizes, initialised
from genlab.streams import stream


def repaired_autoencoder(
    latent_dim: int, *, channels: Sequence[int] = (16, 32, 64), hidden: int = 256, seed: int
) -> Autoencoder:
    """An untrained autoencoder for images (n, 1, 28, 28) with codes (n, latent_dim); its loss is the squared error.

    Encoder: three blocks of convolution, the largest of each 2 x 2 pixels, batch normalisation and SiLU, and two linear layers.
    Decoder: two linear layers to 7 x 7 pixels, two transposed convolutions, a sigmoid.  `channels`: of the three blocks; the
    decoder has those of the last two.  SiLU: x · sigmoid(x) (Elfwing et al. 2018, eq. 6).  ValueError for a size below 1.
    """
    check_sizes([*channels, hidden, latent_dim], 0.0)
    key = stream(seed, "init")
    return Autoencoder(_encoder(latent_dim, channels, hidden, key), _decoder(latent_dim, channels, hidden, key + 1))


@torch.random.fork_rng(devices=[])  # layers draw weights when they are made, which nobody asked for
def _encoder(outputs: int, channels: Sequence[int], hidden: int, key: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for below, above in pairwise((1, *channels)):  # 14 x 14, 7 x 7, 3 x 3
        layers += [nn.Conv2d(below, above, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(above), nn.SiLU()]
    layers += [nn.Flatten(), nn.Linear(9 * channels[-1], hidden), nn.SiLU(), nn.Linear(hidden, outputs)]
    return initialised(nn.Sequential(*layers), key).to(memory_format=torch.channels_last)


@torch.random.fork_rng(devices=[])
def _decoder(inputs: int, channels: Sequence[int], hidden: int, key: int) -> nn.Sequential:
    above, below = channels[-2:]
    net = nn.Sequential(
        nn.Linear(inputs, hidden), nn.SiLU(),
        nn.Linear(hidden, 49 * below), nn.SiLU(),
        nn.Unflatten(1, (below, 7, 7)),
        nn.ConvTranspose2d(below, above, 4, 2, 1), nn.SiLU(),  # 14 x 14
        nn.ConvTranspose2d(above, 1, 4, 2, 1), nn.Sigmoid(),  # 28 x 28
    )  # fmt: skip
    return initialised(net, key).to(memory_format=torch.channels_last)
