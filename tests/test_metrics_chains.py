"""R-hat against its value for independent draws and for chains that stay apart; shares of modes."""

import numpy as np
import pytest

from genlab.metrics.chains import mode_shares, r_hat


def test_r_hat_is_one_for_independent_draws(rng):
    draws = rng.standard_normal((50, 400))
    # of 100 halves of 200: the variance of their means is 1/200 (1 ± sqrt(2/99)) of that within
    assert abs(r_hat(draws) - 1) < 4 * np.sqrt(2 / 99) / 200 / 2 + 1 / 200
    apart = draws + np.arange(50)[:, None]
    assert r_hat(apart) > 5


def test_r_hat_of_chains_that_stay_apart_is_known(rng):
    """Centres ±c and unit variance within: R² = 1 + c² of many chains, c² their variance."""
    draws = rng.standard_normal((200, 2000)) + 3.0 * np.repeat([-1, 1], 100)[:, None]
    assert r_hat(draws) == pytest.approx(np.sqrt(1 + 9), rel=0.02)


def test_a_trend_counts_as_chains_apart(rng):
    """Chains that drift alike agree with each other; their halves do not."""
    drift = np.linspace(-3, 3, 400) + rng.standard_normal((20, 400))
    assert r_hat(drift) > 1.3
    n, means = drift.shape[1], drift.mean(axis=1)
    unsplit = np.sqrt((n - 1) / n + means.var(ddof=1) / drift.var(axis=1, ddof=1).mean())
    assert unsplit < 1.05


def test_r_hat_refuses():
    with pytest.raises(ValueError, match="at least"):
        r_hat(np.zeros((1, 10)))
    with pytest.raises(ValueError, match="no chain moves"):
        r_hat(np.zeros((3, 10)))


def test_mode_shares():
    x, centres = [[0, 1], [0, 2], [9, 9], [1, 0]], [[0, 0], [10, 10], [-50, 0]]
    assert mode_shares(x, centres).tolist() == [0.75, 0.25, 0.0]
