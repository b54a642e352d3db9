"""How an adversarial game on the plane is trained, and what may differ between games that one
program plays side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from genlab import checks
from genlab.toys.players import LOSSES, latents
from genlab.training.jax import adam

VALIDATION_BATCH = 32  # held-out points, times the packing, that judge at every step


@dataclass(frozen=True)
class Rules:
    """How a generator and a discriminator are trained: one update of each per step.

    The discriminator sees `packing` points at once, each by `n_waves` random Fourier features of
    `bandwidth` radians per network unit: the finer the detail of the data, the larger.  The
    generator's noise is `latent` normals and, if there are `categories`, one of them drawn evenly,
    at `category_scale`.  `penalty` is γ of (γ/2)(R1 + R2), moving geometrically to `final_penalty`
    if given; 0 for none.  Adam with betas (beta1, 0.99), the generator at `generator_lr` if given
    (two time scales, Heusel et al. 2017).  `count_not_finite`: gradients that are not finite are
    counted and left out, and the largest norm of the others is kept.
    """

    hidden: tuple[int, ...]
    loss: str = "relativistic"
    penalty: float = 0.1
    final_penalty: float | None = None
    spectral_norm: bool = False
    batch_norm: tuple[bool, bool] = (False, False)
    packing: int = 1
    latent: int = 8
    categories: int = 0
    category_scale: float = 2.0
    n_waves: int = 32
    bandwidth: float = 4.0
    batch_size: int = 256
    lr: float = 1e-3
    generator_lr: float | None = None
    beta1: float = 0.0
    ema_decay: float = 0.999
    decay_lr: bool = True
    count_not_finite: bool = False

    def check(self) -> None:
        """ValueError for a rule that cannot be followed."""
        checks.one_of(self.loss, "loss", LOSSES)
        for name in ("packing", "batch_size", "latent"):
            checks.count(getattr(self, name), name)
        checks.count(self.categories, "categories", 0)
        if self.batch_size % self.packing:
            raise ValueError(f"packing={self.packing} must divide batch_size={self.batch_size}")
        if self.loss == "relativistic" and self.batch_size < VALIDATION_BATCH * self.packing:
            raise ValueError(
                f"batch_size={self.batch_size} must be at least {VALIDATION_BATCH * self.packing} "
                "for a loss of pairs: as many as are validated"
            )
        if any(self.batch_norm) and self.penalty:
            raise ValueError(
                f"batch_norm={self.batch_norm} ties the points of a batch together, so the slope "
                "at one of them is not defined: set penalty=0"
            )
        checks.number(self.lr, "lr", "positive")
        checks.number(self.penalty, "penalty", "at least 0")
        checks.number(self.beta1, "beta1", "in [0, 1)")
        checks.number(self.ema_decay, "ema_decay", "in [0, 1)")

    def optimizers(self, steps: int) -> tuple[optax.GradientTransformation, ...]:
        """Of the generator and of the discriminator."""
        how = {"decay_lr": self.decay_lr, "b1": self.beta1, "b2": 0.99}
        return adam(self.generator_lr or self.lr, steps, **how), adam(self.lr, steps, **how)

    def noise(self, n: int, *, key: jax.Array) -> jax.Array:
        """The generator's noise, (n, latent + categories)."""
        return latents(n, self.latent, self.categories, self.category_scale, key=key)


# --- what may differ between games that are played side by side ---


class Arm(NamedTuple):
    """What may differ between games in one program, (games, ...); None for what none of them has.

    loss: its place among the losses of all games.  penalty (2,): γ at the start, and its last
    share of that.  spectral: 1 where the discriminator is divided by its norms.  normed (2,): 1
    where generator, discriminator have batch normalisation.
    """

    loss: jax.Array
    penalty: jax.Array | None
    spectral: jax.Array | None
    normed: jax.Array | None


ARM = ("loss", "penalty", "final_penalty", "spectral_norm", "batch_norm")


def side_by_side(rules: Rules | Sequence[Rules], games: int) -> tuple[Arm, tuple[str, ...], Rules]:
    """The arms of the games, the names of their losses, and the rules that they share.

    `rules`: of all of them, or of each.  ValueError for as many as there are not, or that differ
    in more than what an `Arm` holds.
    """
    each = [rules] * games if isinstance(rules, Rules) else list(rules)
    if len(each) != games:
        raise ValueError(f"rules of {len(each)} games for {games} data sets: one for each")
    for one in each:
        one.check()
    same = {f.name: getattr(each[0], f.name) for f in fields(Rules) if f.name in ARM}
    if any(replace(one, **same) != each[0] for one in each):
        raise ValueError(f"games of one program may differ in {', '.join(ARM)} only")
    losses = tuple(dict.fromkeys(one.loss for one in each))
    penalty = [(r.penalty, r.final_penalty / r.penalty if r.final_penalty and r.penalty else 1.0)
               for r in each]  # fmt: skip
    stacked = lambda values, used: jnp.asarray(values, jnp.float32) if used else None  # noqa: E731
    arm = Arm(
        jnp.asarray([losses.index(one.loss) for one in each]),
        stacked(penalty, any(one.penalty for one in each)),
        stacked([one.spectral_norm for one in each], any(one.spectral_norm for one in each)),
        stacked([one.batch_norm for one in each], any(any(one.batch_norm) for one in each)),
    )
    return arm, losses, each[0]


def normed(arm: Arm, player: int) -> jax.Array | None:
    """Whether the generator (0) or the discriminator (1) of this game has batch normalisation."""
    return None if arm.normed is None else arm.normed[player]
