"""The Dirac game (Mescheder et al. 2018): one real point, one generated point, one slope; every
statement about it is two lines of algebra."""

import numpy as np

from genlab import checks

LOSSES = ("minimax", "non_saturating", "wasserstein")


def field(theta, psi, *, loss: str = "minimax", penalty: float = 0.0) -> np.ndarray:
    """By how much the players move, (..., 2): the generated point θ along minus its loss's slope,
    the discriminator D(x) = ψ x along plus its value's, less penalty · ψ.

    The real point is 0, so that the value is f(-ψθ) + f(0) with f(t) = -log(1 + e^-t), or t for
    "wasserstein".  The penalty is (penalty/2)‖∇D‖² on the real point, or on the generated one:
    both are ψ² (Mescheder et al. 2018, section 2 and lemma 3.2).
    """
    checks.one_of(loss, "loss", LOSSES)
    penalty = checks.number(penalty, "penalty", "at least 0")
    theta, psi = np.broadcast_arrays(checks.numbers(theta, "theta"), checks.numbers(psi, "psi"))
    won = 1 / (1 + np.exp(-theta * psi))  # the probability given to the generated point
    if loss == "wasserstein":
        won = np.ones_like(won)
    pull = 1 - won if loss == "non_saturating" else won
    return np.stack([pull * psi, -won * theta - penalty * psi], axis=-1)


def play(
    start: tuple[float, float],
    *,
    rounds: int,
    lr: float,
    loss: str = "minimax",
    penalty: float = 0.0,
) -> np.ndarray:
    """The players (θ, ψ) over `rounds` of gradient descent with both moving at once, (rounds + 1,
    2)."""
    rounds, lr = checks.count(rounds, "rounds"), checks.number(lr, "lr", "positive")
    path = [np.array(start, dtype=float)]
    for _ in range(rounds):
        path.append(path[-1] + lr * field(*path[-1], loss=loss, penalty=penalty))
    return np.stack(path)
