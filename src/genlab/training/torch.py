"""Trainings of networks in torch, where the networks lie: epochs over rows of data (`run_epochs`),
or any other steps (`train`).

An update changes networks in place and returns what to log, as tensors without a graph.  Python
reads them once a record: until then nothing waits for the device.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import nn

from genlab import checks
from genlab.streams import stream
from genlab.training import Diverged, Interrupted, Trained, check_epochs, left, progress

Logs = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Rules:
    """How weights descend: by Adam with decay rates `betas` (Kingma & Ba 2015), by stochastic
    gradient descent with `momentum`, or by RMSprop; the rate falls from lr to lr_last by a cosine,
    or stays (None).  `fused`: Adam's update as one kernel, which differs in the last digit."""

    lr: float = 1e-3
    lr_last: float | None = None
    weight_decay: float = 0.0
    optimizer: str = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.0
    fused: bool = True
    batch_size: int = 128

    def check(self) -> None:
        """ValueError for a rule that makes no sense, with the value and the range."""
        checks.number(self.lr, "lr", "positive")
        if self.lr_last is not None:
            checks.number(self.lr_last, "lr_last", "at least 0")
        checks.number(self.weight_decay, "weight_decay", "at least 0")
        checks.one_of(self.optimizer, "optimizer", ("adam", "sgd", "rmsprop"))
        if len(self.betas) != 2:
            raise ValueError(f"betas={self.betas} must be two decay rates")
        for beta in self.betas:
            checks.number(beta, "betas", "in [0, 1)")
        checks.number(self.momentum, "momentum", "in [0, 1)")


class Descent:
    """A network on its way down: its optimiser, and the rate of each of `steps` updates."""

    def __init__(self, net: nn.Module, rules: Rules, steps: int):
        self.net, self.parameters, self.steps = net, list(net.parameters()), steps
        common = {"lr": rules.lr, "weight_decay": rules.weight_decay}
        if rules.optimizer == "adam":
            self.optimizer = torch.optim.Adam(
                self.parameters, betas=rules.betas, fused=rules.fused, **common
            )
        elif rules.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(self.parameters, momentum=rules.momentum, **common)
        else:
            self.optimizer = torch.optim.RMSprop(self.parameters, **common)
        last = rules.lr if rules.lr_last is None else rules.lr_last
        self.rate = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps, eta_min=last)

    @property
    def done(self) -> int:
        """Number of updates done."""
        return self.rate.last_epoch

    def down(self, loss: torch.Tensor) -> torch.Tensor:
        """One step down the gradient of `loss` in the weights of this network; no other network
        gets a gradient.  Returns the loss, to be logged."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=self.parameters)
        self.optimizer.step()
        # Double: means over a record then lose no digit.
        return loss.detach().double()

    def state_dict(self) -> dict[str, Any]:
        """All that the next update depends on."""
        return {name: x.state_dict() for name, x in self._parts()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to where `state_dict` was called."""
        for name, x in self._parts():
            x.load_state_dict(copy.deepcopy(state[name]))

    def _parts(self) -> list[tuple[str, Any]]:
        return [("net", self.net), ("optimizer", self.optimizer), ("rate", self.rate)]


class Batches:
    """Batches of the rows of tensors, without end: each row once in every pass, in an order that
    torch's generator draws on the device of the tensors."""

    def __init__(self, data: Sequence[torch.Tensor], batch_size: int):
        self.data, self.batch_size = tuple(data), batch_size
        self.order, self.at = torch.empty(0, dtype=torch.long, device=data[0].device), 0

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        return self

    def __next__(self) -> tuple[torch.Tensor, ...]:
        if self.at + self.batch_size > len(self.order):
            self.order, self.at = torch.randperm(len(self.data[0]), device=self.order.device), 0
        rows = self.order[self.at : self.at + self.batch_size]
        self.at += self.batch_size
        return tuple(x[rows] for x in self.data)

    def state_dict(self) -> dict[str, Any]:
        """The order of this pass and how far it is shown."""
        return {"order": self.order, "at": self.at}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to where `state_dict` was called."""
        self.order, self.at = state["order"], state["at"]


def train(
    step: Callable[[], Logs],
    parts: Sequence[Any],
    *,
    rules: Any,
    ends: Sequence[int],
    seed: int,
    what: str,
    device: torch.device,
    until: int | None = None,
    resume: Trained | None = None,
    begin: Callable[[], None] | None = None,
    reading: Callable[[], dict[str, Any]] = dict,
) -> tuple[dict[str, np.ndarray], Interrupted | None]:
    """Call `step` ends[-1] times, or until so many times, one of `ends`; after each the rates of
    the Descents among `parts` fall.

    parts: all that a step changes, each with a state_dict.  Noise follows `seed` and leaves torch's
    own generators as they were; `begin` draws what is drawn before the first step.  Returns the
    history, "step" = ends, the mean of every log from one end to the next, and there what `reading`
    says; and, with `until`, what `resume` goes on from.
    Raises Diverged at the first step whose logs or new state are not finite, with the state before
    it, or where a reading is not.
    """
    total, done = int(ends[-1]), 0
    if resume is not None:
        before, done = resume.interrupted(rules, seed, total)
        _restore(parts, before)
    until = total if until is None else checks.count(until, "until", done + 1, total)
    if until not in ends:
        raise ValueError(f"until={until} must be the end of a record: one of {list(ends)}")
    ends = [int(end) for end in ends if done < end <= until]

    def advance() -> Logs:
        logs = step()
        for part in parts:
            if isinstance(part, Descent):
                part.rate.step()
        return logs

    rows = []
    with generator_from(stream(seed, "train"), device):
        if resume is not None:
            _set_generators(before[-1], device)
        elif begin is not None:
            begin()
        for record in progress(len(ends), what):
            start = ends[record - 1] if record else done
            before = _saved(parts, device)
            logs = [advance() for _ in range(start, ends[record])]
            values = torch.stack([torch.stack(list(row.values())) for row in logs])
            if not _finite([values, *_tensors(parts)]):
                good = _replayed(advance, len(logs), parts, before, device)
                raise Diverged(what, start + good, _saved(parts, device))
            read = reading()
            if not all(np.isfinite(value).all() for value in read.values()):
                raise Diverged(what, ends[record], _saved(parts, device))
            rows.append(dict(zip(logs[0], values.mean(0).tolist(), strict=True)) | read)
        after = _saved(parts, device)
    columns = {"step": ends} | {name: [row[name] for row in rows] for name in rows[0]}
    history = {name: np.array(column) for name, column in columns.items()}
    return history, left(after, history, rules, seed, total)


def run_epochs(
    update: Callable[..., Logs],
    net: nn.Module,
    data: Sequence[torch.Tensor],
    rules: Rules,
    *,
    epochs: int,
    seed: int,
    what: str,
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Train `net` in place by ``update(descent, batch, rules) -> logs`` on batches of `data`,
    tensors of equally many rows, `epochs` times all of them; with `until` so many of these epochs.

    Raises ValueError for a bad rule or length, Diverged.
    """
    rules.check()
    n = len(data[0])
    check_epochs(epochs, rules.batch_size, n)
    steps = n // rules.batch_size
    descent, batches = Descent(net, rules, steps * epochs), Batches(data, rules.batch_size)
    net.train()
    history, state = train(
        lambda: update(descent, next(batches), rules),
        (descent, batches),
        rules=rules,
        ends=steps * np.arange(1, epochs + 1),
        seed=seed,
        what=what,
        device=device_of(net),
        until=steps * epochs_until(until, epochs, steps, resume),
        resume=resume,
    )
    return Trained(net.eval(), history, state=state)


