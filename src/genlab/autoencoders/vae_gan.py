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

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

from genlab import checks
from genlab.autoencoders.variational import VAE, kl_to_standard_normal
from genlab.images.networks import SIDE, as_images, initialised
from genlab.streams import stream
from genlab.training import Diverged, check_epochs, progress
from genlab.training.torch import batches


class Discriminator(nn.Module):
    """Images (n, 784) -> features (n, 2 · width · 49) of two convolutions of stride 2, and log-odds
    (n,) that the image is real."""

    @torch.random.fork_rng(devices=[])
    def __init__(self, *, width: int = 16, seed: int):
        super().__init__()
        width = checks.count(width, "width")
        self.features = nn.Sequential(
            nn.Unflatten(1, (1, SIDE, SIDE)),
            nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2),  # 14 x 14
            nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2),  # 7 x 7
            nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Linear(2 * width * 49, 1)
        initialised(self, stream(seed, "init") + 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and log-odds."""
        f = self.features(x)
        return f, self.head(f).squeeze(1)


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


def train_vae_gan(
    images: np.ndarray,
    start: VAE,
    *,
    epochs: int,
    seed: int,
    similarity_weight: float = 0.1,
    width: int = 16,
    lr: float = 5e-4,
    batch_size: int = 128,
) -> tuple[VAE, dict[str, np.ndarray]]:
    """Go on from a trained VAE (which is not changed) with a discriminator's features in place of
    pixels; the VAE and the history.

    images (n, 28, 28) are shown in grey.  Adam with decay rates 0.5 and 0.999, its rate falling
    from lr to zero by a cosine.  The history has "step" and the means of "encoder", "decoder" and
    "discriminator" of every epoch.  Raises Diverged, ValueError.
    """
    x = as_images(images).flatten(1)
    check_epochs(epochs, batch_size, len(x))
    checks.number(similarity_weight, "similarity_weight", "at least 0")
    checks.number(lr, "lr", "positive")
    vae, discriminator, steps = (
        copy.deepcopy(start),
        Discriminator(width=width, seed=seed),
        len(x) // batch_size,
    )
    parts = (vae.encoder, vae.decoder, discriminator)
    optimizer = torch.optim.Adam(
        [p for part in parts for p in part.parameters()], lr=lr, betas=(0.5, 0.999), fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps * epochs)
    history = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, "train"))
        for epoch in progress(epochs, "VAE-GAN"):
            good, total = copy.deepcopy(vae.state_dict()), torch.zeros(3)
            for step, (batch,) in enumerate(batches((x,), batch_size, steps)):
                three = losses(vae, discriminator, batch, similarity_weight=similarity_weight)
                values = torch.stack(three).detach()
                if not torch.isfinite(values).all():
                    raise Diverged("VAE-GAN", epoch * steps + step, good)
                backward(parts, three)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad(set_to_none=True)
                total += values
            history.append((total / steps).tolist())
    columns = np.array(history).T
    return vae, {"step": steps * np.arange(1, epochs + 1)} | dict(
        zip(("encoder", "decoder", "discriminator"), columns, strict=True)
    )
