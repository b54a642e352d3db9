"""The smallest shift that the gate can see: what it says is what the gate does, and in no section
of the book is it blind."""

import numpy as np
import pytest

from genlab.pipeline.gate import baseline, noise, sight, statistics


@pytest.fixture(scope="module")
def book():
    return baseline.read_all("quick", "cpu")


@pytest.mark.parametrize("runs", sight.RUNS)
def test_no_section_is_blind(book, runs):
    """In half of a section's quantities less than 17 standard deviations over seeds can be seen on
    one run (9 with twenty seeds), less than 7.5 on four (4.5).  Each baseline's own spread with
    (n - 1)/2 degrees of freedom, as it once was, sees 40 and 23 with eight seeds."""
    priors, level = baseline.priors_of(book), statistics.ALARM_RATE / sum(b.tests() for b in book)
    for b in book:
        few = len(b.seeds) < 20
        most = {1: 17.0 if few else 9.0, 4: 7.5 if few else 4.5}[runs]
        assert sight.median_shift(sight.seen(b, priors, runs, level)) < most, b.section


def test_a_visible_shift_raises_an_alarm_and_half_of_it_does_not(book):
    """Judged by the gate itself, with fresh runs that scatter as the baseline's do."""
    priors, tests = baseline.priors_of(book), sum(b.tests() for b in book)
    b = next(b for b in book if b.section == "vae")
    for name, told in sight.seen(b, priors, 4, statistics.ALARM_RATE / tests).items():
        better, values = b.quantities()[name]
        kind = noise.kind_of(name, better, values)
        if kind not in ("log", "plain"):
            continue
        x = noise.to_scale(kind, values)
        sd, side = np.sqrt(noise.variance(x)), -1 if better == "higher" else 1
        scatter = np.array([-1, -1, 1, 1]) * np.sqrt(3 / 4) * sd

        def alarm(share, side=side, x=x, told=told, sd=sd, kind=kind, name=name, scatter=scatter):
            fresh = x.mean() + side * share * told.shift * sd + scatter
            fresh = [noise.from_scale(kind, v) for v in fresh]
            (judged,) = statistics.judge(
                {name: (b.quantities()[name][0], b.quantities()[name][1], fresh)},
                tests=tests,
                priors=priors,
            )
            return judged.alarm

        assert alarm(1.02) and not alarm(0.5), name


def test_the_sight_of_every_section(book):
    found = sight.sights(book)
    assert [s.section for s in found] == [b.section for b in book]
    for s, b in zip(found, book, strict=True):
        assert s.judged == b.tests()
        assert s.headline in b.quantities() and s.medians[0] > s.medians[1] > 1
        one, four = s.seen
        assert one.mean == four.mean and one.shift > four.shift
        assert abs(one.value - one.mean) > abs(four.value - four.mean) or np.isnan(one.value)


def test_the_headline_is_what_the_page_quotes_first(book):
    b = next(b for b in book if b.section == "vae")
    views = {name: sight.Seen(1.0, 5.0, 2.0) for name in ("vae/elbo_test", "nll_test", "vae/gap")}
    text = "{glue:text}`nowhere:.2f` {glue:text}`nll_test:.2f` {glue:text}`vae/elbo_test`"
    assert sight.headline(text, views, b) == "nll_test"
    views["nll_test"] = sight.Seen(1.0, 500.0, 2.0)  # a number that hardly moves over seeds
    assert sight.headline(text, views, b) == "vae/elbo_test"
    assert sight.headline("no number", views, b) in views