def epochs_until(until: int | None, epochs: int, steps: int, resume: Trained | None) -> int:
    """Where a training of epochs of `steps` updates stops [epochs]: at its end, or at `until`, if
    that lies ahead."""
    begun = 0 if resume is None or resume.state is None else resume.state.done // steps
    return epochs if until is None else checks.count(until, "until", begun + 1, epochs)


# --- what a training can go back to ---


def _saved(parts: Sequence[Any], device: torch.device) -> list[Any]:
    """The states of all parts and, last, of torch's generators."""
    cuda = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    states = [copy.deepcopy(part.state_dict()) for part in parts]
    return [*states, [torch.get_rng_state(), *cuda]]


def _restore(parts: Sequence[Any], saved: list[Any]) -> None:
    for part, state in zip(parts, saved[:-1], strict=True):
        part.load_state_dict(state)


def _set_generators(states: list[torch.Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if states[1:]:
        torch.cuda.set_rng_state(states[1], device)


def _replayed(
    advance: Callable, steps: int, parts: Sequence[Any], saved: list[Any], device: torch.device
) -> int:
    """Go back to `saved` and forward again, to just before the first of so many `steps` that is not
    finite; how many that is."""

    def back():
        _restore(parts, saved)
        _set_generators(saved[-1], device)

    back()
    good = 0
    while good < steps and _finite([*advance().values(), *_tensors(parts)]):
        good += 1
    back()
    for _ in range(good):
        advance()
    return good


def _tensors(tree: Any) -> Iterator[torch.Tensor]:
    """All tensors in things with a state_dict, dicts and sequences of them."""
    if hasattr(tree, "state_dict"):
        tree = tree.state_dict()
    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, dict):
        yield from _tensors(list(tree.values()))
    elif isinstance(tree, (list, tuple)):
        for branch in tree:
            yield from _tensors(branch)


def _finite(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether all floats in these tensors are finite, by one look at the device."""
    return bool(
        torch.stack([torch.isfinite(x).all() for x in tensors if x.is_floating_point()]).all()
    )


@contextmanager
def generator_from(seed: int, device: torch.device) -> Iterator[None]:
    """In this context torch draws for `device` from `seed`, and computes on a GPU by kernels that
    give the same numbers again; then its generators go on as before."""
    cuda = device.type == "cuda"
    with torch.random.fork_rng([device] if cuda else []), _deterministic(cuda):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def _deterministic(wanted: bool) -> Iterator[None]:
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    if wanted:
        torch.utils.deterministic.fill_uninitialized_memory = False  # only costs time
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = fill


def builder(make: Callable) -> Callable:
    """Let a function that makes a network take `device=`, where the network shall lie: by default
    torch's own default.

    Weights are drawn on the processor, so they are the same on every device, and what layers draw
    when they are made, which nobody asked for, leaves torch's generator as it was.
    """

    @wraps(make)
    def build(*args, device: torch.device | str | None = None, **about):
        where = torch.get_default_device() if device is None else torch.device(device)
        with torch.random.fork_rng([]), torch.device("cpu"):
            net = make(*args, **about)
        return net.to(where)

    return build


def device_of(net: nn.Module) -> torch.device:
    """Where the network lies, and so where it computes."""
    return next(net.parameters()).device


@torch.no_grad()
def in_batches(f: Callable, x: torch.Tensor, batch_size: int = 1000) -> np.ndarray:
    """f of the rows of x, a batch at a time, as one array."""
    return np.concatenate([f(part).cpu().numpy() for part in x.split(batch_size)])
