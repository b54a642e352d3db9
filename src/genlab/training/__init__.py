"""What every training shares, whatever its framework: what it returns, which lengths are refused,
and how it stops when numbers are no longer finite."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from genlab import checks


class Interrupted(NamedTuple):
    """Where a training stopped before its end: what the next update starts from, after `done` of
    `steps` updates by these rules and this seed."""

    state: Any
    done: int
    rules: Any
    seed: int
    steps: int


class Trained(NamedTuple):
    """What a training returns.

    model: what was trained.  history: "step", the number of updates done, and as many values of
    what is minimised and of what is logged beside it.  chains: where the training's Markov chains
    stopped, if it has any.  state: what `resume` goes on from, if `until` stopped it.
    """

    model: Any
    history: dict[str, np.ndarray]
    chains: np.ndarray | None = None
    state: Interrupted | None = None

    def interrupted(self, rules: Any, seed: int, steps: int) -> tuple[Any, int]:
        """The state that the next update starts from, and the number of updates done.  ValueError
        if this training is over, or was another."""
        if self.state is None:
            raise ValueError("resume: that training is over; it stops early with until=")
        given = {"rules": rules, "seed": seed, "its number of updates": steps}
        begun = dict(zip(given, self.state[2:], strict=True))
        for name, value in given.items():
            if value != begun[name]:
                raise ValueError(f"resume: {name} was {begun[name]}, not {value}")
        return self.state.state, self.state.done


def left(
    state: Any, history: dict[str, np.ndarray], rules: Any, seed: int, steps: int
) -> Interrupted | None:
    """What a training of `steps` updates leaves where its history ends: nothing at its end."""
    done = int(history["step"][-1])
    return None if done == steps else Interrupted(state, done, rules, seed, steps)


class Diverged(FloatingPointError):
    """A training met a number that is not finite; `step` says where, `state` holds what was still
    finite: before that step or, where Python is told only once an epoch, before that epoch."""

    def __init__(self, what: str, step: int, state: Any):
        super().__init__(
            f"training of the {what} stopped at step {step}: its numbers are no longer finite; "
            "lower lr or raise weight_decay"
        )
        self.step, self.state = step, state


def check_epochs(epochs: int, batch_size: int, n: int) -> None:
    """ValueError for no epoch, or a batch that is empty or larger than the n rows."""
    checks.count(epochs, "epochs")
    checks.count(batch_size, "batch_size", 1, n, f": no batch larger than the {n} rows")


def equal_parts(steps: int, records: int) -> np.ndarray:
    """Where each of `records` equal parts of a training of `steps` updates ends, (records,).
    ValueError for more parts than updates."""
    records = checks.count(records, "records")
    steps = checks.count(steps, "steps", records, hint=f", one for each of records={records}")
    return steps * np.arange(1, records + 1) // records


MIN_INTERVAL = 0.5  # seconds between two writes of the progress file


def progress(total: int, what: str) -> Iterator[int]:
    """Iterate over range(total) and report `what` as done/total after each item."""
    target = os.environ.get("GENLAB_PROGRESS")
    if not target:
        yield from tqdm(range(total), desc=what, leave=False, disable=not sys.stderr.isatty())
        return
    path, last = Path(target), 0.0
    for i in range(total):
        yield i
        now = time.monotonic()
        if now - last > MIN_INTERVAL or i + 1 == total:
            last = now
            partial = path.with_suffix(".tmp")
            partial.write_text(
                json.dumps({"what": what, "done": i + 1, "total": total}), encoding="utf-8"
            )
            partial.replace(path)
