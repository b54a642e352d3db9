"""What every training shares, whatever its framework: which lengths are refused, and how it stops
when numbers are no longer finite."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from genlab import checks


class Diverged(FloatingPointError):
    """A training met a number that is not finite; `step` says where, `state` holds the parameters
    before that epoch."""

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
