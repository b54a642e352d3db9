"""Adversarial games on images: losses as functions of logits, one update of each player, and the
training that alternates them.

The players are those of `genlab.games.players`; a critic is a discriminator whose log-odds are any
numbers.  Losses are means over the batch.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, softplus

from genlab import checks
from genlab.games.critic import clip_weights, critic_generator_loss, critic_loss, gradient_penalty
from genlab.games.devices import (
    MinibatchDiscrimination,
    feature_matching,
    follow,
    move_towards,
    squared_distance,
)
from genlab.games.players import Discriminator, Generator, generated, latents, latents_of, still
from genlab.images.networks import as_images, check_labels
from genlab.training import Trained, check_epochs, equal_parts
from genlab.training import torch as training
from genlab.training.torch import Batches, Descent, device_of, train

# --- losses, of logits; D = sigmoid(logit) is the probability of being real ---


def discriminator_loss(
    real: torch.Tensor, fake: torch.Tensor, real_target: float = 1.0
) -> torch.Tensor:
    """-mean log D(x) - mean log(1 - D(G(z))) (Goodfellow et al. 2014, eq. 1); at the optimal D it
    is log 4 - 2 JSD [nats].

    real_target s < 1 puts -s log D(x) - (1 - s) log(1 - D(x)) for real images alone
    (one-sided label smoothing, Salimans et al. 2016).
    """
    on_real = real_target * softplus(-real) + (1 - real_target) * softplus(real)
    return on_real.mean() + softplus(fake).mean()


def minimax_generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """mean log(1 - D(G(z))), what the discriminator maximises: flat where it is sure that an image
    is generated."""
    return -softplus(fake).mean()


def non_saturating_generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """-mean log D(G(z)) (Goodfellow et al. 2014, section 3): steep there."""
    return softplus(-fake).mean()


def class_loss(class_logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """-mean log p(label | image) (L_C of Odena et al. 2017, eq. 3), which both players lower;
    softmax is taken here, and only here."""
    return cross_entropy(class_logits, labels)


LOSSES = {
    "minimax": (discriminator_loss, minimax_generator_loss),
    "non_saturating": (discriminator_loss, non_saturating_generator_loss),
    "wasserstein": (critic_loss, critic_generator_loss),
}


@dataclass(frozen=True)
class Rules(training.Rules):
    """How the game is played.

    loss: a name in LOSSES.  n_critic: updates of the discriminator a round, or several such numbers
    that follow one another in equal parts of the training.  real_target as for
    `discriminator_loss`.  match_features: the generator aims at `feature_matching`.  gp_weight: of
    the gradient penalty; history_weight: of historical averaging, for both players; clip_value > 0
    bounds all weights of the critic.  class_weight: of the class losses; class_fakes=False: only
    real images teach the class head, in contrast to Odena et al. (2017, eq. 3).  ema_decay: of the
    average of the generator's weights (0: the last ones), or several, which change nothing in the
    game.
    """

    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    batch_size: int = 64
    loss: str = "non_saturating"
    n_critic: int | Sequence[int] = 1
    real_target: float = 1.0
    match_features: bool = False
    history_weight: float = 0.0
    gp_weight: float = 0.0
    clip_value: float = 0.0
    class_weight: float = 1.0
    class_fakes: bool = True
    ema_decay: float | Sequence[float] = 0.999

    def check(self) -> None:
        super().check()
        checks.one_of(self.loss, "loss", LOSSES)
        for n in self.rounds:
            checks.count(n, "n_critic")
        if not self.rounds:
            raise ValueError(f"n_critic={self.n_critic}: one number, or several")
        checks.number(self.real_target, "real_target", "in [0, 1]")
        if self.real_target <= 0.5 or (self.real_target < 1 and self.loss == "wasserstein"):
            raise ValueError(
                f"real_target={self.real_target} must be in (0.5, 1], and 1 for a critic"
            )
        for name in ("history_weight", "gp_weight", "clip_value", "class_weight"):
            checks.number(getattr(self, name), name, "at least 0")
        if not self.decays:
            raise ValueError(f"ema_decay={self.ema_decay}: one number, or several")
        for decay in self.decays:
            checks.number(decay, "ema_decay", "in [0, 1)")

    @property
    def rounds(self) -> tuple[int, ...]:
        """n_critic of each part of the training."""
        return tuple(self.n_critic) if isinstance(self.n_critic, Sequence) else (self.n_critic,)

    @property
    def decays(self) -> tuple[float, ...]:
        """Every ema_decay."""
        return tuple(self.ema_decay) if isinstance(self.ema_decay, Sequence) else (self.ema_decay,)


class Game(NamedTuple):
    """Both players on their ways down, the averages of the generator's weights by each decay, and
    the means of both players' weights over all rounds, or None where no rule needs them."""

    generator: Descent
    discriminator: Descent
    averages: Sequence[Generator]
    pasts: Sequence[nn.Module] | None = None


