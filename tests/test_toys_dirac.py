"""The Dirac game: slopes by differences of its value, eigenvalues of its Jacobian, and where its
players go."""

import numpy as np
import pytest

from genlab.toys import dirac


def value(theta, psi, f):
    return f(-psi * theta) + f(0.0)


def slope(f, x, h=1e-6):
    """Central difference, right to about h² + 1e-16/h = 1e-10."""
    return (f(x + h) - f(x - h)) / (2 * h)


LOGISTIC = lambda t: -np.log1p(np.exp(-t))  # noqa: E731


def test_the_players_follow_the_slopes_of_the_value_and_the_penalty():
    theta, psi, gamma = 0.7, -1.3, 0.4
    d = slope(lambda p: value(theta, p, LOGISTIC) - gamma / 2 * p**2, psi)
    g = {
        "minimax": -slope(lambda t: value(t, psi, LOGISTIC), theta),
        "non_saturating": slope(lambda t: LOGISTIC(psi * t), theta),
    }
    for loss, move in g.items():
        found = dirac.field(theta, psi, loss=loss, penalty=gamma)
        np.testing.assert_allclose(found, [move, d], atol=1e-8)
    linear = dirac.field(theta, psi, loss="wasserstein", penalty=gamma)
    np.testing.assert_allclose(linear, [psi, -theta - gamma * psi], atol=1e-12)
    # the twin: a penalty of the wrong sign
    assert abs(dirac.field(theta, psi, penalty=0.0)[1] + gamma * psi - d) > 0.1


@pytest.mark.parametrize("loss", dirac.LOSSES)
@pytest.mark.parametrize("gamma", [0.0, 0.3, 3.0])
def test_the_equilibrium_turns_and_a_penalty_pulls(loss, gamma):
    """Eigenvalues -γ/2 ± sqrt(γ²/4 - c²), c = 1/2, or 1 for "wasserstein" (Mescheder et al. 2018,
    lemma 2.3 and theorem 4.1)."""
    jacobian = np.stack(
        [
            slope(lambda t: dirac.field(t, 0.0, loss=loss, penalty=gamma), 0.0),
            slope(lambda p: dirac.field(0.0, p, loss=loss, penalty=gamma), 0.0),
        ],
        axis=-1,
    )
    root = np.sqrt(complex(gamma**2 / 4 - (1.0 if loss == "wasserstein" else 0.5) ** 2))
    wanted = np.sort_complex([-gamma / 2 + root, -gamma / 2 - root])
    np.testing.assert_allclose(np.sort_complex(np.linalg.eigvals(jacobian)), wanted, atol=1e-6)


def test_without_a_penalty_the_players_leave_and_with_one_they_arrive():
    """One step multiplies small players by |1 + lr λ|: sqrt(1 + lr²/4) without a penalty."""
    start, rounds, lr = (1e-3, 0.0), 50, 0.2
    far = {
        gamma: np.linalg.norm(dirac.play(start, rounds=rounds, lr=lr, penalty=gamma)[-1]) / 1e-3
        for gamma in (0.0, 1.0)
    }
    assert far[0.0] == pytest.approx((1 + lr**2 / 4) ** (rounds / 2), rel=1e-3)
    assert far[1.0] < 0.1 < 1 < far[0.0]


def test_bad_input():
    with pytest.raises(ValueError, match="loss='hinge' must be one of"):
        dirac.field(0.0, 0.0, loss="hinge")
    with pytest.raises(ValueError, match="penalty=-1"):
        dirac.field(0.0, 0.0, penalty=-1.0)
