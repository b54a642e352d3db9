"""A discriminator between two densities on a line, where the best one is known: D* = p / (p + q),
and its loss log 4 - 2 JSD(p, q)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from genlab import checks
from genlab.games.game import discriminator_loss
from genlab.images.networks import mlp
from genlab.streams import stream
from genlab.training import Trained
from genlab.training import torch as training
from genlab.training.torch import Descent, train


class Mixture(NamedTuple):
    """A mixture of normal densities: weights (k,) that sum to 1, means (k,), standard
    deviations (k,)."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    sds: tuple[float, ...]


def log_density(mixture: Mixture, x: np.ndarray) -> np.ndarray:
    """log Σ w_k N(x; m_k, s_k²) (n,) at points x (n,) [nats].  ValueError for weights or standard
    deviations that make no density."""
    w, m, s = (
        checks.numbers(p, f"{n} of the mixture")
        for p, n in zip(mixture, Mixture._fields, strict=True)
    )
    if (
        not w.shape == m.shape == s.shape == (w.size,)
        or not w.size
        or not np.isclose(w.sum(), 1)
        or min(w) <= 0
        or min(s) <= 0
    ):
        raise ValueError(
            f"{mixture}: as many weights, which sum to 1, as means and standard deviations, "
            "all above 0 but the means"
        )
    x = _line(x)[:, None]
    return np.logaddexp.reduce(
        np.log(w) - ((x - m) / s) ** 2 / 2 - np.log(s * np.sqrt(2 * np.pi)), axis=1
    )


def _line(x: np.ndarray) -> np.ndarray:
    """Points x (n,) in double precision."""
    x = checks.numbers(x, "x")
    return checks.shape(x, "x", (max(1, x.size),), ": points on a line")


def optimal_log_odds(p: Mixture, q: Mixture, x: np.ndarray) -> np.ndarray:
    """log p(x) - log q(x) (n,), the log-odds of D* = p / (p + q)
    (Goodfellow et al. 2014, proposition 1)."""
    return log_density(p, x) - log_density(q, x)


def loss_of(log_odds: np.ndarray, p: Mixture, q: Mixture, x: np.ndarray) -> float:
    """-E_p log D - E_q log(1 - D) [nats] of log-odds (n,) at equidistant points x (n,), which
    should reach well beyond both densities.

    By the trapezium rule and so without noise; at D* it is log 4 - 2 JSD(p, q), anywhere
    else more (theorem 1).
    """
    x = _line(x)
    log_odds = checks.shape(checks.numbers(log_odds, "log_odds"), "log_odds", x.shape, ", as x")
    at = np.exp(log_density(p, x)) * np.logaddexp(0, -log_odds) + np.exp(
        log_density(q, x)
    ) * np.logaddexp(0, log_odds)
    return float(np.trapezoid(at, x))


def draw(mixture: Mixture, n: int, device: torch.device) -> torch.Tensor:
    """n points (n, 1) from the mixture, by torch's generator."""
    w, m, s = (torch.tensor(part, dtype=torch.float32, device=device) for part in mixture)
    k = torch.multinomial(w, n, replacement=True)
    return (m[k] + s[k] * torch.randn(n, device=device)).unsqueeze(1)


@dataclass(frozen=True)
class Rules(training.Rules):
    """How the discriminator is trained: Adam, its rate falling to zero."""

    lr: float = 5e-3
    lr_last: float | None = 0.0
    fused: bool = False
    batch_size: int = 256


def train_discriminator(
    p: Mixture,
    q: Mixture,
    x: np.ndarray,
    *,
    hidden: Sequence[int] = (64, 64),
    rules: Rules,
    steps: int,
    seed: int,
    records: int = 40,
    until: int | None = None,
    resume: Trained | None = None,
    device: torch.device | str | None = None,
) -> Trained:
    """Tell fresh draws of p from fresh draws of q.

    The history has, at the end of each of `records` parts which grow geometrically, "log_odds"
    (records, n) at points x (n,) and their "loss" by `loss_of`.  Raises Diverged, ValueError.
    """
    rules.check()
    x = _line(x)
    checks.count(rules.batch_size, "batch_size")
    records = checks.count(records, "records")
    steps = checks.count(steps, "steps", records, hint=f", one for each of records={records}")
    net = mlp([1, *hidden, 1], activation=nn.SiLU, seed=stream(seed, "init"), device=device)
    net = nn.Sequential(*net, nn.Flatten(0))
    where = training.device_of(net)
    points = torch.from_numpy(np.asarray(x, np.float32)).to(where).unsqueeze(1)
    descent = Descent(net, rules, steps)

    @torch.no_grad()
    def reading():
        log_odds = net(points).cpu().numpy().astype(float)
        finite = np.isfinite(log_odds).all()
        return {"log_odds": log_odds, "loss": loss_of(log_odds, p, q, x) if finite else np.nan}

    history, state = train(
        lambda: update(descent, *(draw(m, rules.batch_size, where) for m in (p, q))),
        (descent,),
        rules=rules,
        ends=np.unique(np.geomspace(1, steps, records).round().astype(int)),
        seed=seed,
        what="discriminator",
        device=where,
        until=until,
        resume=resume,
        reading=reading,
    )
    return Trained(net.eval(), history, state=state)


def update(descent: Descent, real: torch.Tensor, fake: torch.Tensor) -> dict[str, torch.Tensor]:
    """One step of the discriminator down its loss at points real and fake, each (n, 1)."""
    return {"loss": descent.down(discriminator_loss(descent.net(real), descent.net(fake)))}
