"""One training loop for networks on images: mini-batches in a seeded order, a stop at the first
loss that is not finite."""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from genlab import checks
from genlab.streams import stream
from genlab.training import Diverged, check_epochs, progress


def train(
    nets: nn.Module,
    loss: Callable[..., torch.Tensor],
    data: tuple[torch.Tensor, ...],
    *,
    epochs: int,
    seed: int,
    lr: float = 1e-3,
    lr_last: float | None = None,
    weight_decay: float = 0.0,
    batch_size: int = 128,
    momentum: float | None = None,
    what: str = "network",
) -> dict[str, np.ndarray]:
    """Minimise ``loss(*batch)`` over the weights of `nets` by Adam, rate falling from lr to lr_last
    by a cosine; in place.

    `momentum`: a number asks for stochastic gradient descent with that momentum (0 for none) in
    place of Adam.  data: tensors of equally many rows.  Noise inside the networks
    (dropout, sampling) follows `seed` and leaves torch's own generator as it was.  Returns the
    history: "step" and mean "loss" of every epoch.  Raises Diverged, ValueError for bad numbers.
    """
    n = len(data[0])
    check_epochs(epochs, batch_size, n)
    checks.number(lr, "lr", "positive")
    checks.number(weight_decay, "weight_decay", "at least 0")
    steps = n // batch_size
    if momentum is None:
        optimizer = torch.optim.Adam(
            nets.parameters(), lr=lr, weight_decay=weight_decay, fused=True
        )
    else:
        optimizer = torch.optim.SGD(
            nets.parameters(), lr=lr, weight_decay=weight_decay, momentum=momentum
        )
    last = lr if lr_last is None else lr_last
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps * epochs, eta_min=last)
    history = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, "train"))
        nets.train()
        for epoch in progress(epochs, what):
            good, total = copy.deepcopy(nets.state_dict()), 0.0
            for step, batch in enumerate(batches(data, batch_size, steps)):
                optimizer.zero_grad(set_to_none=True)
                value = loss(*batch)
                if not torch.isfinite(value):
                    nets.load_state_dict(good)
                    raise Diverged(what, epoch * steps + step, good)
                value.backward()
                optimizer.step()
                schedule.step()
                total += value.item()
            history.append(total / steps)
    nets.eval()
    return {"step": steps * np.arange(1, epochs + 1), "loss": np.array(history)}


def batches(
    data: tuple[torch.Tensor, ...], batch_size: int, steps: int
) -> Iterator[tuple[torch.Tensor, ...]]:
    """`steps` batches of the rows of `data` in a new order, drawn from torch's generator."""
    order = torch.randperm(len(data[0]))
    for step in range(steps):
        rows = order[step * batch_size : (step + 1) * batch_size]
        yield tuple(x[rows] for x in data)


@torch.no_grad()
def in_batches(f: Callable, x: torch.Tensor, batch_size: int = 1000) -> np.ndarray:
    """f of the rows of x, a batch at a time, as one array."""
    return np.concatenate([f(x[i : i + batch_size]).numpy() for i in range(0, len(x), batch_size)])
