"""Bounds on the log-likelihood of a variational autoencoder [nats].

log p(x) >= E_q[log p(x|z)] - KL(q(z|x) | p(z)) (Kingma & Welling 2014, eq. 3); with n importance
samples, log p(x) >= E[log (1/n) Σ p(x, z_i)/q(z_i|x)] (Burda, Grosse & Salakhutdinov 2016, eq. 8),
which rises with n.  A `vae` has encode and decode as `variational.VAE`.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import logsigmoid

from genlab import checks
from genlab.streams import stream
from genlab.training.torch import device_of, generator_from

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
    log_var = torch.as_tensor(log_var, device=z.device)
    return -0.5 * ((z - mean) ** 2 / log_var.exp() + log_var + LOG_2PI).sum(-1)


def log_bernoulli(x: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Σ log p(x_i) of independent bits with these log-odds a, Σ x_i a_i - log(1 + exp a_i),
    over the last axis [nats]; broadcasts."""
    return torch.einsum("...i,...i->...", x, logits) + logsigmoid(-logits).sum(-1)


def elbo(
    vae: nn.Module,
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


def _log_weights(
    vae: nn.Module, x: torch.Tensor, y: torch.Tensor | None, samples: int
) -> torch.Tensor:
    """log p(x|z) p(z) / q(z|x) for `samples` draws z from q(z|x) of each image, shape
    (samples, n) [nats]."""
    samples = checks.count(samples, "samples")
    mean, log_var = vae.encode(x, y)
    z = mean + (0.5 * log_var).exp() * torch.randn(samples, *mean.shape, device=x.device)
    return log_bernoulli(x, vae.decode(z, y)) + log_normal(z) - log_normal(z, mean, log_var)


def importance_bound(
    vae: nn.Module, x: torch.Tensor, y: torch.Tensor | None = None, *, samples: int
) -> torch.Tensor:
    """log (1/n) Σ p(x|z_i) p(z_i) / q(z_i|x) for `samples` draws from q, shape (n,):
    the ELBO for one, log p(x) in the limit [nats]."""
    return _log_weights(vae, x, y, samples).logsumexp(0) - math.log(samples)


@torch.no_grad()
def log_weights(
    vae: nn.Module,
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
    where = device_of(vae)
    x = torch.as_tensor(checks.probabilities(x, "x").astype(np.float32, copy=False), device=where)
    samples = checks.count(samples, "samples")
    chunks = [min(chunk, samples - i) for i in range(0, samples, chunk)] or [samples]
    conditions = itertools.repeat(None) if y is None else y.to(where).split(images)
    with generator_from(stream(seed, "evaluate"), where):
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
    return (
        (log_w.unflatten(0, (-1, samples)).logsumexp(1) - math.log(samples)).mean(0).cpu().numpy()
    )


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
    vae: nn.Module, x: torch.Tensor, y: torch.Tensor | None = None, *, samples: int, seed: int
) -> Likelihood:
    """Importance estimate of the mean log p(x) (or log p(x|y)) over bits x (n, n_pixels) from
    `samples` draws an image."""
    return summary(log_weights(vae, x, y, samples=samples, seed=seed))
