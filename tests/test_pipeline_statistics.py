"""The gate's statistics against closed forms and simulation."""

import numpy as np
import pytest
from scipy import stats

from genlab.pipeline.gate import noise, statistics
from genlab.pipeline.gate.noise import Prior, variance
from genlab.pipeline.gate.statistics import Known


def test_the_interval_is_that_of_the_textbook_for_a_symmetric_baseline():
    """With three quarters of the degrees of freedom, and none to be had from others."""
    x, f = np.array([-3.0, -2.0, -1.5, -0.5, 0.5, 1.5, 2.0, 3.0]) + 3.0, np.array([10.0])
    known, d = Known(x), 0.75 * 7
    low, high = statistics.interval(known, f, "target", 0.05)
    width = stats.t.ppf(0.975, d) * x.std(ddof=1) * np.sqrt(1 + 1 / 8)
    assert np.allclose([low, high], [3.0 - width, 3.0 + width])
    assert (
        statistics.interval(known, f, "lower", 0.05)[0] == -np.inf
        and statistics.interval(known, f, "higher", 0.05)[1] == np.inf
    )
    t = (10.0 - 3.0) / (x.std(ddof=1) * np.sqrt(1 + 1 / 8))
    assert statistics.p_value(known, f, "lower") == pytest.approx(stats.t.sf(t, d))
    assert statistics.p_value(known, f, "higher") == pytest.approx(stats.t.cdf(t, d))


def test_others_lend_degrees_of_freedom_and_draw_the_variance_to_theirs():
    """The moderated t of Smyth (2004), by hand."""
    x, f = np.array([-3.0, -2.0, -1.5, -0.5, 0.5, 1.5, 2.0, 3.0]), np.array([9.0])
    d, s2 = 0.75 * 7, x.var(ddof=1)
    mixed = (4 * 3.0 + d * s2) / (4 + d)
    t = 9.0 / np.sqrt(mixed * (1 + 1 / 8))
    p = statistics.p_value(Known(x, prior=Prior(4.0, 3.0)), f, "lower")
    assert p == pytest.approx(stats.t.sf(t, d + 4))
    assert p < 0.5 * statistics.p_value(Known(x), f, "lower")


def test_several_fresh_runs_tell_their_spread_but_cannot_hide_behind_it():
    x = np.array([-3.0, -2.0, -1.5, -0.5, 0.5, 1.5, 2.0, 3.0])
    steady = np.array([9.0, 9.5, 10.0, 9.0])
    d, squares = 0.75 * 7, np.var(steady) * 4
    both = (0.75 * squares + d * x.var(ddof=1)) / (d + 0.75 * 3)
    t = steady.mean() / np.sqrt(both * (1 / 8 + 1 / 4))
    p = statistics.p_value(Known(x), steady, "lower")
    assert p == pytest.approx(2 * stats.t.sf(t, d + 0.75 * 3))
    scattered = np.array([0.0, 0.0, 1000.0, 0.0])
    alone = 250 / np.sqrt(x.var(ddof=1) * (1 / 8 + 1 / 4))
    p = statistics.p_value(Known(x), scattered, "lower")
    assert p == pytest.approx(2 * stats.t.sf(alone, d))


@pytest.mark.parametrize("better", ["lower", "target", "higher"])
def test_positive_quantities_are_compared_by_ratio(better):
    """In another unit the judgement is the same."""
    x = [2.0, 2.5, 4.0, 1.5, 2.2, 2.7, 1.8, 3.1]
    (plain,) = statistics.judge({"m": (better, x, [2.5])}, tests=1)
    (scaled,) = statistics.judge({"m": (better, [7.3 * v for v in x], [7.3 * 2.5])}, tests=1)
    assert scaled.p == pytest.approx(plain.p) and scaled.shift == pytest.approx(plain.shift)
    assert (scaled.low, scaled.high) == pytest.approx((7.3 * plain.low, 7.3 * plain.high))
    assert plain.low > 0 or better == "lower"
    (signed,) = statistics.judge({"m": ("target", [*x[:-1], -9.0], [1.5])}, tests=1)
    assert signed.low < 0  # a value below zero: neither logarithm nor root


