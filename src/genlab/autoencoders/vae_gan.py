"""VAE-GAN: a VAE whose reconstruction error is measured in what a discriminator sees
(Larsen et al. 2016), in place of pixels.

Three networks, three losses (their algorithm 1), with x~ = dec(enc(x)) and x_p = dec(prior):
    encoder        KL(q(z|x) | N(0, I)) + ½ |f(x) - f(x~)|²
    decoder        similarity_weight · ½ |f(x) - f(x~)|² - log D(x~) - log D(x_p)
    discriminator  -log D(x) - log(1 - D(x~)) - log(1 - D(x_p))
f are features inside the discriminator D; all sums over features, means over images.  The decoder's
adversarial terms are the non-saturating ones (Goodfellow et al. 2014, section 3), where the
paper has log(1 - D).
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

from genlab import checks
from genlab.autoencoders.bounds import kl_to_standard_normal
from genlab.autoencoders.variational import VAE
from genlab.images.networks import SIDE, as_images, initialised
from genlab.streams import stream
from genlab.training import Trained
from genlab.training import torch as training
from genlab.training.torch import Descent, builder, device_of, run_epochs


class Discriminator(nn.Module):
    """Images (n, 784) -> features (n, 2 · width · 49) of two convolutions of stride 2, and log-odds
    (n,) that the image is real."""

    def __init__(self, width: int):
        super().__init__()
        self.features = nn.Sequential(
            nn.Unflatten(1, (1, SIDE, SIDE)),
            nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2),  # 14 x 14
            nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2),  # 7 x 7
            nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Linear(2 * width * 49, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and log-odds."""
        f = self.features(x)
        return f, self.head(f).squeeze(1)


@builder
def discriminator(*, width: int = 16, seed: int) -> Discriminator:
    """An untrained discriminator.  ValueError for a width below 1."""
    return initialised(Discriminator(checks.count(width, "width")), stream(seed, "init") + 2)


def losses(
    vae: VAE, discriminator: Discriminator, x: torch.Tensor, *, similarity_weight: float
) -> tuple[torch.Tensor, ...]:
    """The losses of encoder, decoder and discriminator for grey values x (n, 784) [nats an image],
    from one pass forward."""
    mean, log_var = vae.encode(x)
    z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)
    fakes = vae.decode(torch.cat([z, torch.randn_like(z)])).sigmoid()
    f, log_odds = discriminator(torch.cat([x, fakes]))
    (f_real, f_again, _), (real, again, drawn) = f.chunk(3), log_odds.chunk(3)
    similarity = 0.5 * ((f_real - f_again) ** 2).sum(1).mean()
    return (
        kl_to_standard_normal(mean, log_var).mean() + similarity,
        similarity_weight * similarity + (softplus(-again) + softplus(-drawn)).mean(),
        (softplus(-real) + softplus(again) + softplus(drawn)).mean(),
    )


def backward(parts: tuple[nn.Module, ...], losses: tuple[torch.Tensor, ...]) -> None:
    """Leave in every part the gradient of its own loss and of no other's."""
    for part, loss in zip(parts, losses, strict=True):
        # The losses share one graph, which only the last may free.
        loss.backward(inputs=list(part.parameters()), retain_graph=loss is not losses[-1])


@dataclass(frozen=True)
class Rules(training.Rules):
    """How a VAE-GAN is trained: `similarity_weight` is that of the error in features in the
    decoder's loss."""

    lr: float = 5e-4
    lr_last: float | None = 0.0
    betas: tuple[float, float] = (0.5, 0.999)
    similarity_weight: float = 0.1

    def check(self) -> None:
        super().check()
        checks.number(self.similarity_weight, "similarity_weight", "at least 0")


class Networks(nn.Module):
    """A VAE and the discriminator through which it sees."""

    def __init__(self, vae: VAE, discriminator: Discriminator):
        super().__init__()
        self.vae, self.discriminator = vae, discriminator


def train_vae_gan(
    images: np.ndarray,
    start: VAE,
    *,
    width: int = 16,
    rules: Rules,
    epochs: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Go on from a trained VAE (which is not changed) with a discriminator's features in place of
    pixels; the model is the VAE.

    images (n, 28, 28) are shown in grey.  Raises Diverged, ValueError.
    """
    where = device_of(start)
    nets = Networks(copy.deepcopy(start), discriminator(width=width, seed=seed, device=where))
    data = (as_images(images, where).flatten(1),)
    trained = run_epochs(
        update, nets, data, rules, epochs=epochs, seed=seed, what="VAE-GAN",
        until=until, resume=resume,
    )  # fmt: skip
    return trained._replace(model=nets.vae)


def update(descent: Descent, batch: tuple, rules: Rules) -> dict[str, torch.Tensor]:
    """One step of every network down its own loss, at grey values (n, 784)."""
    vae, discriminator = descent.net.vae, descent.net.discriminator
    three = losses(vae, discriminator, *batch, similarity_weight=rules.similarity_weight)
    descent.optimizer.zero_grad(set_to_none=True)
    backward((vae.encoder, vae.decoder, discriminator), three)
    descent.optimizer.step()
    names = ("encoder", "decoder", "discriminator")
    return {name: loss.detach() for name, loss in zip(names, three, strict=True)}
