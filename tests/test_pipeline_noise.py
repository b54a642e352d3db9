"""What quantities tell of each other's noise: scales, priors, constants."""

import numpy as np
import pytest

from genlab.pipeline.gate import baseline, noise, statistics


@pytest.mark.parametrize(
    ("name", "better", "values", "kind"),
    [
        ("a/w2", "lower", [0.2, 0.3, 0.25], "log"),
        ("a/error", "lower", [0.2, 0.0, 0.25], "root"),
        ("a/accuracy", "higher", [0.2, 1.0, 0.25], "share"),
        ("a/density", "target", [0.2, 1.3, 0.25], "root"),
        ("a/log_likelihood", "higher", [-100.5, -99.0, -98.0], "plain"),
        ("a/modes", "higher", [8, 7, 8], "count"),
        ("a/modes", "higher", [1.0, 0.5, 1.0], "count"),
        ("a/precision", "higher", [1.0, 1.0, 0.0], "share"),
        ("a/share_of_outliers", "lower", [0.0, 0.01, 0.0], "share"),
        ("a/gap_share", "lower", [-0.1, 0.2, 0.1], "plain"),
        ("a/rank_agreement_of_two", "target", [0.2, -0.3, 0.25], "rank"),
        ("a/one_piece", "higher", [1.0, 1.0, 0.55], "pieces"),
        ("figure_01/likeness", "higher", [0.9, 0.95, 0.8], "likeness"),
        ("figure_01/ink", "target", [0.1, 0.11, 0.1], "ink"),
    ],
)
def test_the_kind_of_a_quantity_and_its_scale(name, better, values, kind):
    assert noise.kind_of(name, better, values) == kind
    x = noise.to_scale(kind, values)
    assert [noise.from_scale(kind, v) for v in x] == pytest.approx(values)
    assert np.array_equal(np.argsort(x), np.argsort(values))
    assert noise.from_scale(kind, -np.inf) == -np.inf


def test_shares_have_even_noise_on_their_scale(rng):
    """A share of m things has a standard deviation of 1/(2√m), wherever it lies; a logarithm or
    the number itself has not."""
    p, m = np.array([0.1, 0.5, 0.9]), 400
    draws = rng.binomial(m, p, (20_000, 3)) / m
    assert noise.to_scale("share", draws).std(0) == pytest.approx(3 * [1 / 40], rel=0.03)
    for twin in (np.log(draws), draws):
        assert twin.std(0).max() > 1.3 * twin.std(0).min()


def test_a_fresh_value_out_of_range_changes_the_scale():
    assert noise.kind_of("a/w2", "lower", [0.2, 0.3], [-0.1]) == "plain"
    assert noise.kind_of("a/share", "higher", [0.2, 0.3], [1.1]) == "root"


def draws_of_variances(rng, freedom0, s0, n=20_000, seeds=8):
    """Sample variances of normal values whose own variances are s₀² d₀/χ²(d₀)."""
    variances = s0**2 * freedom0 / rng.chisquare(freedom0, n)
    d = noise.WORTH * (seeds - 1)
    return variances, variances * rng.chisquare(d, n) / d, d


@pytest.mark.parametrize("freedom0", [1.0, 4.0, 20.0])
def test_the_prior_is_found_again(freedom0, rng):
    _, s2, d = draws_of_variances(rng, freedom0, 0.3)
    prior = noise.fit(s2, np.full(len(s2), d))
    assert prior.freedom == pytest.approx(freedom0, rel=0.12)
    assert prior.variance == pytest.approx(0.09, rel=0.08)


def test_a_shrunk_variance_is_nearer_to_the_truth(rng):
    """In logarithms, where every seed counts alike; twice the prior's weight is too much."""
    truth, s2, d = draws_of_variances(rng, 6.0, 0.3)
    prior = noise.fit(s2, np.full(len(s2), d))

    def error(prior):
        mixed = (prior.freedom * prior.variance + d * s2) / (prior.freedom + d)
        return np.square(np.log(mixed / truth)).mean()

    assert error(prior) < 0.75 * error(noise.NOTHING)
    assert error(prior) < error(noise.Prior(60.0, prior.variance))


def test_a_quiet_quantity_is_not_drowned_by_loud_ones():
    prior = noise.Prior(4.0, 1.0)
    assert noise.shrunk(2.0, 6.0, prior) == (pytest.approx(1.6), 10.0)
    s2, freedom = noise.shrunk(1e-6, 6.0, prior)
    assert s2 == noise.MOST * 1e-6 and freedom == 10.0
    assert noise.shrunk(0.3, 6.0, noise.NOTHING) == (0.3, 6.0)


