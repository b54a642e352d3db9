"""Boltzmann machines on the second of two devices: trainings and functions of arrays say there what
they say on the first, and leave nothing on the first.  (Models of the plane stay on the processor.)

A program, for the number of JAX's devices is fixed when it is imported; prints what is not so.
"""

import os

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
)

from dataclasses import replace

import jax
import numpy as np
from contract import CASES
from test_trainings import TRAININGS, arrays

FIRST, SECOND = jax.devices()


def put(tree, device):
    """The tree, its arrays committed to the device."""
    return jax.tree.map(
        lambda x: jax.device_put(x, device) if hasattr(x, "dtype") and x.dtype != object else x,
        tree,
    )


def same(one, other) -> bool:
    return all(map(np.array_equal, arrays(one), arrays(other)))


def main() -> None:
    for name, training in TRAININGS.items():
        if ".boltzmann." not in training.train.__module__:
            continue
        here = training()
        with jax.default_device(SECOND):
            there = training()
        left = [x for x in jax.tree.leaves(there) if isinstance(x, jax.Array)]
        if any(x.devices() != {SECOND} for x in left):
            print(f"{name}: leaves numbers on {FIRST}")
        committed = replace(training, arguments=put(training.arguments, SECOND))()
        if not same(here, there) or not same(here, committed):
            print(f"{name}: other numbers there")
    for name, case in CASES.items():
        if case.slow or not name.startswith("boltzmann."):
            continue
        given = case.make(np.random.default_rng(0))
        here, there = (case.f(**put(given, device)) for device in (FIRST, SECOND))
        if not same(here, there):
            print(f"{name}: other numbers there")


if __name__ == "__main__":
    main()