class Players(NamedTuple):
    """generator: with its weights averaged; of several decays a list of generators."""

    generator: Generator | list[Generator]
    discriminator: Discriminator


# --- one update of each player; both return what to log, as tensors without a graph ---


def discriminator_update(
    game: Game, real: torch.Tensor, labels: torch.Tensor | None, rules: Rules
) -> dict[str, torch.Tensor]:
    """Update the discriminator on real images (n, channels, 28, 28) and as many generated ones,
    of the same classes.

    Logged apart: the loss, the class losses, the penalties as weighted; "logit_gap", mean logit of
    real minus of generated images, is what a critic says of W₁.
    """
    generator, discriminator = game.generator.net, game.discriminator.net
    # The generator's running statistics shall follow its own updates alone.
    with torch.no_grad(), still(generator):
        fake = generator(latents(generator, len(real)), labels)
    f_real, f_fake = discriminator.features(real), discriminator.features(fake)
    on_real, on_fake = discriminator.log_odds(f_real), discriminator.log_odds(f_fake)
    smooth = {} if rules.real_target == 1 else {"real_target": rules.real_target}
    total = value = LOSSES[rules.loss][0](on_real, on_fake, **smooth)
    logs = {
        "discriminator_loss": value,
        "accuracy_real": (on_real > 0).float().mean(),
        "accuracy_fake": (on_fake <= 0).float().mean(),
        "logit_gap": on_real.mean() - on_fake.mean(),
    }
    if labels is not None:
        logs["class_loss_real"] = class_loss(discriminator.class_head(f_real), labels)
        logs["class_loss_fake"] = class_loss(discriminator.class_head(f_fake), labels)
        total = total + rules.class_weight * (
            logs["class_loss_real"] + rules.class_fakes * logs["class_loss_fake"]
        )
    if rules.gp_weight or rules.history_weight:
        penalty = 0
        if rules.gp_weight:
            penalty = rules.gp_weight * gradient_penalty(discriminator, real, fake)
        if rules.history_weight:
            past = squared_distance(discriminator, game.pasts[1])
            penalty = penalty + rules.history_weight * past
        logs["penalty"] = penalty
        total = total + penalty
    game.discriminator.down(total)
    if rules.clip_value:
        clip_weights(discriminator, rules.clip_value)
    return {name: x.detach() for name, x in logs.items()}


def generator_update(game: Game, real: torch.Tensor, rules: Rules) -> dict[str, torch.Tensor]:
    """Update the generator on as many latent draws as there are real images, of random classes if
    it knows classes."""
    generator, discriminator, n = game.generator.net, game.discriminator.net, len(real)
    labels = None
    if generator.n_classes:
        labels = torch.randint(generator.n_classes, (n,), device=real.device)
    with still(discriminator):
        features = discriminator.features(generator(latents(generator, n), labels))
        log_odds = discriminator.log_odds(features)
        if rules.match_features:
            total = value = feature_matching(discriminator.features(real).detach(), features)
        else:
            total = value = LOSSES[rules.loss][1](log_odds)
    logs = {"generator_loss": value, "fooled": (log_odds > 0).float().mean()}
    if labels is not None:
        logs["generator_class_loss"] = class_loss(discriminator.class_head(features), labels)
        total = total + rules.class_weight * logs["generator_class_loss"]
    if rules.history_weight:
        total = total + rules.history_weight * squared_distance(generator, game.pasts[0])
    game.generator.down(total)
    return {name: x.detach() for name, x in logs.items()}


