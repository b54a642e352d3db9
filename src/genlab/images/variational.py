"""The variational autoencoder (Kingma & Welling 2014): Gaussian codes, Bernoulli pixels, and bounds on the likelihood.

log p(x) >= E_q[log p(x|z)] - KL(q(z|x) | p(z)); with n importance samples, log p(x) >= E[log (1/n) Σ p(x, z_i)/q(z_i|x)]
(Burda, Grosse & Salakhutdinov 2016, eq. 8), which rises with n.  A condition y, if there is one, joins the input of both networks.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from genlab.images.networks import mlp
from genlab.streams import stream

LOG_2PI = math.log(2 * math.pi)


def kl_to_standard_normal(mean: torch.Tensor, log_var: torch.Tensor) -> torch.Tensor:
    """KL(N(mean, exp(log_var)) | N(0, I)) = Σ (mean² + exp(log_var) - 1 - log_var)/2, summed over the last axis [nats]."""
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(-1)


def log_normal(z: torch.Tensor, mean: torch.Tensor | float = 0.0, log_var: torch.Tensor | float = 0.0) -> torch.Tensor:
    """log N(z; mean, exp(log_var)) of independent coordinates, summed over the last axis [nats]."""
    log_var = torch.as_tensor(log_var)
    return -0.5 * ((z - mean) ** 2 / log_var.exp() + log_var + LOG_2PI).sum(-1)


def log_bernoulli(x: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Σ log p(x_i) of independent bits with these log-odds, over the last axis [nats]."""
    logits, x = torch.broadcast_tensors(logits, x)
    return -binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


class VAE(nn.Module):
    """Encoder x (, y) -> mean and log-variance of q(z|x), decoder z (, y) -> log-odds of 784 pixels; y (n, n_condition)."""

    def __init__(
        self,
        latent_dim: int,
        *,
        hidden: tuple[int, ...] = (400, 400),
        n_pixels: int = 784,
        n_condition: int = 0,
        seed: int,
    ):
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim={latent_dim} must be at least 1")
        self.latent_dim = latent_dim
        self.encoder = mlp(
            [n_pixels + n_condition, *hidden, 2 * latent_dim], activation=nn.Tanh, seed=stream(seed, "init")
        )
        self.decoder = mlp(
            [latent_dim + n_condition, *reversed(hidden), n_pixels], activation=nn.Tanh, seed=stream(seed, "init") + 1
        )

    def encode(self, x: torch.Tensor, y: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance of q(z|x), each (n, latent_dim)."""
        return self.encoder(x if y is None else torch.cat([x, y], -1)).chunk(2, -1)

    def decode(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """Log-odds of the pixels (..., n_pixels)."""
        return self.decoder(z if y is None else torch.cat([z, y.expand(*z.shape[:-1], -1)], -1))


def elbo(vae: VAE, x: torch.Tensor, y: torch.Tensor | None = None, *, beta: float = 1.0) -> torch.Tensor:
    """One-sample ELBO with the KL in closed form, weighted by `beta`; shape (n,) for bits x (n, n_pixels) [nats]."""
    mean, log_var = vae.encode(x, y)
    z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)
    return log_bernoulli(x, vae.decode(z, y)) - beta * kl_to_standard_normal(mean, log_var)


def importance_bound(vae: VAE, x: torch.Tensor, y: torch.Tensor | None = None, *, samples: int) -> torch.Tensor:
    """log (1/n) Σ p(x|z_i) p(z_i) / q(z_i|x) for `samples` draws from q, shape (n,): the ELBO for one, log p(x) in the limit [nats]."""
    if samples < 1:
        raise ValueError(f"samples={samples} must be at least 1")
    mean, log_var = vae.encode(x, y)
    z = mean + (0.5 * log_var).exp() * torch.randn(samples, *mean.shape)
    log_w = log_bernoulli(x, vae.decode(z, y)) + log_normal(z) - log_normal(z, mean, log_var)
    return log_w.logsumexp(0) - math.log(samples)


@dataclass(frozen=True)
class Likelihood:
    """value: mean bound [nats].  se: its standard error over images.  effective_samples: mean (Σw)²/Σw² of the importance weights."""

    value: float
    se: float
    effective_samples: float


@torch.no_grad()
def log_likelihood(
    vae: VAE, x: torch.Tensor, y: torch.Tensor | None = None, *, samples: int, seed: int, chunk: int = 200
) -> Likelihood:
    """Importance estimate of the mean log p(x) over bits x (n, n_pixels) from `samples` draws an image, `chunk` of them at a time."""
    bounds, effective = [], []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, "evaluate") % 2**63)
        for i in range(0, len(x), 100):
            batch, cond = x[i : i + 100], None if y is None else y[i : i + 100]
            mean, log_var = vae.encode(batch, cond)
            log_w = []
            for _ in range(0, samples, chunk):
                z = mean + (0.5 * log_var).exp() * torch.randn(min(chunk, samples - sum(map(len, log_w))), *mean.shape)
                log_w.append(log_bernoulli(batch, vae.decode(z, cond)) + log_normal(z) - log_normal(z, mean, log_var))
            log_w = torch.cat(log_w)
            bounds.append(log_w.logsumexp(0) - math.log(samples))
            effective.append((2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp())
    values = torch.cat(bounds).numpy()
    return Likelihood(
        float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))), float(torch.cat(effective).mean())
    )
