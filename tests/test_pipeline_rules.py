"""Rules over recorded numbers: what they may say, how errors travel, and when a comparison is
decided."""

import math

import numpy as np
import pytest
from scipy import stats

from genlab.pipeline.verdicts.rules import Combined, Recorded, comparisons, judged, state
from genlab.section.paths import UserError

NUMBERS = {
    "p:a": Recorded(1.0, 0.1, 4),
    "p:b": Recorded(2.0, 0.2, 2),
    "p:case/exact": Recorded(3.0, 0.0, 2),
    "p:bare": Recorded(4.0),
}


def judge(rule, numbers=NUMBERS):
    return judged(rule, numbers.__getitem__)


def test_a_comparison_is_welchs_test():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.0, 1.0, 5), rng.normal(1.0, 3.0, 4)
    numbers = {
        name: Recorded(v.mean(), v.std(ddof=1) / math.sqrt(len(v)), len(v) - 1)
        for name, v in (("p:x", x), ("p:y", y))
    }
    found, expected = judge("{p:x} < {p:y}", numbers), stats.ttest_ind(y, x, equal_var=False)
    assert found.effect == pytest.approx(y.mean() - x.mean())
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    bounds = expected.confidence_interval(0.99)
    assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high), rel=1e-9)


@pytest.mark.parametrize(
    ("rule", "effect", "error"),
    [
        ("{p:a} < {p:b}", 1.0, math.hypot(0.1, 0.2)),
        ("{p:a} > {p:b}", -1.0, math.hypot(0.1, 0.2)),
        ("{p:a} - {p:b} < 0", 1.0, math.hypot(0.1, 0.2)),
        ("{p:a} * {p:b} < 5", 3.0, math.hypot(2 * 0.1, 1 * 0.2)),
        ("{p:b} / {p:a} > 1", 1.0, math.hypot(2 * 0.1, 0.2)),
        ("abs({p:a} - {p:b}) < 3", 2.0, math.hypot(0.1, 0.2)),
        ("-{p:a} < 0", 1.0, 0.1),
        # on both sides the same number: its error is that of the difference, not of two numbers
        ("{p:a} < 2 * {p:a}", 1.0, 0.1),
        ("{p:a} + {p:b} > {p:a}", 2.0, 0.2),
    ],
)
def test_errors_travel_to_first_order(rule, effect, error):
    certain = {name: about._replace(freedom=math.inf) for name, about in NUMBERS.items()}
    found = judge(rule, certain)
    assert found.effect == pytest.approx(effect)
    assert found.high - found.effect == pytest.approx(stats.norm.ppf(0.995) * error)


def test_a_number_that_cancels_leaves_no_error():
    found = judge("{p:a} < {p:a} + 1")
    assert (found.effect, found.low, found.high, found.p) == (1.0, 1.0, 1.0, 0.0)


def test_a_bare_number_is_compared_and_said_to_be_bare():
    found = judge("{p:bare} > 3")
    assert found.plain and found.p is None and found.low is None and found.unknown == ("p:bare",)
    mixed = judge("{p:bare} > {p:a}")
    assert mixed.unknown == ("p:bare",) and mixed.p is not None


def test_limits_that_are_met_exactly():
    assert judge("{p:case/exact} >= 3").plain and not judge("{p:case/exact} > 3").plain


def test_a_chain_is_two_comparisons():
    node = judge("{p:a} < {p:b} < {p:bare}")
    assert isinstance(node, Combined) and node.how == "and"
    assert [c.text for c in comparisons(node)] == ["p:a < p:b", "p:b < p:bare"]


@pytest.mark.parametrize(
    ("rule", "met"),
    [
        ("{p:bare} > 3 and {p:a} > 0", None),
        ("{p:bare} > 3 or {p:a} > 0", True),
        ("{p:bare} > 5 and {p:a} > 0", False),
        ("{p:bare} > 5 or {p:a} > 0", None),
        ("not {p:a} > 0", None),
        ("not {p:bare} > 3", False),
        ("not ({p:bare} > 5 or {p:bare} > 6)", True),
    ],
)
def test_what_is_undecided_stays_so_unless_the_rest_settles_it(rule, met):
    assert state(judge(rule), lambda c: c.p is None) is met


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{p:a} <", "cannot be read"),
        ("{p:a} + 1", "compares nothing"),
        ("{p:a} == {p:b}", "only <, <=, > and >="),
        ("{p:a} < 'x'", "neither a name"),
        ("{p:a} < max({p:b}, 1)", "neither a name"),
        ("{p:a} < __import__('os').getpid()", "neither a name"),
        ("{p:a} ** 2 < 1", "neither a name"),
        ("{p:a} < other", "neither a name"),
        ("{p:a} / 0 < 1", "divides by zero"),
        ("{p:a} < 1 and 2", "no comparison"),
        ("{p:a} < True", "neither a name"),
    ],
)
def test_a_rule_that_is_none_is_refused_in_words(rule, said):
    with pytest.raises(UserError, match=said):
        judge(rule)
