"""Critics: from telling real from generated to measuring how far apart they are
(Arjovsky et al. 2017; Gulrajani et al. 2017).

W₁(p, q) = sup over f of slope at most 1 of E_p f - E_q f (Kantorovich and Rubinstein).  A critic is
a network in the place of f; its slope is bounded by clipping its weights, or by a penalty on
slopes that are not 1.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from genlab import checks
from genlab.images.networks import mlp
from genlab.streams import stream
from genlab.training import Diverged, check_epochs, progress


def critic_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """mean f(G(z)) - mean f(x): minus the critic's estimate of W₁, up to its slope
    (Arjovsky et al. 2017, algorithm 1)."""
    return fake.mean() - real.mean()


def critic_generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """-mean f(G(z))."""
    return -fake.mean()


def gradient_norms(critic: Callable, x: torch.Tensor) -> torch.Tensor:
    """|∂f/∂x| (n,) at inputs x (n, ...); differentiable in the critic's weights."""
    x = x.detach().requires_grad_()
    values = critic(x)
    (slopes,) = torch.autograd.grad(values.sum(), x, create_graph=True)
    return slopes.reshape(len(values), -1).norm(dim=1)


def gradient_penalty(critic: Callable, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """mean (|∂f/∂x̂| - 1)² at x̂ = t x + (1 - t) G(z), t uniform for each input
    (Gulrajani et al. 2017, eq. 3).

    Its gradient reaches the critic alone: x̂ is cut off from the generator.  For a linear critic
    w·x it is (|w| - 1)².
    """
    t = torch.rand(len(real), *[1] * (real.ndim - 1))
    between = fake.detach() + t * (real - fake.detach())
    return ((gradient_norms(critic, between) - 1) ** 2).mean()


@torch.no_grad()
def clip_weights(critic: nn.Module, clip_value: float) -> None:
    """Move every weight and bias into [-clip_value, clip_value], in place
    (Arjovsky et al. 2017, algorithm 1)."""
    for p in critic.parameters():
        p.clamp_(-clip_value, clip_value)


# --- between two samples of points that stand still, where W₁ can be computed ---


def train_critic(
    x: np.ndarray,
    y: np.ndarray,
    *,
    steps: int,
    seed: int,
    hidden: Sequence[int] = (128, 128, 128),
    gp_weight: float = 0.0,
    clip_value: float = 0.0,
    lr: float = 1e-3,
    lr_last: float = 0.0,
    batch_size: int = 256,
    records: int = 40,
) -> tuple[nn.Sequential, dict[str, np.ndarray]]:
    """A critic between points x (n, d) and y (m, d), bounded by a gradient penalty or
    by clipping, one of the two.

    Adam with betas (0.5, 0.9), its rate falling from lr to lr_last by a cosine.  The history has,
    at the end of each of `records` equal parts, "step", "estimate": mean f(x) - mean f(y) over all
    points, and "slope": the largest |∂f| at x, y and between pairs of them.  estimate / slope is a
    lower bound on W₁ up to slopes elsewhere.  Raises Diverged, ValueError.
    """
    a, b = map(torch.from_numpy, checks.points(1, dtype=np.float32, x=x, y=y))
    check_epochs(1, batch_size, min(len(a), len(b)))
    gp_weight = checks.number(gp_weight, "gp_weight", "at least 0")
    clip_value = checks.number(clip_value, "clip_value", "at least 0")
    if (gp_weight > 0) == (clip_value > 0):
        raise ValueError(
            f"gp_weight={gp_weight}, clip_value={clip_value}: one of them above 0, the other 0"
        )
    checks.number(lr, "lr", "positive")
    records = checks.count(records, "records")
    steps = checks.count(steps, "steps", records, hint=f", one for each of records={records}")
    net = mlp([a.shape[1], *hidden, 1], activation=nn.ReLU, seed=stream(seed, "init"))
    critic = nn.Sequential(*net, nn.Flatten(0))
    optimizer = torch.optim.Adam(critic.parameters(), lr=lr, betas=(0.5, 0.9), fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=lr_last)
    ends, history = steps * np.arange(records + 1) // records, []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, "train"))
        for record in progress(records, "critic"):
            for _ in range(ends[record], ends[record + 1]):
                real, fake = (
                    points[torch.randint(len(points), (batch_size,))] for points in (a, b)
                )
                loss = critic_loss(critic(real), critic(fake))
                if gp_weight:
                    loss = loss + gp_weight * gradient_penalty(critic, real, fake)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                if clip_value:
                    clip_weights(critic, clip_value)
            history.append(_reading(critic, a, b))
            if not np.isfinite(history[-1]).all():
                raise Diverged("critic", int(ends[record + 1]), critic.state_dict())
    estimate, slope = np.array(history).T
    return critic.eval(), {"step": ends[1:], "estimate": estimate, "slope": slope}


def _reading(critic: nn.Module, a: torch.Tensor, b: torch.Tensor) -> tuple[float, float]:
    """The critic's estimate between all points a and b, and its largest slope at them and
    halfway between pairs."""
    n = min(len(a), len(b))
    with torch.no_grad():
        estimate = critic(a).mean() - critic(b).mean()
    slope = gradient_norms(critic, torch.cat([a, b, (a[:n] + b[:n]) / 2])).max()
    return estimate.item(), slope.item()