def test_a_skewed_baseline_is_wider_on_its_long_side(rng):
    x = rng.exponential(size=4000)
    above, below = variance(x, 1), variance(x, -1)
    assert above == pytest.approx(4 / np.e, rel=0.1)  # 2 E[(x - 1)²; x > 1] = 4/e
    assert below == variance(x) == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("better", ["lower", "higher", "target"])
def test_inside_the_interval_is_a_p_value_above_the_level(rng, better):
    known = Known(rng.normal(size=9), prior=Prior(2.0, 1.0))
    for spread in (0.0, 0.3, 5.0):
        for value in np.linspace(-8, 8, 41):
            fresh = value + np.array([-spread, spread])
            low, high = statistics.interval(known, fresh, better, 0.01)
            assert (low <= value <= high) == (statistics.p_value(known, fresh, better) >= 0.01)


def test_holm_by_hand():
    levels = statistics.holm_levels([0.001, 0.04, 0.012, 0.5], 0.05, 4)
    # two rejected, then it stops
    assert np.allclose(levels, [0.05 / 4, 0.05 / 2, 0.05 / 3, 0.05 / 2])


def simulated(draw, judge_book, seeds, books=1000, metrics=30):
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


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [8, 20])
def test_the_alarm_rate_of_a_book_is_at_most_the_stated_one(seeds, rng):
    rate = 0.05
    error = np.sqrt(rate * (1 - rate) / 1000)

    def ours(metrics):
        priors = noise.priors((m, better, b) for m, (better, b, _) in metrics.items())
        judged = statistics.judge(metrics, alarm_rate=rate, tests=30, priors=priors)
        return any(j.alarm for j in judged)

    # the twin: a normal quantile and the plain spread, as if the seeds told it exactly
    def wrong(metrics):
        z = [(f[0] - np.mean(b)) / np.std(b, ddof=1) for _, b, f in metrics.values()]
        return max(map(abs, z)) > stats.norm.isf(rate / 30 / 2)

    def normal(shape):  # variances as unlike as the book's
        return rng.normal(size=shape) * np.exp(rng.normal(size=(shape[0], 1)))

    def skewed(shape):  # as distances are: skewness 0.95
        return np.exp(0.3 * rng.normal(size=shape))

    for draw in (normal, skewed):
        assert simulated(draw, ours, seeds) < rate + 3 * error
        assert simulated(draw, wrong, seeds, books=300) > 2 * rate


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
            "another constant": ("target", [1.3228757] * 8, [1.3238757]),
            "a constant that is no more one": ("target", [1.3228757] * 8, [1.32287, 1.4]),
            "a smaller constant error": ("lower", [1.3228757] * 8, [1.3]),
            "a constant lost": ("lower", [1.3228757] * 8, [np.nan]),
            "an error where there was none": ("lower", [0.0] * 8, [0.01]),
            "silent units": ("lower", [0.0] * 8, [1.0]),
            "all converged, nearly": ("higher", [1.0] * 8, [0.99]),
            "all converged, no more": ("higher", [1.0] * 8, [0.2]),
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
        "another constant": "changed", "a constant that is no more one": "changed",
        "a smaller constant error": "better", "a constant lost": "worse",
        "an error where there was none": "worse", "silent units": "ok",
        "all converged, nearly": "ok", "all converged, no more": "worse",
    }  # fmt: skip
    with pytest.raises(ValueError, match="at least 3"):
        statistics.judge({"m": ("lower", [1.0, 2.0], [1.0])}, tests=1)


def test_a_constant_takes_no_share_of_the_level():
    """Compared exactly, it is right or wrong: no quantile is widened for it."""
    steady = [1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.03]
    constants = {f"c{i}": ("target", [0.7292] * 8, [0.7292]) for i in range(50)}
    one = {"m": ("lower", steady, [1.5])}
    alone, *_ = statistics.judge(one, tests=1)
    among, *others = statistics.judge(one | constants, tests=1)
    assert among.high == alone.high and all(j.verdict == "ok" for j in others)
