"""WGAN-GP on digits, the same players, batches and updates: ours against a plain PyTorch script,
whose data set opens, scales and normalises every image by itself, as torchvision's transforms do.
Critic updates a second on batches that are there, then whole rounds.

    .venv/bin/python benchmarks/wgan_gp.py
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from genlab.data import images
from genlab.games import game, players
from genlab.images.networks import as_images
from genlab.training.torch import Descent, device_of

BATCH, LATENT, CRITIC_UPDATES, WEIGHT = 64, 64, 5, 10.0
ADAM = {"lr": 2e-4, "betas": (0.5, 0.9)}
RULES = game.Rules(
    loss="wasserstein", n_critic=CRITIC_UPDATES, gp_weight=WEIGHT, batch_size=BATCH, ema_decay=0.0,
    **ADAM,
)  # fmt: skip


class Transformed(Dataset):
    """Images that are opened, divided by 255 and normalised to [-1, 1] one at a time."""

    def __init__(self, pictures: np.ndarray):
        self.pictures = pictures

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, i):
        image = Image.fromarray(self.pictures[i], mode="L")
        x = torch.from_numpy(np.array(image, copy=True)).unsqueeze(0).float().div(255)
        return (x - torch.tensor([0.5]).view(-1, 1, 1)) / torch.tensor([0.5]).view(-1, 1, 1)


def plain_critic_update(generator, critic, optimizer, real) -> None:
    """One update as tutorials write it."""
    optimizer.zero_grad()
    fake = generator(torch.randn(len(real), LATENT)).detach()
    t = torch.rand(len(real), 1, 1, 1)
    between = (t * real + (1 - t) * fake).requires_grad_(True)
    out = critic(between)
    slope = torch.autograd.grad(
        out, between, torch.ones_like(out), create_graph=True, retain_graph=True
    )[0]
    penalty = ((slope.view(len(slope), -1).norm(2, dim=1) - 1) ** 2).mean()
    loss = -critic(real).mean() + critic(fake).mean() + WEIGHT * penalty
    loss.backward()
    optimizer.step()


def plain_rounds(pictures, generator, critic, rounds: int) -> None:
    """Whole rounds of the plain script: five critic updates on new batches,
    one of the generator."""
    for_generator, for_critic = (
        torch.optim.Adam(net.parameters(), **ADAM) for net in (generator, critic)
    )
    made = 0
    while made < rounds:
        for i, real in enumerate(
            DataLoader(Transformed(pictures), BATCH, shuffle=True, drop_last=True)
        ):
            plain_critic_update(generator, critic, for_critic, real)
            if i % CRITIC_UPDATES == CRITIC_UPDATES - 1:
                for_generator.zero_grad()
                (-critic(generator(torch.randn(BATCH, LATENT))).mean()).backward()
                for_generator.step()
                made += 1
                if made == rounds:
                    return


def our_rounds(pictures, generator, critic, rounds: int) -> None:
    game.train_gan(
        pictures, generator, critic, rules=RULES, steps=rounds, seed=0, grid=1, records=1
    )


def rate(work: Callable, count: int) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def fresh() -> tuple[players.Generator, players.Discriminator]:
    """Two networks, always the same."""
    generator = players.mlp_generator(LATENT, hidden=(512,) * 4, leak=0.0, seed=0)
    return generator, players.dcgan_discriminator(width=16, norm="none", seed=0)


def main(repeats: int, updates: int) -> None:
    pictures = images.load("mnist", "train").images
    shown = as_images(pictures[: BATCH * 20], device_of(fresh()[1]))
    real = 2 * shown.view(20, BATCH, 1, 28, 28) - 1
    found: dict[str, list[float]] = {}

    def our_updates():
        both = game.Game(*(Descent(net, RULES, updates) for net in fresh()), averages=[])
        for i in range(updates):
            game.discriminator_update(both, real[i % 20], None, RULES)

    def plain_updates():
        generator, critic = fresh()
        optimizer = torch.optim.Adam(critic.parameters(), **ADAM)
        for i in range(updates):
            plain_critic_update(generator, critic, optimizer, real[i % 20])

    rounds = updates // CRITIC_UPDATES
    work = {
        "critic updates, ours": (our_updates, updates),
        "critic updates, plain": (plain_updates, updates),
        "rounds, ours": (lambda: our_rounds(pictures, *fresh(), rounds), rounds),
        "rounds, plain": (lambda: plain_rounds(pictures, *fresh(), rounds), rounds),
    }
    for _ in range(repeats + 1):
        for name, (run, count) in work.items():
            found.setdefault(name, []).append(rate(run, count))
    # the first repeat warms up
    median = {name: statistics.median(values[1:]) for name, values in found.items()}
    for what in ("critic updates", "rounds"):
        ours, plain = median[f"{what}, ours"], median[f"{what}, plain"]
        print(
            f"{what:15s} ours {ours:7.1f}/s  plain script {plain:7.1f}/s  ours is "
            f"{ours / plain:.2f} times as fast"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--updates", type=int, default=500, help="critic updates in a repeat")
    args = parser.parse_args()
    main(args.repeats, args.updates)
