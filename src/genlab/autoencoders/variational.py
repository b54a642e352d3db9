"""The variational autoencoder (Kingma & Welling 2014): Gaussian codes and Bernoulli pixels.

A condition y, if there is one, joins the input of both networks: a class, or the pixels of an
image that are known, and x is then the rest of it (Sohn, Lee & Yan 2015).  Its rival there,
`train_completion`, has no codes.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
from torch import nn
from torch.nn.functional import one_hot

from genlab import checks
from genlab.autoencoders.bounds import elbo, importance_bound, log_bernoulli
from genlab.images.networks import SIDE, as_images, check_labels, mlp
from genlab.streams import stream
from genlab.training import Trained
from genlab.training import torch as training
from genlab.training.torch import Descent, device_of, in_batches, run_epochs


class VAE(nn.Module):
    """Encoder x (, y) -> mean and log-variance of q(z|x), decoder z (, y) -> log-odds of the
    pixels; y (n, n_condition)."""

    def __init__(
        self,
        latent_dim: int,
        *,
        hidden: Sequence[int] = (400, 400),
        n_pixels: int = SIDE**2,
        n_condition: int = 0,
        seed: int,
        device: torch.device | str | None = None,
    ):
        super().__init__()
        self.latent_dim = latent_dim = checks.count(latent_dim, "latent_dim")
        key = stream(seed, "init")
        self.encoder = mlp(
            [n_pixels + n_condition, *hidden, 2 * latent_dim],
            activation=nn.Tanh,
            seed=key,
            device=device,
        )
        self.decoder = mlp(
            [latent_dim + n_condition, *reversed(hidden), n_pixels],
            activation=nn.Tanh,
            seed=key + 1,
            device=device,
        )

    def encode(
        self, x: torch.Tensor, y: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance of q(z|x), each (n, latent_dim)."""
        return self.encoder(x if y is None else torch.cat([x, y], -1)).chunk(2, -1)

    def decode(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """Log-odds of the pixels (..., n_pixels)."""
        return self.decoder(z if y is None else torch.cat([z, y.expand(*z.shape[:-1], -1)], -1))


def toss(p: torch.Tensor) -> torch.Tensor:
    """Bits, each 1 with its probability p."""
    return (torch.rand_like(p) < p).to(p.dtype)


def observed_pixels(quadrants: int) -> torch.Tensor:
    """Which of the 784 pixels are known: the lower left quadrant, then the upper left, then the
    upper right; ValueError but for 1, 2, 3."""
    if quadrants not in (1, 2, 3):
        raise ValueError(f"quadrants={quadrants} must be 1, 2 or 3")
    seen = torch.zeros(SIDE, SIDE, dtype=torch.bool, device="cpu")
    half = SIDE // 2
    seen[half:, :half] = True
    seen[:half, :half] = quadrants > 1
    seen[:half, half:] = quadrants > 2
    return seen.flatten()


@lru_cache
def _places(quadrants: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The places of missing and of observed pixels, on the device once for all batches."""
    seen = observed_pixels(quadrants)
    return tuple(which.nonzero().squeeze(1).to(device) for which in (~seen, seen))


def split(x: torch.Tensor, quadrants: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (n, 784) as missing pixels and observed pixels, in this order."""
    missing, observed = _places(quadrants, x.device)
    return x[:, missing], x[:, observed]


def join(missing: torch.Tensor, observed: torch.Tensor, quadrants: int) -> torch.Tensor:
    """The inverse of `split`: missing (..., n, n_missing) and observed (n, n_observed) as
    images (..., n, 784)."""
    x = missing.new_empty(*missing.shape[:-1], SIDE**2)
    places = _places(quadrants, x.device)
    x[..., places[0]], x[..., places[1]] = missing, observed.expand(*missing.shape[:-1], -1)
    return x


@torch.no_grad()
def start_at_mean(net: nn.Sequential, mean: torch.Tensor) -> None:
    """Let `net`, whose last layer gives log-odds, begin at the mean bit of every pixel
    (Burda et al. 2016's initialisation)."""
    # A pixel that is never on would start at log-odds of -∞.
    net[-1].bias.copy_(mean.clamp(0.01, 0.99).logit())


@dataclass(frozen=True)
class Rules(training.Rules):
    """How a VAE is trained.

    samples > 1: on the bound of that many importance samples (IWAE), which has no KL to weigh.
    `warm_up`: epochs over which the weight of the KL rises from zero to `kl_weight`.  `free_bits`
    [nats] as for `bounds.elbo`.
    """

    samples: int = 1
    kl_weight: float = 1.0
    warm_up: int = 0
    free_bits: float = 0.0

    def check(self) -> None:
        super().check()
        checks.count(self.samples, "samples")
        checks.number(self.kl_weight, "kl_weight", "at least 0")
        checks.count(self.warm_up, "warm_up", 0)
        checks.number(self.free_bits, "free_bits", "at least 0")
        if self.samples > 1 and (self.kl_weight != 1 or self.warm_up or self.free_bits):
            raise ValueError(
                f"samples={self.samples}: kl_weight, warm_up and free_bits belong to the ELBO, "
                "samples=1"
            )


def train_vae(
    images: np.ndarray,
    *,
    latent_dim: int = 50,
    hidden: Sequence[int] = (400, 400),
    labels: np.ndarray | None = None,
    quadrants: int = 0,
    start: VAE | None = None,
    rules: Rules,
    epochs: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
    device: torch.device | str | None = None,
) -> Trained:
    """A VAE of images (n, 28, 28) whose pixels are tossed anew each time they are shown; its loss
    is minus the bound [nats an image].

    labels (n,) or quadrants: what the VAE is conditioned on.  start: go on from this one, of the
    same sizes; it is not changed.  Raises ValueError, Diverged.
    """
    rules.check()
    if labels is not None and quadrants:
        raise ValueError(f"quadrants={quadrants} beside labels: labels or quadrants, not both")
    n_seen = int(observed_pixels(quadrants).sum()) if quadrants else 0
    n_condition = n_seen if quadrants else 10 * (labels is not None)
    vae = copy.deepcopy(start) or VAE(
        latent_dim, hidden=hidden, n_pixels=SIDE**2 - n_seen, n_condition=n_condition, seed=seed,
        device=device,
    )  # fmt: skip
    where = device_of(vae if device is None else vae.to(device))
    data = [as_images(images, where).flatten(1)]
    if labels is not None:
        classes = check_labels(labels, len(images), device=where)
        data.append(one_hot(classes, 10).float())
    if start is None:
        mean = data[0].mean(0)
        start_at_mean(vae.decoder, split(mean[None], quadrants)[0][0] if quadrants else mean)
    ramp = max(1, rules.warm_up * (len(images) // max(1, rules.batch_size)))
    return run_epochs(
        partial(update, quadrants=quadrants, ramp=ramp), vae, data, rules, epochs=epochs,
        seed=seed, what="VAE", until=until, resume=resume,
    )  # fmt: skip


def update(
    descent: Descent, batch: tuple, rules: Rules, *, quadrants: int = 0, ramp: int = 1
) -> dict[str, torch.Tensor]:
    """One step up the bound at the probabilities (n, 784) of pixels, tossed anew; the weight of the
    KL rises over the first `ramp` updates."""
    vae, x = descent.net, toss(batch[0])
    if quadrants:
        x, y = split(x, quadrants)
    else:
        y = batch[1] if len(batch) > 1 else None
    if rules.samples > 1:
        bound = importance_bound(vae, x, y, samples=rules.samples)
    else:
        kl_weight = rules.kl_weight * min(1, (descent.done + 1) / ramp)
        bound = elbo(vae, x, y, kl_weight=kl_weight, free_bits=rules.free_bits)
    return {"loss": descent.down(-bound.mean())}


def train_completion(
    images: np.ndarray,
    *,
    quadrants: int,
    hidden: Sequence[int] = (400, 400),
    rules: training.Rules,
    epochs: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
    device: torch.device | str | None = None,
) -> Trained:
    """A network without latent numbers: observed bits -> log-odds of every missing bit by
    itself."""
    n_seen = int(observed_pixels(quadrants).sum())
    sizes = [n_seen, *hidden, SIDE**2 - n_seen]
    net = mlp(sizes, activation=nn.Tanh, seed=stream(seed, "init"), device=device)
    pixels = as_images(images, device_of(net)).flatten(1)
    start_at_mean(net, split(pixels.mean(0)[None], quadrants)[0][0])
    return run_epochs(
        partial(completion_update, quadrants=quadrants), net, (pixels,), rules, epochs=epochs,
        seed=seed, what="completion", until=until, resume=resume,
    )  # fmt: skip


def completion_update(
    descent: Descent, batch: tuple, rules: training.Rules, *, quadrants: int
) -> dict[str, torch.Tensor]:
    """One step up log p(missing | observed) at the probabilities (n, 784) of pixels, tossed
    anew."""
    x, y = split(toss(*batch), quadrants)
    return {"loss": descent.down(-log_bernoulli(x, descent.net(y)).mean())}


def encoded(vae: VAE, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of q(z|x), each (n, latent_dim), for images (n, 28, 28)."""
    both = in_batches(
        lambda x: torch.cat(vae.encode(x.flatten(1)), 1), as_images(images, device_of(vae))
    )
    mean, log_var = np.split(both, 2, 1)
    return mean, np.exp(0.5 * log_var)


def decoded(vae: VAE, z: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Probabilities of the pixels (n, 28, 28) for codes (n, latent_dim), of these classes (n,) if
    the VAE knows classes."""
    z = checks.points(1, dtype=np.float32, z=z)[0]
    checks.shape(z, "z", (len(z), vae.latent_dim))
    where = device_of(vae)
    x = torch.from_numpy(z).to(where)
    if labels is None:
        out = in_batches(lambda z: vae.decode(z).sigmoid(), x)
    else:
        both = torch.cat([x, one_hot(check_labels(labels, len(x), device=where), 10)], 1)
        out = in_batches(lambda zy: vae.decoder(zy).sigmoid(), both)
    return out.reshape(-1, SIDE, SIDE)


def unit_activity(vae: VAE, images: np.ndarray) -> np.ndarray:
    """Variance over images of each unit's posterior mean, (latent_dim,); Burda et al.
    (2016, section 5.2) call a unit active above 0.01."""
    return encoded(vae, images)[0].var(0)
