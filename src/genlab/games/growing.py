"""The game of players that grow (Karras et al. 2018): a critic with gradient penalty, a term
against drift, and a schedule of the stages.

The players are those of `genlab.games.growing_players`.
"""

import copy
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from genlab import checks
from genlab.games.critic import critic_generator_loss, critic_loss, gradient_penalty
from genlab.games.devices import follow
from genlab.games.growing_players import LAST, GrowingDiscriminator, GrowingGenerator, at_growth
from genlab.games.players import generated, latents, latents_of, still
from genlab.games.scaled import BatchSpread
from genlab.images.networks import SIDE, as_images
from genlab.training import Trained, check_epochs, equal_parts
from genlab.training import torch as training
from genlab.training.torch import Batches, Descent, device_of, generator_from, train

PHASES = 2 * LAST + 1  # 7 pixels, fade, 14 pixels, fade, 28 pixels


@dataclass(frozen=True)
class Rules(training.Rules):
    """How the players learn and grow.

    n_critic: updates of the discriminator a round.  gp_weight: of the gradient penalty.  drift:
    weight of mean f(x)², which keeps outputs near zero.  ema_decay: of the generator's average.
    grow: False is 28 pixels from the start; fade: False counts new layers fully at once.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.99)
    batch_size: int = 16
    n_critic: int = 1
    gp_weight: float = 10.0
    drift: float = 1e-3
    ema_decay: float = 0.99
    grow: bool = True
    fade: bool = True

    def check(self) -> None:
        super().check()
        checks.count(self.n_critic, "n_critic")
        checks.number(self.gp_weight, "gp_weight", "at least 0")
        checks.number(self.drift, "drift", "at least 0")
        checks.number(self.ema_decay, "ema_decay", "in [0, 1)")


def growth_at(step: int, steps: int, *, grow: bool = True, fade: bool = True) -> float:
    """Growth of the players in this one, from 0, of so many rounds: five equal parts, 7 pixels, 14
    fading in, 14, 28 fading in, 28 (as in Karras et al. 2018, appendix A.1)."""
    if not grow:
        return float(LAST)
    phase, within = divmod(PHASES * step, steps)
    stage, fades = divmod(phase, 2)
    return stage + fades * (within / steps if fade else 1.0)


class Game(NamedTuple):
    """Both players on their ways down, and the average of the generator's weights."""

    generator: Descent
    discriminator: Descent
    average: GrowingGenerator


class Players(NamedTuple):
    """Both players after the game; `generator` has the averaged weights."""

    generator: GrowingGenerator
    discriminator: GrowingDiscriminator


# --- one update of each player ---


