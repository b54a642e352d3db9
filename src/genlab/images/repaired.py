"""Source D's autoencoder, repaired: smooth activations, batch normalisation, no dropout,
grey values by a sigmoid."""

from collections.abc import Sequence

import torch
from torch import nn

from genlab.images.autoencoder import Autoencoder
from genlab.images.networks import check_sizes, initialised, pooled_encoder
from genlab.streams import stream


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
    check_sizes([*channels, hidden, latent_dim], 0.0)
    key = stream(seed, "init")
    encoder = pooled_encoder(latent_dim, channels=channels, hidden=hidden, seed=key)
    smooth = nn.Sequential(
        *(nn.SiLU() if isinstance(layer, nn.ReLU) else layer for layer in encoder)
    )
    return Autoencoder(smooth, _decoder(latent_dim, channels, hidden, key + 1))


@torch.random.fork_rng(devices=[])  # layers draw weights when they are made, which nobody asked for
def _decoder(inputs: int, channels: Sequence[int], hidden: int, key: int) -> nn.Sequential:
    last, first = channels[:2]
    net = nn.Sequential(
        nn.Linear(inputs, hidden), nn.SiLU(),
        nn.Linear(hidden, 49 * first), nn.SiLU(),
        nn.Unflatten(1, (first, 7, 7)),
        nn.ConvTranspose2d(first, last, 4, 2, 1), nn.SiLU(),  # 14 x 14
        nn.ConvTranspose2d(last, 1, 4, 2, 1), nn.Sigmoid(),  # 28 x 28
    )  # fmt: skip
    return initialised(net, key).to(memory_format=torch.channels_last)
