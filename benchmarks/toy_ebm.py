"""Updates per second of a toy energy model by contrastive divergence: `genlab.toys.energy` against
an eager torch loop, and torchebm where it is installed.

    .venv/bin/python benchmarks/toy_ebm.py

MLP 128-128, batch 256, ten unadjusted Langevin steps an update, Adam; chains that go on for us and
the loop, ten steps from the data (CD-10) for torchebm.
torchebm is not part of the project: pip install --no-deps torchebm==0.8.9.
"""

import argparse
import contextlib
import statistics
import time

import numpy as np
import torch

from genlab.toys import energy

BATCH, LANGEVIN_STEPS, STEP_SIZE = 256, 10, 0.01


def ours(steps: int) -> float:
    """Updates per second, compilation excluded."""
    data = np.random.default_rng(0).standard_normal((1, 8_000, 2)).astype(np.float32)
    rules = energy.Rules(
        hidden=(128, 128),
        batch_size=BATCH,
        n_chains=BATCH,
        sampler="langevin",
        jumps=0,
        n_waves=0,
        langevin_steps=LANGEVIN_STEPS,
        step_size=STEP_SIZE,
    )

    def seconds(n: int) -> float:
        start = time.perf_counter()
        energy.train_energy(data, data, rules=rules, steps=n, seed=0)
        return time.perf_counter() - start

    return 3 * steps / (seconds(4 * steps) - seconds(steps))


def torch_network() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(2, 128),
        torch.nn.SiLU(),
        torch.nn.Linear(128, 128),
        torch.nn.SiLU(),
        torch.nn.Linear(128, 1),
    )


def peer(steps: int) -> float:
    """Updates per second of the usual eager loop."""
    network = torch_network()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    data, chains = torch.randn(8_000, 2), torch.randn(BATCH, 2)
    start = time.perf_counter()
    for _ in range(steps):
        for _ in range(LANGEVIN_STEPS):
            x = chains.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(network(x).sum(), x)
            chains = (
                x.detach() - STEP_SIZE * gradient + (2 * STEP_SIZE) ** 0.5 * torch.randn_like(x)
            )
        loss = network(data[torch.randint(len(data), (BATCH,))]).mean() - network(chains).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return steps / (time.perf_counter() - start)


def torchebm(steps: int) -> float:
    """Updates per second of torchebm's ContrastiveDivergence on the same network."""
    from torchebm.core import BaseModel
    from torchebm.losses import ContrastiveDivergence
    from torchebm.samplers import LangevinDynamics

    class Energy(BaseModel):
        def __init__(self):
            super().__init__()
            self.network = torch_network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network(x).squeeze(-1)

    model = Energy()
    sampler = LangevinDynamics(model=model, step_size=STEP_SIZE, noise_scale=1.0)
    loss_of = ContrastiveDivergence(model=model, sampler=sampler, k_steps=LANGEVIN_STEPS)
    optimizer, data = torch.optim.Adam(model.parameters(), 1e-3), torch.randn(8_000, 2)
    start = time.perf_counter()
    for _ in range(steps):
        loss, _ = loss_of(data[torch.randint(len(data), (BATCH,))])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return steps / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    found: dict[str, list[float]] = {}
    for _ in range(args.rounds):
        for work, steps in ((ours, 5 * args.steps), (peer, args.steps), (torchebm, args.steps)):
            with contextlib.suppress(ImportError):  # an optional peer
                rate = work(steps)
                found.setdefault(work.__name__, []).append(rate)
    for name, rates in found.items():
        ratio = statistics.median(a / b for a, b in zip(found["ours"], rates, strict=True))
        rate = statistics.median(rates)
        print(f"{name:10s} {rate:8.0f} updates/s; ours is {ratio:.2f} times as fast")


if __name__ == "__main__":
    main()