def discriminator_update(
    game: Game, real: torch.Tensor, rules: Rules
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Update the discriminator on real images (n, 1, side, side) of its growth and as many drawn
    ones: critic_loss + gp_weight · penalty + drift · mean f(x)²
    (Karras et al. 2018, appendix A.1)."""
    generator, critic = game.generator.net, game.discriminator.net
    with torch.no_grad(), still(generator):
        fake = generator(latents(generator, len(real)))
    on_real, on_fake = critic(real), critic(fake)
    estimate = critic_loss(on_real, on_fake)
    penalty = rules.gp_weight * gradient_penalty(critic, real, fake)
    game.discriminator.down(estimate + penalty + rules.drift * on_real.square().mean())
    return {"estimate": -estimate.detach(), "penalty": penalty.detach()}


def generator_update(game: Game, n: int) -> dict[str, torch.Tensor]:
    """Update the generator on n latent draws: -mean f(G(z))."""
    generator, critic = game.generator.net, game.discriminator.net
    loss = critic_generator_loss(critic(generator(latents(generator, n))))
    return {"generator_loss": game.generator.down(loss)}


def update(game: Game, batches: Batches, rules: Rules) -> dict[str, torch.Tensor]:
    """One round: both players grow, n_critic updates of the discriminator, one of the generator,
    and the average."""
    step, steps = game.generator.done, game.generator.steps
    growth = growth_at(step, steps, grow=rules.grow, fade=rules.fade)
    for player in (game.generator.net, game.discriminator.net, game.average):
        player.growth = growth
    for _ in range(rules.n_critic):
        (real,) = next(batches)
        logs = discriminator_update(game, at_growth(real, growth), rules)
    logs |= generator_update(game, rules.batch_size)
    follow(game.average, game.generator.net, rules.ema_decay, step)
    return logs


# --- the game ---


def rounds_of(images: int, rules: Rules) -> int:
    """Rounds in which the discriminator is shown so many real images, at least one."""
    return max(1, checks.count(images, "images") // (rules.batch_size * rules.n_critic))


def train_growing(
    images: np.ndarray,
    generator: GrowingGenerator,
    discriminator: GrowingDiscriminator,
    *,
    rules: Rules,
    steps: int,
    seed: int,
    grid: int = 64,
    records: int = 40,
    what: str = "growing GAN",
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Play `steps` rounds with images (n, 28, 28); the model are both `Players`, in evaluation
    mode.  The arguments are not changed.

    The history has means over each of `records` equal parts of the training of what the updates
    log, and at the end of each "growth", "snapshot" (records, grid, 28, 28), what the averaged
    generator makes of fixed latent draws, enlarged to 28 pixels, in [0, 1], half precision, and
    "spread_slope", `spread_slope` at these.  Raises Diverged, ValueError.
    """
    rules.check()
    ends = equal_parts(steps, records)
    game, batches = _opened(images, generator, discriminator, rules, int(ends[-1]))
    z = latents_of(generator, grid, seed)
    history, state = train(
        lambda: update(game, batches, rules),
        (*game, batches),
        rules=rules,
        ends=ends,
        seed=seed,
        what=what,
        device=device_of(generator),
        until=until,
        resume=resume,
        reading=lambda: _reading(game, z, rules.batch_size),
    )
    players = Players(game.average.eval(), game.discriminator.net.eval())
    return Trained(players, history, state=state)


def _opened(
    images: np.ndarray,
    generator: GrowingGenerator,
    discriminator: GrowingDiscriminator,
    rules: Rules,
    steps: int,
) -> tuple[Game, Batches]:
    """The game of copies of these players before its first round, and batches of its images."""
    x = 2 * as_images(images, device_of(generator)) - 1
    check_epochs(1, rules.batch_size, len(x))
    nets = [copy.deepcopy(net).train() for net in (generator, discriminator)]
    game = Game(*(Descent(net, rules, steps) for net in nets), copy.deepcopy(nets[0]))
    return game, Batches([x], rules.batch_size)


def phase_seconds(
    images: np.ndarray,
    generator: GrowingGenerator,
    discriminator: GrowingDiscriminator,
    *,
    rules: Rules,
    rounds: int = 10,
) -> np.ndarray:
    """Seconds that each of so many rounds takes in each of the five parts of a training,
    (PHASES, rounds), by the clock on the wall; nothing is kept of what they learn."""
    rules.check()
    steps = PHASES * checks.count(rounds, "rounds")
    game, batches = _opened(images, generator, discriminator, rules, steps)
    where, taken = device_of(generator), []
    with generator_from(0, where):
        for _ in range(steps):
            began = time.perf_counter()
            update(game, batches, rules)
            game.generator.rate.step()
            if where.type == "cuda":
                torch.cuda.synchronize(where)
            taken.append(time.perf_counter() - began)
    return np.reshape(taken, (PHASES, rounds))


def _reading(game: Game, z: np.ndarray, batch_size: int) -> dict[str, np.ndarray]:
    """What the averaged generator draws, how far it has grown, and what spread is worth there."""
    made = generated(game.average, z)
    small = torch.from_numpy(2 * made[:, None] - 1).to(device_of(game.average))
    return {
        "snapshot": enlarged(made).astype(np.float16),
        "growth": np.array(game.average.growth),
        "spread_slope": np.array(spread_slope(game.discriminator.net, small[:batch_size])),
    }


def enlarged(images: np.ndarray) -> np.ndarray:
    """Images (n, side, side) as ones of 28 pixels: every pixel (28 / side)² times."""
    times = SIDE // images.shape[1]
    return images.repeat(times, 1).repeat(times, 2)


def spread_slope(discriminator: GrowingDiscriminator, x: torch.Tensor) -> float:
    """∂ mean f(x) / ∂ spread for one batch of images x (n, 1, side, side) of its growth: what the
    discriminator adds for a batch that is more varied; 0 if it has no `BatchSpread`."""
    layers = [layer for layer in discriminator.modules() if isinstance(layer, BatchSpread)]
    if not layers:
        return 0.0
    layers[0].offset = offset = torch.zeros((), device=x.device, requires_grad=True)
    try:
        (slope,) = torch.autograd.grad(discriminator(x).mean(), offset)
    finally:
        layers[0].offset = 0.0
    return float(slope)
