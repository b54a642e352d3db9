"""One training loop for networks on images: mini-batches in a seeded order, a stop at the first
loss that is not finite."""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from genlab.diverged import Diverged, check_epochs
from genlab.progress import progress
from genlab.streams import stream


def as_images(x: np.ndarray) -> torch.Tensor:
    """Grey values (n, 28, 28) as a tensor (n, 1, 28, 28): bytes are divided by 255, floats must lie
    in [0, 1].  ValueError otherwise."""
    x = np.asarray(x)
    if x.ndim != 3 or x.shape[1:] != (28, 28):
        raise ValueError(f"images of shape {x.shape} must be (n, 28, 28)")
    if x.dtype == np.uint8:
        return torch.from_numpy(x.astype(np.float32) / np.float32(255)).unsqueeze(1)
    if not np.isfinite(x).all() or x.min() < 0 or x.max() > 1:
        raise ValueError(
            f"grey values from {x.min()} to {x.max()}: bytes, or finite numbers in [0, 1]"
        )
    return torch.from_numpy(x.astype(np.float32)).unsqueeze(1)


def check_labels(labels: np.ndarray, n: int, n_classes: int = 10) -> torch.Tensor:
    """Labels (n,) as integers; ValueError if one is out of range or their number is wrong."""
    labels = np.asarray(labels).astype(np.int64)
    if labels.shape != (n,) or (n and (labels.min() < 0 or labels.max() >= n_classes)):
        raise ValueError(
            f"{labels.shape} labels from {labels.min()} to {labels.max()} for {n} images: "
            f"one from 0 to {n_classes - 1} for each"
        )
    return torch.from_numpy(labels)


def moved(x: torch.Tensor, *, shift: int, flip: bool) -> torch.Tensor:
    """Images (n, 1, h, w), all moved alike by up to `shift` pixels each way, zeros coming in;
    with `flip` half of them mirrored."""
    dy, dx = torch.randint(0, 2 * shift + 1, (2,)).tolist()
    height, width = x.shape[2:]
    x = F.pad(x, (shift,) * 4)[:, :, dy : dy + height, dx : dx + width]
    return torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x) if flip else x


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
    if lr <= 0:
        raise ValueError(f"lr={lr} must be above 0")
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
        torch.manual_seed(stream(seed, "train") % 2**63)
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
