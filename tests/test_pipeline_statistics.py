"""The gate's statistics against closed forms and simulation."""

import numpy as np
import pytest
from scipy import stats

from genlab.pipeline.gate import statistics


def test_the_interval_is_that_of_the_textbook_for_a_symmetric_baseline():
    x = np.array([-3.0, -2.0, -1.5, -0.5, 0.5, 1.5, 2.0, 3.0]) + 3.0
    low, high = statistics.interval(x, 1, "target", 0.05)
    width = stats.t.ppf(0.975, 7 / 2) * x.std(ddof=1) * np.sqrt(1 + 1 / 8)
    assert np.allclose([low, high], [3.0 - width, 3.0 + width])
    assert (
        statistics.interval(x, 1, "lower", 0.05)[0] == -np.inf
        and statistics.interval(x, 1, "higher", 0.05)[1] == np.inf
    )
    t = (10.0 - 3.0) / (x.std(ddof=1) * np.sqrt(1 + 1 / 8))
    assert statistics.p_value(x, np.array([10.0]), "lower") == pytest.approx(stats.t.sf(t, 7 / 2))
    assert statistics.p_value(x, np.array([10.0]), "higher") == pytest.approx(stats.t.cdf(t, 7 / 2))


def test_positive_quantities_are_compared_by_ratio():
    x = [1.0, 2.5, 4.0, 0.5, 2.2, 1.7, 0.8, 3.1]
    (plain,) = statistics.judge({"m": ("target", x, [1.5])}, tests=1)
    (scaled,) = statistics.judge({"m": ("target", [7.3 * v for v in x], [7.3 * 1.5])}, tests=1)
    assert (
        plain.low > 0
        and scaled.p == pytest.approx(plain.p)
        and scaled.high == pytest.approx(7.3 * plain.high)
    )
    (signed,) = statistics.judge({"m": ("target", [*x[:-1], -0.1], [1.5])}, tests=1)
    assert signed.low < 0  # a value below zero: no logarithm


def test_a_skewed_baseline_is_wider_on_its_long_side(rng):
    x = rng.exponential(size=4000)
    above, below = statistics.spread(x, 1), statistics.spread(x, -1)
    assert above == pytest.approx(np.sqrt(4 / np.e), rel=0.05)  # 2 E[(x - 1)²; x > 1] = 4/e
    assert below == statistics.spread(x) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("better", ["lower", "higher", "target"])
def test_inside_the_interval_is_a_p_value_above_the_level(rng, better):
    x = rng.normal(size=9)
    low, high = statistics.interval(x, 2, better, 0.01)
    for value in np.linspace(-8, 8, 41):
        assert (low <= value <= high) == (
            statistics.p_value(x, np.array([value, value]), better) >= 0.01
        )


def test_holm_by_hand():
    levels = statistics.holm_levels([0.001, 0.04, 0.012, 0.5], 0.05, 4)
    # two rejected, then it stops
    assert np.allclose(levels, [0.05 / 4, 0.05 / 2, 0.05 / 3, 0.05 / 2])


def simulated(draw, judge_book, books=1500, metrics=30, seeds=20):
    """Share of simulated books of independent metrics that raise an alarm."""
    alarms = 0
    for _ in range(books):
        values = draw((metrics, seeds + 1))
        alarms += judge_book(
            {
                str(i): ("lower" if i % 2 else "target", row[:-1], row[-1:])
                for i, row in enumerate(values)
            }
        )
    return alarms / books


def test_the_alarm_rate_of_a_book_is_at_most_the_stated_one(rng):
    rate = 0.05
    error = np.sqrt(rate * (1 - rate) / 1500)

    def ours(metrics):
        return any(j.alarm for j in statistics.judge(metrics, alarm_rate=rate, tests=30))

    # the twin: a normal quantile and the plain spread, as if the seeds told it exactly
    def wrong(metrics):
        z = [(f[0] - np.mean(b)) / np.std(b, ddof=1) for _, b, f in metrics.values()]
        return max(map(abs, z)) > stats.norm.isf(rate / 30 / 2)

    def normal(shape):
        return rng.normal(size=shape)

    def skewed(shape):  # as distances are: skewness 0.95
        return np.exp(0.3 * rng.normal(size=shape))

    for draw in (normal, skewed):
        assert simulated(draw, ours) < rate + 3 * error
        assert simulated(draw, wrong, books=400) > 2 * rate


def test_verdicts():
    steady, counts = [1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.03], [25.0] * 8
    judged = statistics.judge(
        {
            "worse": ("lower", steady, [3.0]),
            "better": ("lower", steady, [-3.0]),
            "changed": ("target", steady, [-3.0]),
            "ok": ("higher", steady, [1.03]),
            "one mode fewer": ("higher", counts, [24.0]),
            "half the modes": ("higher", counts, [12.0]),
            "rounding": ("target", [2.0794415] * 8, [2.0794416]),
            "rounding near one": ("target", [1.3228757] * 8, [1.3228756]),
            "not finite": ("lower", steady, [np.nan]),
            "seed ignored": ("lower", steady, [1.01, 1.01]),
        },
        tests=10,
    )
    verdicts = {j.name: j.verdict for j in judged}
    assert verdicts == {
        "worse": "worse", "better": "better", "changed": "changed", "ok": "ok",
        "one mode fewer": "ok", "half the modes": "worse", "rounding": "ok",
        "rounding near one": "ok", "not finite": "worse", "seed ignored": "seed ignored",
    }  # fmt: skip
    with pytest.raises(ValueError, match="at least 3"):
        statistics.judge({"m": ("lower", [1.0, 2.0], [1.0])}, tests=1)
