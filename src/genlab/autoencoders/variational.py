"""The variational autoencoder (Kingma & Welling 2014): Gaussian codes, Bernoulli pixels, and bounds
on the likelihood.

log p(x) >= E_q[log p(x|z)] - KL(q(z|x) | p(z)); with n importance samples,
log p(x) >= E[log (1/n) Σ p(x, z_i)/q(z_i|x)] (Burda, Grosse & Salakhutdinov 2016, eq. 8), which
rises with n.
A condition y, if there is one, joins the input of both networks: a class, or the pixels of an
image that are known, and x is then the rest of it (Sohn, Lee & Yan 2015).
"""

import copy
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import logsigmoid, one_hot

from genlab import checks
from genlab.images.networks import SIDE, as_images, check_labels, mlp
from genlab.streams import stream
from genlab.training.torch import in_batches, train

LOG_2PI = math.log(2 * math.pi)


def unit_kl(mean: torch.Tensor, log_var: torch.Tensor) -> torch.Tensor:
    """KL(N(mean, exp(log_var)) | N(0, 1)) = (mean² + exp(log_var) - 1 - log_var)/2 of every
    latent unit [nats]."""
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var)


def kl_to_standard_normal(mean: torch.Tensor, log_var: torch.Tensor) -> torch.Tensor:
    """KL(N(mean, exp(log_var)) | N(0, I)), summed over the last axis [nats]."""
    return unit_kl(mean, log_var).sum(-1)


def log_normal(
    z: torch.Tensor, mean: torch.Tensor | float = 0.0, log_var: torch.Tensor | float = 0.0
) -> torch.Tensor:
    """log N(z; mean, exp(log_var)) of independent coordinates, summed over the last axis [nats]."""
    log_var = torch.as_tensor(log_var)
    return -0.5 * ((z - mean) ** 2 / log_var.exp() + log_var + LOG_2PI).sum(-1)


def log_bernoulli(x: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Σ log p(x_i) of independent bits with these log-odds a, Σ x_i a_i - log(1 + exp a_i),
    over the last axis [nats]; broadcasts."""
    return torch.einsum("...i,...i->...", x, logits) + logsigmoid(-logits).sum(-1)


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
    ):
        super().__init__()
        self.latent_dim = latent_dim = checks.count(latent_dim, "latent_dim")
        key = stream(seed, "init")
        self.encoder = mlp(
            [n_pixels + n_condition, *hidden, 2 * latent_dim], activation=nn.Tanh, seed=key
        )
        self.decoder = mlp(
            [latent_dim + n_condition, *reversed(hidden), n_pixels],
            activation=nn.Tanh,
            seed=key + 1,
        )

    def encode(
        self, x: torch.Tensor, y: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance of q(z|x), each (n, latent_dim)."""
        return self.encoder(x if y is None else torch.cat([x, y], -1)).chunk(2, -1)

    def decode(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """Log-odds of the pixels (..., n_pixels)."""
        return self.decoder(z if y is None else torch.cat([z, y.expand(*z.shape[:-1], -1)], -1))


def elbo(
    vae: VAE,
    x: torch.Tensor,
    y: torch.Tensor | None = None,
    *,
    kl_weight: float = 1.0,
    free_bits: float = 0.0,
) -> torch.Tensor:
    """One-sample ELBO with the KL in closed form, weighted by `kl_weight`; shape (n,) for bits x
    (n, n_pixels) [nats].

    With `free_bits` a unit whose KL, as a mean over these n images, is below that many nats pays
    exactly that many (Kingma et al. 2016, eq. 15): nothing is gained by switching it off.
    """
    mean, log_var = vae.encode(x, y)
    z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)
    kl = unit_kl(mean, log_var)
    paid = kl.mean(0).clamp(min=free_bits).sum() if free_bits else kl.sum(-1)
    return log_bernoulli(x, vae.decode(z, y)) - kl_weight * paid


def _log_weights(vae: VAE, x: torch.Tensor, y: torch.Tensor | None, samples: int) -> torch.Tensor:
    """log p(x|z) p(z) / q(z|x) for `samples` draws z from q(z|x) of each image, shape
    (samples, n) [nats]."""
    samples = checks.count(samples, "samples")
    mean, log_var = vae.encode(x, y)
    z = mean + (0.5 * log_var).exp() * torch.randn(samples, *mean.shape)
    return log_bernoulli(x, vae.decode(z, y)) + log_normal(z) - log_normal(z, mean, log_var)


def importance_bound(
    vae: VAE, x: torch.Tensor, y: torch.Tensor | None = None, *, samples: int
) -> torch.Tensor:
    """log (1/n) Σ p(x|z_i) p(z_i) / q(z_i|x) for `samples` draws from q, shape (n,):
    the ELBO for one, log p(x) in the limit [nats]."""
    return _log_weights(vae, x, y, samples).logsumexp(0) - math.log(samples)


@torch.no_grad()
def log_weights(
    vae: VAE,
    x: torch.Tensor,
    y: torch.Tensor | None = None,
    *,
    samples: int,
    seed: int,
    images: int = 20,
    chunk: int = 100,
) -> torch.Tensor:
    """Log importance weights (samples, n) of bits x (n, n_pixels) under the stream "evaluate",
    `images` x `chunk` of them at a time."""
    x = torch.as_tensor(checks.probabilities(x, "x").astype(np.float32, copy=False))
    samples = checks.count(samples, "samples")
    chunks = [min(chunk, samples - i) for i in range(0, samples, chunk)] or [samples]
    conditions = itertools.repeat(None) if y is None else y.split(images)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, "evaluate"))
        return torch.cat(
            [
                torch.cat([_log_weights(vae, part, about, k) for k in chunks])
                for part, about in zip(x.split(images), conditions, strict=False)
            ],
            1,
        )


