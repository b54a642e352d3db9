"""Images a second of one convolutional autoencoder, the same network and batches: our training
loop, a bare torch loop, and pythae's trainer where it is installed.

    .venv/bin/python benchmarks/autoencoder.py

pythae is not part of the project: pip install --no-deps pythae.
"""

import argparse
import contextlib
import copy
import statistics
import tempfile
import time

import torch

from genlab.autoencoders.convolutional import LOSSES, Rules, conv_autoencoder, train_autoencoder
from genlab.data import images
from genlab.images.networks import as_images
from genlab.training.torch import device_of

BATCH, LATENT = 128, 10


def ours(net, pictures) -> None:
    train_autoencoder(net, pictures, rules=Rules(batch_size=BATCH), epochs=1, seed=0)


def bare_loop(net, pictures) -> None:
    """What any loop has to do: shuffle, forward, backward, Adam; nothing is recorded and
    nothing is checked."""
    net, x = copy.deepcopy(net), as_images(pictures, device_of(net))
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    for rows in torch.randperm(len(x))[: len(x) // BATCH * BATCH].view(-1, BATCH):
        batch = x[rows]
        optimizer.zero_grad(set_to_none=True)
        LOSSES["mse"](net.decode(net.encode(batch)), batch).mean().backward()
        optimizer.step()


def pythae(net, pictures) -> None:
    """pythae's BaseTrainer on its AE with our encoder and decoder inside."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import AE, AEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    net, x = copy.deepcopy(net), as_images(pictures, device_of(net))

    class Encoder(BaseEncoder):
        def __init__(self):
            BaseEncoder.__init__(self)
            self.inner, self.latent_dim = net.encoder, LATENT

        def forward(self, x):
            return ModelOutput(embedding=self.inner(x))

    class Decoder(BaseDecoder):
        def __init__(self):
            BaseDecoder.__init__(self)
            self.inner = net.decoder

        def forward(self, z):
            return ModelOutput(reconstruction=self.inner(z))

    config = AEConfig(input_dim=(1, 28, 28), latent_dim=LATENT)
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=1e-3,
            no_cuda=True,
        )
        data = BaseDataset(x, torch.zeros(len(x)))
        BaseTrainer(AE(config, Encoder(), Decoder()), data, training_config=settings).train()


def main(rounds: int, n: int) -> None:
    pictures = images.load("fashion-mnist", "train").images[:n]
    net = conv_autoencoder(LATENT, seed=0)
    rates: dict[str, list[float]] = {}
    for _ in range(rounds + 1):
        for work in (ours, bare_loop, pythae):
            with contextlib.suppress(ImportError):  # an optional peer
                start = time.perf_counter()
                work(net, pictures)
                rates.setdefault(work.__name__, []).append(n / (time.perf_counter() - start))
    # the first round warms up
    median = {name: statistics.median(values[1:]) for name, values in rates.items()}
    for name, rate in median.items():
        print(f"{name:10s} {rate:8.0f} images/s; ours is {median['ours'] / rate:.2f} times as fast")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-n", type=int, default=20_000, help="images in an epoch")
    args = parser.parse_args()
    main(args.rounds, args.n)
