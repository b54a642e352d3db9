"""Power against what the normal distribution says; each with a twin that must fail."""

import numpy as np
import pytest
from scipy.stats import norm

from genlab.metrics import power


def alarms(rng, draws, bound, repeats=20_000):
    """Share of further normal draws beyond `bound` sample standard deviations of `draws`."""
    null, one = rng.standard_normal((repeats, draws)), rng.standard_normal(repeats)
    return np.mean(np.abs(one - null.mean(1)) > bound * null.std(1, ddof=1))


@pytest.mark.parametrize("draws", [5, 20])
def test_one_real_sample_in_twenty_is_seen(draws, rng):
    error = np.sqrt(0.05 * 0.95 / 20_000)
    assert abs(alarms(rng, draws, power.critical(draws)) - 0.05) < 4 * error
    assert alarms(rng, draws, norm.ppf(0.975)) > 0.05 + 8 * error  # as if the null were known


def test_false_alarms_leave_the_draw_itself_out(rng):
    found = [power.false_alarms(rng.standard_normal(5)) for _ in range(2_000)]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) - power.ALARMS) < 4 * error
    # The twin judges a draw by a null that holds it: of five draws none can lie that far out.
    null = rng.standard_normal(5)
    assert power.share_seen(null, null) == 0


def test_effect_and_share_are_their_formulas():
    null = np.array([1.0, 2.0, 3.0])
    assert np.allclose(power.effect([2.0, 4.0], null), [0.0, 2.0])
    bound = power.critical(3)
    values = 2 + np.array([[bound + 0.1, -bound - 0.1], [bound - 0.1, bound + 0.1]])
    assert power.share_seen(values, null).tolist() == [1.0, 0.5]


def test_smallest_seen_is_where_half_of_the_copies_are(rng):
    """An effect of 5 null sd per unit reaches the bound at bound / 5."""
    sizes, null = np.array([0.1, 0.3, 0.6, 1.0]), rng.standard_normal(4_000)
    values = 5 * sizes[:, None] + rng.standard_normal((4, 4_000))
    found, error = power.smallest_seen(sizes, values, null)
    expected = power.critical(4_000) / 5
    assert abs(found - expected) < 4 * error < 0.03
    assert abs(found - norm.ppf(0.95) / 5) > 4 * error  # the twin of one side only
    halved = power.smallest_seen(sizes, -values, null)[0]  # the sign of the effect is no matter
    assert halved == pytest.approx(found, abs=8 * error)


def test_the_error_is_the_spread_over_fresh_copies_and_nulls(rng):
    sizes = np.array([0.2, 0.4, 0.8])

    def once():
        values = 5 * sizes[:, None] + rng.standard_normal((3, 10))
        return power.smallest_seen(sizes, values, rng.standard_normal(20))

    found, errors = np.array([once() for _ in range(400)]).T
    # A spread of 400 is known to 1/sqrt(800) of itself, the jackknife is a little conservative.
    assert 0.85 * found.std() < np.sqrt(np.mean(errors**2)) < 1.35 * found.std()


def test_a_measure_that_sees_nothing_says_so(rng):
    sizes, null = np.array([0.1, 0.5]), rng.standard_normal(20)
    found, error = power.smallest_seen(sizes, np.full((2, 5), null.mean()), null)
    assert np.isinf(found) and np.isnan(error)


def test_bad_input():
    null = np.array([0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="two different draws"):
        power.effect([1.0], np.ones(4))
    with pytest.raises(ValueError, match=r"sizes of shape .* must rise from above zero"):
        power.smallest_seen([0.0, 0.1], np.ones((2, 3)), null)
    with pytest.raises(ValueError, match=r"must be \(2, copies\), two copies or more"):
        power.smallest_seen([0.1, 0.2], np.ones((3, 3)), null)
    with pytest.raises(ValueError, match="draws=2 must be at least 3"):
        power.false_alarms(null[:2])
