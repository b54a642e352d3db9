"""Trainings on a device that is not the usual one.

    python tests/on_device.py gpu     every training on JAX's and torch's GPU: does it run, does it
                                      give the same numbers twice, how far is it from the processor
    python tests/on_device.py second  Boltzmann machines on the second of two processors of JAX:
                                      the numbers of the first, and nothing left there

A program, for JAX's devices are fixed when it is imported; it prints what is not so, and fails.
"""

import copy
import inspect
import os
import sys
import time
from dataclasses import replace

if sys.argv[1:] == ["second"]:
    more = "--xla_force_host_platform_device_count=2"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {more}"

import jax
import numpy as np
import torch
from contract import CASES
from test_trainings import NETWORKS, TRAININGS, Training, arrays


def same(one, other) -> bool:
    return all(map(np.array_equal, arrays(one), arrays(other)))


def put(tree, device):
    """The tree, its arrays committed to a device of JAX."""
    return jax.tree.map(
        lambda x: jax.device_put(x, device) if hasattr(x, "dtype") and x.dtype != object else x,
        tree,
    )


def on_second() -> list[str]:
    """What is not so on the second processor.  (Models of the plane stay on the first.)"""
    first, second = jax.devices()
    found = []
    for name, training in TRAININGS.items():
        if ".boltzmann." not in training.train.__module__:
            continue
        here = training()
        with jax.default_device(second):
            there = training()
        left = [x for x in jax.tree.leaves(there) if isinstance(x, jax.Array)]
        if any(x.devices() != {second} for x in left):
            found.append(f"{name}: leaves numbers on {first}")
        committed = replace(training, arguments=put(training.arguments, second))()
        if not same(here, there) or not same(here, committed):
            found.append(f"{name}: other numbers there")
    for name, case in CASES.items():
        if name.startswith("boltzmann.") and not case.slow:
            given = case.make(np.random.default_rng(0))
            here, there = (case.f(**put(given, device)) for device in (first, second))
            if not same(here, there):
                found.append(f"{name}: other numbers there")
    return found


def placed(training: Training, device: str) -> Training:
    """The training, with its networks and what it makes on a device of torch."""
    moved = tuple(
        copy.deepcopy(x).to(device) if isinstance(x, torch.nn.Module) else x
        for x in training.arguments
    )
    takes_device = "device" in inspect.signature(training.train).parameters
    where = {"device": device} if takes_device else {}
    return replace(training, arguments=moved, options=training.options | where)


def on_torch_device(device: str) -> list[str]:
    """Try every training there, and say of each how long a run takes and how far its history is
    from the processor's; what is not so."""
    found = []
    for name, training in TRAININGS.items():
        with jax.default_device(jax.devices("cpu")[0]):
            usual = training().history
        there = placed(training, device) if name in NETWORKS else training
        first = there()
        began = time.monotonic()
        again = there()
        seconds = time.monotonic() - began
        if not same(first._replace(state=None), again._replace(state=None)):
            found.append(f"{name}: other numbers the second time")
        far = max(np.abs(first.history[k] - usual[k]).max() for k in usual if k != "snapshot")
        print(f"{name}: {seconds:.2f} s, up to {far:.1e} from the processor's history")
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["second"]:
        wrong = on_second()
    else:
        if jax.default_backend() != "gpu" or not torch.cuda.is_available():
            sys.exit("JAX or torch cannot use the GPU: make gpu EXTRA=cuda")
        wrong = on_torch_device("cuda")
    sys.exit("\n".join(wrong) or None)
