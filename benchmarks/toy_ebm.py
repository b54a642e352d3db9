"""Updates per second of a toy energy model by contrastive divergence: `genlab.toys.energy` against
an eager torch loop.

MLP 128-128, batch 256, ten unadjusted Langevin steps an update, persistent chains, Adam.
"""

import argparse
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
    start = time.perf_counter()
    energy.train_energy(data, data, rules=rules, steps=1, seed=0)
    compile_seconds = time.perf_counter() - start
    start = time.perf_counter()
    energy.train_energy(data, data, rules=rules, steps=steps, seed=0)
    return steps / (time.perf_counter() - start - compile_seconds * 0.9)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    pairs = [(ours(5 * args.steps), peer(args.steps)) for _ in range(args.rounds)]
    print("| round | genlab [updates/s] | eager torch [updates/s] | ratio |\n|--:|--:|--:|--:|")
    for i, (a, b) in enumerate(pairs):
        print(f"| {i + 1} | {a:.0f} | {b:.0f} | {a / b:.2f} |")
    print(f"\nmedian ratio {statistics.median(a / b for a, b in pairs):.2f}")


if __name__ == "__main__":
    main()
