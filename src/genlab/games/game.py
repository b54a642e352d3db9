"""Adversarial games on images: losses as functions of logits, one update of each player, and the
training that alternates them.

The players are those of `genlab.games.players`; a critic is a discriminator whose log-odds are any
numbers.  Losses are means over the batch.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, softplus

from genlab import checks
from genlab.games.critic import clip_weights, critic_generator_loss, critic_loss, gradient_penalty
from genlab.games.devices import (
    MinibatchDiscrimination,
    feature_matching,
    move_towards,
    squared_distance,
)
from genlab.games.players import Discriminator, Generator, generated, latents, still
from genlab.images.networks import as_images, check_labels
from genlab.streams import stream
from genlab.training import Diverged, check_epochs, progress
from genlab.training.torch import batches

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

# --- one update of one player; both return what to log, as tensors without a graph ---


def update(net: nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """One step down the gradient of `loss` in the weights of `net`; no other network gets a
    gradient."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=list(net.parameters()))
    optimizer.step()


def discriminator_step(
    generator: Generator, discriminator: Discriminator, optimizer: torch.optim.Optimizer,
    real: torch.Tensor, labels: torch.Tensor | None = None, *,
    loss: Callable = discriminator_loss, class_weight: float = 1.0, class_fakes: bool = True,
    penalty: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    clip_value: float = 0.0,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Update the discriminator on real images (n, channels, 28, 28) and as many generated ones,
    of the same classes.

    loss(real logits, fake logits); penalty(real, fake) is added if given; clip_value > 0 bounds all
    weights afterwards.  With class_fakes=False only real images teach the class head, in contrast
    to Odena et al. (2017, eq. 3).
    Logged apart: the loss, the class losses, the penalty as weighted; "logit_gap", mean logit of
    real minus of generated images, is what a critic says of W₁.
    """
    # The generator's running statistics shall follow its own updates alone.
    with torch.no_grad(), still(generator):
        fake = generator(latents(generator, len(real)), labels)
    f_real, f_fake = discriminator.features(real), discriminator.features(fake)
    on_real, on_fake = discriminator.log_odds(f_real), discriminator.log_odds(f_fake)
    total = value = loss(on_real, on_fake)
    logs = {
        "discriminator_loss": value,
        "accuracy_real": (on_real > 0).float().mean(),
        "accuracy_fake": (on_fake <= 0).float().mean(),
        "logit_gap": on_real.mean() - on_fake.mean(),
    }
    if labels is not None:
        logs["class_loss_real"] = class_loss(discriminator.class_head(f_real), labels)
        logs["class_loss_fake"] = class_loss(discriminator.class_head(f_fake), labels)
        total = total + class_weight * (
            logs["class_loss_real"] + class_fakes * logs["class_loss_fake"]
        )
    if penalty is not None:
        logs["penalty"] = penalty(real, fake)
        total = total + logs["penalty"]
    update(discriminator, optimizer, total)
    if clip_value:
        clip_weights(discriminator, clip_value)
    return {name: x.detach() for name, x in logs.items()}


def generator_step(
    generator: Generator, discriminator: Discriminator, optimizer: torch.optim.Optimizer,
    n: int, *,
    loss: Callable = non_saturating_generator_loss, class_weight: float = 1.0,
    match: torch.Tensor | None = None, penalty: Callable[[], torch.Tensor] | None = None,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Update the generator on n latent draws, of random classes if it knows classes.

    loss(fake logits), or with real images `match` the distance of mean features from theirs;
    penalty() is added if given.
    """
    labels = torch.randint(generator.n_classes, (n,)) if generator.n_classes else None
    with still(discriminator):
        features = discriminator.features(generator(latents(generator, n), labels))
        log_odds = discriminator.log_odds(features)
        if match is None:
            total = value = loss(log_odds)
        else:
            total = value = feature_matching(discriminator.features(match).detach(), features)
    logs = {"generator_loss": value, "fooled": (log_odds > 0).float().mean()}
    if labels is not None:
        logs["generator_class_loss"] = class_loss(discriminator.class_head(features), labels)
        total = total + class_weight * logs["generator_class_loss"]
    if penalty is not None:
        total = total + penalty()
    update(generator, optimizer, total)
    return {name: x.detach() for name, x in logs.items()}


# --- the game ---


def train_gan(
    images: np.ndarray, generator: Generator, discriminator: Discriminator, *,
    steps: int, seed: int, labels: np.ndarray | None = None,
    loss: str = "non_saturating", n_critic: int | Sequence[int] = 1,
    real_target: float = 1.0, match_features: bool = False, history_weight: float = 0.0,
    gp_weight: float = 0.0, clip_value: float = 0.0,
    class_weight: float = 1.0, class_fakes: bool = True,
    batch_size: int = 64, lr: float = 2e-4, lr_last: float | None = None,
    betas: tuple[float, float] | None = (0.5, 0.999), ema_decay: float | Sequence[float] = 0.999,
    grid: int = 64, records: int = 40, what: str = "GAN",
) -> tuple[Generator | list[Generator], Discriminator, dict[str, np.ndarray]]:  # fmt: skip
    """Play `steps` rounds: n_critic updates of the discriminator, one of the generator.
    The arguments are not changed.

    images (n, 28, 28); for a generator of c channels each of its images is c of them, stacked anew
    every time (Stacked-MNIST).  labels (n,) for players that know classes; class_fakes: whether
    generated images teach the discriminator classes, too.  loss: a name in LOSSES.  n_critic: a
    number, or several that follow one another in equal parts of the training.  gp_weight: of the
    gradient penalty; history_weight: of historical averaging, for both players.
    Adam with these betas, or RMSprop for None (Arjovsky et al. 2017); rates fall from lr to
    lr_last by a cosine if that is given.

    Returns the generator with its weights averaged by `ema_decay` (0: the last ones; of several
    decays, which change nothing in the game, a list of generators), the discriminator, all in
    evaluation mode, and the history: means over each of `records` equal parts of the training of
    what the two steps log, "step" where it ends, and "snapshot" (records, grid, 28, 28), the
    (first) averaged generator there at `grid` fixed latent draws (of classes 0, 1, 2, ... in turn)
    in [0, 1], half precision.  Raises Diverged, ValueError.
    """
    x, y = _checked_data(images, labels, generator, discriminator, batch_size)
    _check_rules(loss, n_critic, real_target, steps, records)
    _check_numbers(lr, ema_decay, history_weight, gp_weight, clip_value, class_weight)
    if gp_weight and any(
        isinstance(m, (nn.BatchNorm2d, MinibatchDiscrimination)) for m in discriminator.modules()
    ):
        raise ValueError(
            f"gp_weight={gp_weight}: the penalty is of single images, so the critic must not mix "
            "them: norm='none', kernels=0"
        )
    generator, discriminator = (
        copy.deepcopy(generator).train(),
        copy.deepcopy(discriminator).train(),
    )
    decays = np.atleast_1d(ema_decay).tolist()
    averages = [copy.deepcopy(generator) for _ in decays]
    pasts = {net: copy.deepcopy(net) for net in (generator, discriminator)}
    descent_g, schedule_g = _descent(generator, lr, betas, lr_last, steps)
    descent_d, schedule_d = _descent(discriminator, lr, betas, lr_last, steps)
    d_loss, g_loss = LOSSES[loss]
    if real_target < 1:
        d_loss = partial(d_loss, real_target=real_target)
    rounds = (n_critic,) if isinstance(n_critic, int) else tuple(n_critic)

    def d_penalty(real, fake):
        total = gp_weight * gradient_penalty(discriminator, real, fake) if gp_weight else 0
        return (
            total + history_weight * squared_distance(discriminator, pasts[discriminator])
            if history_weight
            else total
        )

    def g_penalty():
        return history_weight * squared_distance(generator, pasts[generator])

    def play(step: int) -> dict[str, torch.Tensor]:
        for _ in range(rounds[step * len(rounds) // steps]):
            real, *known = next(reals)
            logs = discriminator_step(
                generator, discriminator, descent_d, real, *known, loss=d_loss,
                class_weight=class_weight, class_fakes=class_fakes,
                penalty=d_penalty if gp_weight or history_weight else None, clip_value=clip_value,
            )  # fmt: skip
        logs |= generator_step(
            generator, discriminator, descent_g, batch_size, loss=g_loss, class_weight=class_weight,
            match=real if match_features else None, penalty=g_penalty if history_weight else None,
        )  # fmt: skip
        schedule_g.step()
        schedule_d.step()
        for average, decay in zip(averages, decays, strict=True):
            # Rate 1 / t, the mean of all steps, until that is below 1 - decay: else the random
            # start would stay in the average for some 1 / (1 - decay) steps.  0: the last weights.
            move_towards(average, generator, max(1 - decay, 1 / (step + 1)) if decay else 1.0)
        if history_weight:
            for net, past in pasts.items():
                move_towards(past, net, 1 / (step + 1))
        return logs

    about = np.arange(grid) % generator.n_classes if generator.n_classes else None
    z = latents(generator, grid, torch.Generator().manual_seed(stream(seed, "sample"))).numpy()
    history, ends = [], steps * np.arange(records + 1) // records
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, "train"))
        reals = real_batches(x, y, batch_size, generator.channels)
        for record in progress(records, what):
            good = copy.deepcopy(averages[0].state_dict())
            logs = [play(step) for step in range(ends[record], ends[record + 1])]
            values = torch.stack([torch.stack(list(row.values())) for row in logs])
            finite = torch.isfinite(values).all(1)
            if not finite.all():
                raise Diverged(what, int(ends[record] + (~finite).nonzero()[0]), good)
            means = dict(zip(logs[0], values.mean(0).tolist(), strict=True))
            history.append(
                means | {"snapshot": generated(averages[0], z, about).astype(np.float16)}
            )
    columns = {name: np.array([row[name] for row in history]) for name in history[0]}
    averages = [average.eval() for average in averages]
    smooth = averages if np.ndim(ema_decay) else averages[0]
    return smooth, discriminator.eval(), {"step": ends[1:]} | columns


def real_batches(
    x: torch.Tensor, y: torch.Tensor | None, batch_size: int, channels: int = 1
) -> Iterator[tuple[torch.Tensor, ...]]:
    """Without end: real images (batch_size, channels, 28, 28), and their labels if y is given,
    from epoch after epoch of x in a new order drawn from torch's generator."""
    data = (x,) if y is None else (x, y)
    taken = batch_size * channels
    while True:
        for rows, *known in batches(data, taken, len(x) // taken):
            yield rows.view(batch_size, channels, *rows.shape[2:]), *known


def _descent(
    net: nn.Module, lr: float, betas: tuple[float, float] | None, last: float | None, steps: int
):
    """The optimiser of one player and the schedule of its rate."""
    if betas is None:
        optimizer = torch.optim.RMSprop(net.parameters(), lr=lr)
    else:
        optimizer = torch.optim.Adam(net.parameters(), lr=lr, betas=betas, fused=True)
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, steps, eta_min=lr if last is None else last
    )


def _checked_data(
    images, labels, generator, discriminator, batch_size
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Images as (n, 1, 28, 28) in [-1, 1] and labels; ValueError where they and the players do not
    belong together."""
    x = 2 * as_images(images) - 1
    check_epochs(1, batch_size * generator.channels, len(x))
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
    return x, None if labels is None else check_labels(labels, len(x), generator.n_classes)


def _check_rules(loss, n_critic, real_target, steps, records) -> None:
    """ValueError for a game that cannot be played."""
    checks.one_of(loss, "loss", LOSSES)
    if min([n_critic] if isinstance(n_critic, int) else n_critic, default=0) < 1:
        raise ValueError(f"n_critic={n_critic}: one number, or several, each at least 1")
    if not 0.5 < real_target <= 1 or (real_target < 1 and loss == "wasserstein"):
        raise ValueError(f"real_target={real_target} must be in (0.5, 1], and 1 for a critic")
    checks.count(records, "records")
    checks.count(steps, "steps", records, hint=f", one for each of records={records}")


def _check_numbers(lr, ema_decay, *weights) -> None:
    """ValueError for a rate that is not positive, no decay or one outside [0, 1), or a negative
    weight."""
    decays = np.atleast_1d(ema_decay)
    checks.numbers([lr, *weights], "lr and weights")
    if lr <= 0 or not len(decays) or not ((decays >= 0) & (decays < 1)).all() or min(weights) < 0:
        raise ValueError(
            f"lr={lr} must be above 0, ema_decay={ema_decay} in [0, 1), "
            f"weights {weights} at least 0"
        )