def update(game: Game, batches: Batches, rules: Rules) -> dict[str, torch.Tensor]:
    """One round: n_critic updates of the discriminator, one of the generator, and the averages."""
    step, steps = game.generator.done, game.generator.steps
    for _ in range(rules.rounds[step * len(rules.rounds) // steps]):
        real, *known = next(batches)
        real = real.view(rules.batch_size, -1, *real.shape[2:])
        logs = discriminator_update(game, real, *(known or (None,)), rules)
    logs |= generator_update(game, real, rules)
    for average, decay in zip(game.averages, rules.decays, strict=True):
        follow(average, game.generator.net, decay, step)
    if game.pasts:
        for past, player in zip(game.pasts, (game.generator, game.discriminator), strict=True):
            move_towards(past, player.net, 1 / (step + 1))
    return logs


# --- the game ---


def train_gan(
    images: np.ndarray,
    generator: Generator,
    discriminator: Discriminator,
    *,
    labels: np.ndarray | None = None,
    rules: Rules,
    steps: int,
    seed: int,
    grid: int = 64,
    records: int = 40,
    what: str = "GAN",
    until: int | None = None,
    resume: Trained | None = None,
) -> Trained:
    """Play `steps` rounds; the model are both `Players`, in evaluation mode.  The arguments are not
    changed.

    images (n, 28, 28); for a generator of c channels each of its images is c of them, stacked anew
    every time (Stacked-MNIST).  labels (n,) for players that know classes.  The history has means
    over each of `records` equal parts of the training of what the two updates log, and "snapshot"
    (records, grid, 28, 28), what the (first) averaged generator makes at its end of `grid` fixed
    latent draws (of classes 0, 1, 2, ... in turn) in [0, 1], half precision.  Raises Diverged,
    ValueError.
    """
    rules.check()
    ends = equal_parts(steps, records)
    data = _checked_data(images, labels, generator, discriminator, rules)
    nets = (copy.deepcopy(net).train() for net in (generator, discriminator))
    game = _opened(*nets, rules, int(ends[-1]))
    batches = Batches(data, rules.batch_size * generator.channels)
    about = np.arange(grid) % generator.n_classes if generator.n_classes else None
    z = latents_of(generator, grid, seed)
    history, state = train(
        lambda: update(game, batches, rules),
        (game.generator, game.discriminator, *game.averages, *(game.pasts or ()), batches),
        rules=rules,
        ends=ends,
        seed=seed,
        what=what,
        device=device_of(generator),
        until=until,
        resume=resume,
        reading=lambda: {"snapshot": generated(game.averages[0], z, about).astype(np.float16)},
    )
    averages = [average.eval() for average in game.averages]
    smooth = averages if isinstance(rules.ema_decay, Sequence) else averages[0]
    return Trained(Players(smooth, game.discriminator.net.eval()), history, state=state)


def _opened(generator: Generator, discriminator: Discriminator, rules: Rules, steps: int) -> Game:
    """The game before its first round."""
    players = generator, discriminator
    return Game(
        *(Descent(net, rules, steps) for net in players),
        [copy.deepcopy(generator) for _ in rules.decays],
        [copy.deepcopy(net) for net in players] if rules.history_weight else None,
    )


def _checked_data(
    images: np.ndarray, labels: np.ndarray | None,
    generator: Generator, discriminator: Discriminator, rules: Rules,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """Images as (n, 1, 28, 28) in [-1, 1], and labels if there are any; ValueError where they and
    the players do not belong together."""
    where = device_of(generator)
    x = 2 * as_images(images, where) - 1
    check_epochs(1, rules.batch_size * generator.channels, len(x))
    if generator.n_classes != discriminator.n_classes or (labels is None) == bool(
        generator.n_classes
    ):
        raise ValueError(
            f"generator of {generator.n_classes} classes, discriminator of "
            f"{discriminator.n_classes}, labels {'missing' if labels is None else 'given'}: "
            "all three with classes, or none"
        )
    if labels is not None and generator.channels > 1:
        raise ValueError(f"channels={generator.channels}: stacked images have no single label")
    if rules.gp_weight and any(
        isinstance(m, (nn.BatchNorm2d, MinibatchDiscrimination)) for m in discriminator.modules()
    ):
        raise ValueError(
            f"gp_weight={rules.gp_weight}: the penalty is of single images, so the critic must not "
            "mix them: norm='none', kernels=0"
        )
    if labels is None:
        return (x,)
    return x, check_labels(labels, len(x), generator.n_classes, device=where)
