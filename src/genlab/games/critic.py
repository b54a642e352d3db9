"""Critics: from telling real from generated to measuring how far apart they are
(Arjovsky et al. 2017; Gulrajani et al. 2017).

W₁(p, q) = sup over f of slope at most 1 of E_p f - E_q f (Kantorovich and Rubinstein).  A critic is
a network in the place of f; its slope is bounded by clipping its weights, or by a penalty on
slopes that are not 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from genlab import checks
from genlab.images.networks import mlp
from genlab.streams import stream
from genlab.training import Trained, check_epochs, equal_parts
from genlab.training import torch as training
from genlab.training.torch import Descent, train


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
    t = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    between = fake.detach() + t * (real - fake.detach())
    return ((gradient_norms(critic, between) - 1) ** 2).mean()


@torch.no_grad()
def clip_weights(critic: nn.Module, clip_value: float) -> None:
    """Move every weight and bias into [-clip_value, clip_value], in place
    (Arjovsky et al. 2017, algorithm 1)."""
    for p in critic.parameters():
        p.clamp_(-clip_value, clip_value)


# --- between two samples of points that stand still, where W₁ can be computed ---


@dataclass(frozen=True)
class Rules(training.Rules):
    """How a critic is trained: its slope is bounded by a gradient penalty of weight `gp_weight`, or
    by weights clipped at `clip_value`; one of the two is 0."""

    lr_last: float | None = 0.0
    betas: tuple[float, float] = (0.5, 0.9)
    batch_size: int = 256
    gp_weight: float = 0.0
    clip_value: float = 0.0

    def check(self) -> None:
        super().check()
        gp_weight = checks.number(self.gp_weight, "gp_weight", "at least 0")
        clip_value = checks.number(self.clip_value, "clip_value", "at least 0")
        if (gp_weight > 0) == (clip_value > 0):
            raise ValueError(
                f"gp_weight={gp_weight}, clip_value={clip_value}: one of them above 0, the other 0"
            )


def train_critic(
    x: np.ndarray,
    y: np.ndarray,
    *,
    hidden: Sequence[int] = (128, 128, 128),
    rules: Rules,
    steps: int,
    seed: int,
    records: int = 40,
    until: int | None = None,
    resume: Trained | None = None,
    device: torch.device | str | None = None,
) -> Trained:
    """A critic between points x (n, d) and y (m, d).

    The history has, at the end of each of `records` equal parts, "estimate": mean f(x) - mean f(y)
    over all points, and "slope": the largest |∂f| at x, y and between pairs of them.
    estimate / slope is a lower bound on W₁ up to slopes elsewhere.  Raises Diverged, ValueError.
    """
    rules.check()
    points = checks.points(1, dtype=np.float32, x=x, y=y)
    check_epochs(1, rules.batch_size, min(map(len, points)))
    ends = equal_parts(steps, records)
    sizes = [points[0].shape[1], *hidden, 1]
    net = mlp(sizes, activation=nn.ReLU, seed=stream(seed, "init"), device=device)
    critic = nn.Sequential(*net, nn.Flatten(0))
    where = training.device_of(critic)
    a, b = (torch.from_numpy(part).to(where) for part in points)
    descent = Descent(critic, rules, int(ends[-1]))
    history, state = train(
        lambda: update(
            descent, *(p[torch.randint(len(p), (rules.batch_size,), device=where)] for p in (a, b)),
            rules,
        ),
        (descent,),
        rules=rules,
        ends=ends,
        seed=seed,
        what="critic",
        device=where,
        until=until,
        resume=resume,
        reading=lambda: _reading(critic, a, b),
    )  # fmt: skip
    return Trained(critic.eval(), history, state=state)


def update(
    descent: Descent, real: torch.Tensor, fake: torch.Tensor, rules: Rules
) -> dict[str, torch.Tensor]:
    """One step of the critic down its loss at points real and fake, each (n, d)."""
    critic = descent.net
    loss = critic_loss(critic(real), critic(fake))
    if rules.gp_weight:
        loss = loss + rules.gp_weight * gradient_penalty(critic, real, fake)
    loss = descent.down(loss)
    if rules.clip_value:
        clip_weights(critic, rules.clip_value)
    return {"loss": loss}


def _reading(critic: nn.Module, a: torch.Tensor, b: torch.Tensor) -> dict[str, float]:
    """The critic's estimate between all points a and b, and its largest slope at them and
    halfway between pairs."""
    n = min(len(a), len(b))
    with torch.no_grad():
        estimate = critic(a).mean() - critic(b).mean()
    slope = gradient_norms(critic, torch.cat([a, b, (a[:n] + b[:n]) / 2])).max()
    return {"estimate": estimate.item(), "slope": slope.item()}
