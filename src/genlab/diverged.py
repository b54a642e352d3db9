"""What every training shares, whatever its framework: which lengths are refused, and how it stops
when numbers are no longer finite."""

from typing import Any


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
    if epochs < 1 or not 1 <= batch_size <= n:
        raise ValueError(
            f"epochs={epochs}, batch_size={batch_size}: at least 1, and no batch larger "
            f"than the {n} rows"
        )
