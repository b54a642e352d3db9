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


class Trained(NamedTuple):
    """What a training returns.

    model: what was trained.  history: "step", the number of updates done, and as many values of
    what is minimised and of what is logged beside it.  chains: where the training's Markov chains
    stopped, if it has any.  state: all that the next update would start from.
    """

    model: Any
    history: dict[str, np.ndarray]
    chains: np.ndarray | None = None
    state: Any = None


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