def grouped_bound(log_w: torch.Tensor, samples: int) -> np.ndarray:
    """The bound of `samples` draws for every image (n,), averaged over all groups that log weights
    (draws, n) hold [nats].

    ValueError if the draws do not divide into such groups.
    """
    if not 1 <= samples <= len(log_w) or len(log_w) % samples:
        raise ValueError(f"samples={samples} must divide the {len(log_w)} draws")
    return (log_w.unflatten(0, (-1, samples)).logsumexp(1) - math.log(samples)).mean(0).numpy()


@dataclass(frozen=True)
class Likelihood:
    """value: mean bound [nats].  se: its standard error over images.  effective_samples:
    mean (Σw)²/Σw² of the importance weights."""

    value: float
    se: float
    effective_samples: float


def summary(log_w: torch.Tensor) -> Likelihood:
    """The importance estimate that log weights (samples, n) hold."""
    each = grouped_bound(log_w, len(log_w))
    # (Σw)² / Σw², by logarithms, since the weights themselves underflow.
    effective = (2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp()
    return Likelihood(
        float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each))), float(effective.mean())
    )


def log_likelihood(
    vae: VAE, x: torch.Tensor, y: torch.Tensor | None = None, *, samples: int, seed: int
) -> Likelihood:
    """Importance estimate of the mean log p(x) (or log p(x|y)) over bits x (n, n_pixels) from
    `samples` draws an image."""
    return summary(log_weights(vae, x, y, samples=samples, seed=seed))


def toss(p: torch.Tensor) -> torch.Tensor:
    """Bits, each 1 with its probability p."""
    return (torch.rand_like(p) < p).to(p.dtype)


def observed_pixels(quadrants: int) -> torch.Tensor:
    """Which of the 784 pixels are known: the lower left quadrant, then the upper left, then the
    upper right; ValueError but for 1, 2, 3."""
    if quadrants not in (1, 2, 3):
        raise ValueError(f"quadrants={quadrants} must be 1, 2 or 3")
    seen = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    half = SIDE // 2
    seen[half:, :half] = True
    seen[:half, :half] = quadrants > 1
    seen[:half, half:] = quadrants > 2
    return seen.flatten()