def test_numbers_that_no_seed_moves():
    computed, modes = [0.7292] * 8, [25.0] * 8
    assert noise.exact("a/accuracy", "higher", computed)
    assert not noise.exact("a/modes", "higher", modes) and noise.constant(modes)
    assert not noise.exact("figure_01/ink", "target", [0.03954] * 8)
    assert not noise.exact("a/w2", "lower", [*computed[:-1], 0.7293])
    # nought is a count until a fraction is seen
    assert not noise.exact("a/silent_units", "lower", [0.0] * 8, [2.0])
    assert noise.exact("a/gap", "lower", [0.0] * 8, [0.01])
    # one point of two thousand
    told = ("lower", [0.0] * 8, [0.0005])
    assert not noise.exact("a/share_that_left", *told)
    assert not statistics.judge({"a/share_that_left": told}, tests=1)[0].alarm


def test_a_mean_of_ones_that_is_rounded_is_a_share_of_one():
    """In single precision it may be 1.0000001: neither more than a share nor a computed number that
    is compared exactly, and one refused step in thousands is no alarm."""
    ones = [1.0, 1.0000001, 1.0, 0.99999994, 1.0000001, 1.0, 1.0, 1.0]
    assert noise.kind_of("a/accepted", "target", ones) == "share"
    assert not noise.exact("a/accepted", "target", [1.0000001] * 8, [0.9998])
    assert np.ptp(noise.to_scale("share", ones)) == 0
    told = {"a/accepted": ("target", ones, [0.9998])}
    assert not statistics.judge(told, tests=1)[0].alarm
    told = {"a/accepted": ("target", ones, [0.9])}
    assert statistics.judge(told, tests=1)[0].alarm  # the twin
    assert noise.kind_of("a/density", "target", [*ones, 1.001]) == "root"


def test_one_model_that_changes_its_place_is_no_alarm():
    """The orders of eight models agree by a number that leaps when one of them changes its place,
    how steady it ever was."""
    rng, ranks = np.random.default_rng(0), np.arange(8)
    moved = [np.insert(np.delete(ranks, i), j, i) for i in ranks for j in ranks]
    other = rng.permuted(np.tile(ranks, (500, 1)), axis=1)
    agree = lambda a: 1 - 6 * ((a - other) ** 2).sum(axis=1) / (8 * 63)  # noqa: E731
    change = np.array([agree(m) - agree(ranks) for m in moved])
    assert np.sqrt(np.mean(change**2)) == pytest.approx(noise.RANKS, abs=0.02)
    values = [0.80, 0.81, 0.80, 0.82, 0.81] * 4
    for name, fresh, alarm in (
        ("rank_agreement", 0.5, 0),
        ("rank_agreement", -0.9, 1),
        ("x", 0.5, 1),
    ):
        told = {f"a/{name}": ("target", values, [fresh])}
        assert statistics.judge(told, tests=1000)[0].alarm == alarm


def test_one_machine_that_draws_a_broken_shape_is_no_alarm():
    """All chains of a machine may draw one shape: the share in one piece leaps, how steady it ever
    was."""
    quantities = baseline.read("shape_machine", "quick", "cpu").quantities()
    kept = [told[1] for name, told in quantities.items() if name.endswith("/one_piece")]
    spread = np.sqrt(np.mean([np.var(values, ddof=1) for values in kept]))
    assert len(kept) == 6 and spread == pytest.approx(noise.PIECES, abs=0.02)
    for name, fresh, alarm in (("one_piece", 0.55, 0), ("one_piece", 0.0, 1), ("x", 0.55, 1)):
        told = {f"a/{name}": ("higher", [1.0] * 20, [fresh])}
        assert statistics.judge(told, tests=1000)[0].alarm == alarm


def test_constants_are_in_no_prior_and_every_kind_of_the_book_has_one():
    rows = [("a/w2", "lower", [x, 1.1 * x, 1.2 * x, 0.9 * x]) for x in np.linspace(1, 2, 12)]
    steady = [("b/w2", "lower", [3.3] * 4)] * 40
    assert noise.priors(rows) == noise.priors(rows + steady)
    assert noise.priors(rows[:5]) == {}  # too few to tell
    kinds = {"log", "share", "root", "plain", "count", "rank", "likeness", "ink"}  # few have pieces
    book = baseline.priors_of(baseline.read_all("quick", "cpu"))
    assert set(book) == kinds and all(p.freedom > 0.3 for p in book.values())


def test_seeds_are_worth_what_the_books_kurtosis_says():
    """1/(1 + κ/2) for the mean excess kurtosis of all quantities on their scales."""
    from scipy.stats import kurtosis

    found = [
        kurtosis(noise.to_scale(noise.kind_of(m, *told), told[1]), bias=False)
        for b in baseline.read_all("quick", "cpu")
        for m, told in b.quantities().items()
        if not noise.constant(told[1])
    ]
    assert pytest.approx(1 / (1 + np.mean(found) / 2), abs=0.1) == noise.WORTH
