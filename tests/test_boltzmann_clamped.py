"""Known pixels: sweeps, mean field and likelihoods against a machine written down in full."""

import numpy as np
import pytest
import squares
from scipy.special import logsumexp

from genlab.boltzmann import clamped, shape

SHARED = shape.layout(4, 2)
TOP = np.arange(16) < 8  # known: the upper half
MASKS = {"half": TOP, "all": np.ones(16, bool), "none": np.zeros(16, bool)}
MACHINE = squares.machine(SHARED)
DEAF = MACHINE._replace(W2=0 * MACHINE.W2)
V = squares.V[[0, 9999, 43210, 65535]].astype(np.float32)
WALK = {"mean": np.full(16, 0.5), "inv_temps": np.linspace(0, 1, 60), "chains": 400}


def exact_log_z(machine, v, known):
    """log Z(known) of one picture, by enumeration."""
    found = squares.table(machine)
    fits = (squares.V[:, known] == v[known]).all(1)
    return found.log_z + logsumexp(found.log_v[fits])


@pytest.mark.slow
@pytest.mark.parametrize("mask", MASKS)
def test_walks_find_log_z_within_their_error(mask, key):
    known = MASKS[mask]
    exact = np.array([exact_log_z(MACHINE, v, known) for v in V])
    found = clamped.ais(MACHINE, V, known, key=key, **WALK)
    assert (np.abs(found.log_z - exact) < 4.5 * found.se + 1e-4).all() and found.se.max() < 0.2
    assert (found.ess > 50).all() and found.ends.shape == (4, 400, 4)
    deaf = clamped.ais(DEAF, V, known, key=key, **WALK)
    assert (np.abs(deaf.log_z - exact) > 10 * deaf.se + 1e-3).any()


def samples_of_hidden(v, known, n, rng):
    """h₁ given the known pixels of v, drawn from the table, (n, 4)."""
    found = squares.table(MACHINE)
    fits = (squares.V[:, known] == v[known]).all(1)
    joint = np.exp(found.log_v[fits])[:, None] * found.hidden[fits]
    p = joint.sum(0) / joint.sum()
    return squares.H1[rng.choice(len(p), n, p=p)]


@pytest.mark.slow
def test_walks_back_from_true_samples_find_it_too(key, rng):
    ends = np.stack([samples_of_hidden(v, TOP, 400, rng) for v in V])
    exact = np.array([exact_log_z(MACHINE, v, TOP) for v in V])
    found = clamped.ais(MACHINE, V, TOP, key=key, ends=ends, **WALK)
    assert (np.abs(found.log_z - exact) < 4.5 * found.se).all()
    wrong = clamped.ais(MACHINE, V, TOP, key=key, ends=np.zeros_like(ends), **WALK)
    assert (np.abs(wrong.log_z - exact) > 6 * wrong.se).any()


def test_walks_back_can_start_elsewhere(key, rng):
    start = np.stack([samples_of_hidden(v, TOP, 400, rng) for v in V])
    exact = np.array([exact_log_z(MACHINE, v, TOP) for v in V])
    for sweeps in (0, 5):
        both = clamped.both_ways(MACHINE, V, TOP, sweeps=sweeps, start=start, key=key, **WALK)
        assert (np.abs(both.back.log_z - exact) < 4.5 * both.back.se).all()
    far = clamped.both_ways(MACHINE, V, TOP, sweeps=0, start=0 * start, key=key, **WALK)
    assert (np.abs(far.back.log_z - exact) > 6 * far.back.se).any()
    with pytest.raises(ValueError, match="start of shape"):
        clamped.both_ways(MACHINE, V, TOP, sweeps=1, start=start[:2], key=key, **WALK)


@pytest.mark.slow
@pytest.mark.parametrize("mask", ["half", "none"])
def test_the_conditional_of_missing_pixels(mask, key):
    known = MASKS[mask]
    table = squares.table(MACHINE)
    joint = table.log_v[squares.index(V)]
    seen = [exact_log_z(MACHINE, v, known) - table.log_z for v in V]
    about = {"sweeps": 20, "key": key} | WALK
    whole = clamped.both_ways(MACHINE, V, MASKS["all"], **about)
    part = clamped.both_ways(MACHINE, V if known.any() else V[:1], known, **about)
    found = clamped.conditional(whole, part)
    for name in ("forward", "low", "high"):
        assert np.abs(getattr(found, name) - (joint - seen)).max() < 0.35, name
    assert found.ess.shape == (4,) and (found.ess > 20).all()
    assert np.abs(found.forward - joint).max() > 1 or mask == "none"


def test_clamped_sweeps_draw_from_the_conditional(key):
    n, v = 20_000, V[1]
    x, h1, mean = clamped.complete(MACHINE, np.tile(v, (n, 1)), TOP, steps=60, burn_in=30, key=key)
    assert (np.asarray(x)[:, TOP] == v[TOP]).all() and h1.shape == (n, 4)
    found = squares.table(MACHINE)
    fits = (squares.V[:, TOP] == v[TOP]).all(1)
    p = np.exp(found.log_v[fits] - logsumexp(found.log_v[fits]))
    exact = p @ squares.V[fits]
    error = 0.5 / np.sqrt(n)
    assert np.abs(np.asarray(x).mean(0) - exact).max() < 4.5 * error
    assert np.abs(np.asarray(mean).mean(0) - exact).max() < 4.5 * error
    deaf = clamped.complete(DEAF, np.tile(v, (n, 1)), TOP, steps=60, key=key)[0]
    assert np.abs(np.asarray(deaf).mean(0) - exact).max() > 8 * error


def test_what_stands_in_place_of_missing_pixels_takes_no_part(key):
    hidden = np.where(TOP, V, np.nan)
    f = lambda v: clamped.complete(MACHINE, v, TOP, steps=3, key=key)[2]  # noqa: E731
    np.testing.assert_array_equal(f(V), f(hidden))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda k: clamped.complete(MACHINE, V, TOP[:5], steps=2, key=k), "known of shape"),
        (lambda k: clamped.complete(MACHINE, V, TOP * 2, steps=2, key=k), "yes or no"),
        (lambda k: clamped.complete(MACHINE, V, TOP, steps=2, burn_in=2, key=k), "burn_in=2"),
        (lambda k: clamped.complete(MACHINE, V, TOP, steps=0, key=k), "steps=0"),
        (lambda k: clamped.ais(MACHINE, V, TOP, key=k, **WALK | {"chains": 1}), "chains=1"),
        (lambda k: clamped.ais(MACHINE, V, TOP, key=k, ends=np.zeros((4, 3, 4)), **WALK), "ends"),
        (lambda k: clamped.ais(MACHINE, 3 * V, TOP, key=k, **WALK), "divide the pixels"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message, key):
    with pytest.raises(ValueError, match=message):
        call(key)