def split(x: torch.Tensor, quadrants: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (n, 784) as missing pixels and observed pixels, in this order."""
    seen = observed_pixels(quadrants)
    return x[:, ~seen], x[:, seen]


def join(missing: torch.Tensor, observed: torch.Tensor, quadrants: int) -> torch.Tensor:
    """The inverse of `split`: missing (..., n, n_missing) and observed (n, n_observed) as
    images (..., n, 784)."""
    seen = observed_pixels(quadrants)
    x = missing.new_empty(*missing.shape[:-1], SIDE**2)
    x[..., ~seen], x[..., seen] = missing, observed.expand(*missing.shape[:-1], -1)
    return x


@torch.no_grad()
def start_at_mean(net: nn.Sequential, mean: torch.Tensor) -> None:
    """Let `net`, whose last layer gives log-odds, begin at the mean bit of every pixel
    (Burda et al. 2016's initialisation)."""
    # A pixel that is never on would start at log-odds of -∞.
    net[-1].bias.copy_(mean.clamp(0.01, 0.99).logit())


def train_vae(
    images: np.ndarray,
    *,
    latent_dim: int = 50,
    hidden: Sequence[int] = (400, 400),
    epochs: int,
    seed: int,
    samples: int = 1,
    kl_weight: float = 1.0,
    warm_up: int = 0,
    free_bits: float = 0.0,
    labels: np.ndarray | None = None,
    quadrants: int = 0,
    start: VAE | None = None,
    batch_size: int = 128,
    **rules,
) -> tuple[VAE, dict[str, np.ndarray]]:
    """A VAE of images (n, 28, 28) whose pixels are tossed anew each time they are shown, and the
    history of its loss [nats an image].

    samples > 1: the bound of that many importance samples (IWAE), which has no KL to weigh.
    warm_up: epochs over which the weight of the KL rises from zero to `kl_weight`.  labels (n,) or
    quadrants: what the VAE is conditioned on.  start: go on from this one, of the same sizes; it is
    not changed.  rules: lr, lr_last and the rest of `training.train`.  Raises ValueError, Diverged.
    """
    samples, warm_up = checks.count(samples, "samples"), checks.count(warm_up, "warm_up", 0)
    checks.number(free_bits, "free_bits", "at least 0")
    checks.number(kl_weight, "kl_weight", "at least 0")
    if samples > 1 and (kl_weight != 1 or warm_up or free_bits):
        raise ValueError(
            f"samples={samples}: kl_weight, warm_up and free_bits belong to the ELBO, samples=1"
        )
    if labels is not None and quadrants:
        raise ValueError(f"quadrants={quadrants} beside labels: labels or quadrants, not both")
    data = [as_images(images).flatten(1)]
    if labels is not None:
        data.append(one_hot(check_labels(labels, len(images)), 10).float())
    n_seen = int(observed_pixels(quadrants).sum()) if quadrants else 0
    n_condition = n_seen if quadrants else 10 * (len(data) - 1)
    vae = copy.deepcopy(start)
    if vae is None:
        vae = VAE(
            latent_dim, hidden=hidden, n_pixels=SIDE**2 - n_seen, n_condition=n_condition, seed=seed
        )
        mean = data[0].mean(0)
        start_at_mean(vae.decoder, split(mean[None], quadrants)[0][0] if quadrants else mean)
    step, ramp = itertools.count(1), max(1, warm_up * (len(images) // batch_size))

    def loss(p, y=None):
        x = toss(p)
        if quadrants:
            x, y = split(x, quadrants)
        if samples > 1:
            return -importance_bound(vae, x, y, samples=samples).mean()
        return -elbo(
            vae, x, y, kl_weight=kl_weight * min(1, next(step) / ramp), free_bits=free_bits
        ).mean()

    return vae, train(
        vae, loss, tuple(data), epochs=epochs, seed=seed, batch_size=batch_size, what="VAE", **rules
    )


def train_completion(
    images: np.ndarray, *, quadrants: int, hidden: Sequence[int] = (400, 400), seed: int, **rules
) -> tuple[nn.Module, dict[str, np.ndarray]]:
    """A network without latent numbers: observed bits -> log-odds of every missing bit by itself,
    and its history."""
    n_seen = int(observed_pixels(quadrants).sum())
    net = mlp([n_seen, *hidden, SIDE**2 - n_seen], activation=nn.Tanh, seed=stream(seed, "init"))
    pixels = as_images(images).flatten(1)
    start_at_mean(net, split(pixels.mean(0)[None], quadrants)[0][0])

    def loss(p):
        x, y = split(toss(p), quadrants)
        return -log_bernoulli(x, net(y)).mean()

    return net, train(net, loss, (pixels,), seed=seed, what="completion", **rules)


def encoded(vae: VAE, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of q(z|x), each (n, latent_dim), for images (n, 28, 28)."""
    both = in_batches(lambda x: torch.cat(vae.encode(x.flatten(1)), 1), as_images(images))
    mean, log_var = np.split(both, 2, 1)
    return mean, np.exp(0.5 * log_var)


def decoded(vae: VAE, z: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Probabilities of the pixels (n, 28, 28) for codes (n, latent_dim), of these classes (n,) if
    the VAE knows classes."""
    z = checks.points(1, dtype=np.float32, z=z)[0]
    checks.shape(z, "z", (len(z), vae.latent_dim))
    x = torch.from_numpy(z)
    if labels is None:
        out = in_batches(lambda z: vae.decode(z).sigmoid(), x)
    else:
        both = torch.cat([x, one_hot(check_labels(labels, len(x)), 10)], 1)
        out = in_batches(lambda zy: vae.decoder(zy).sigmoid(), both)
    return out.reshape(-1, SIDE, SIDE)


def unit_activity(vae: VAE, images: np.ndarray) -> np.ndarray:
    """Variance over images of each unit's posterior mean, (latent_dim,); Burda et al.
    (2016, section 5.2) call a unit active above 0.01."""
    return encoded(vae, images)[0].var(0)
