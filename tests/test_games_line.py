"""Two densities on a line: the best discriminator between them by an independent quadrature,
and a trained one that comes near it."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from genlab.games import line

P = line.Mixture((0.5, 0.5), (-2.0, 2.0), (0.6, 0.6))
Q = line.Mixture((1.0,), (1.5,), (1.0,))
X = np.linspace(-9, 9, 3601)


def density_p(x):
    return 0.5 * norm.pdf(x, -2, 0.6) + 0.5 * norm.pdf(x, 2, 0.6)


def density_q(x):
    return norm.pdf(x, 1.5, 1)


def jsd():
    """½ KL(p | m) + ½ KL(q | m) with m their mean, by adaptive quadrature."""
    parts = [
        quad(
            lambda x, f=f: f(x) * np.log(2 * f(x) / (density_p(x) + density_q(x))),
            -9,
            9,
            limit=200,
            points=[-2, 0, 2],
        )[0]
        for f in (density_p, density_q)
    ]
    return 0.5 * sum(parts)


def test_the_log_density_is_that_of_the_mixture():
    np.testing.assert_allclose(np.exp(line.log_density(P, X)), density_p(X), rtol=1e-9, atol=1e-300)
    # no underflow far outside
    assert line.log_density(Q, np.array([60.0]))[0] == pytest.approx(norm.logpdf(60, 1.5, 1))


def test_the_best_discriminator_reaches_log_4_minus_twice_the_jsd_and_no_other_does():
    best = line.optimal_log_odds(P, Q, X)
    np.testing.assert_allclose(
        1 / (1 + np.exp(-best)), density_p(X) / (density_p(X) + density_q(X)), rtol=1e-9
    )
    value = line.loss_of(best, P, Q, X)
    # both quadratures are exact to far less
    assert value == pytest.approx(np.log(4) - 2 * jsd(), abs=1e-7)
    for other in (best + 0.1, 0.9 * best, 1.1 * best, np.zeros(len(X))):
        assert line.loss_of(other, P, Q, X) > value + 1e-4
    assert line.loss_of(-best, P, Q, X) > np.log(
        4
    )  # the wrong twin q / (p + q) is worse than a coin


def test_where_the_densities_agree_only_a_coin_is_right():
    assert line.loss_of(line.optimal_log_odds(Q, Q, X), Q, Q, X) == pytest.approx(
        np.log(4), abs=1e-9
    )
    assert line.loss_of(0.3 * np.sin(X), Q, Q, X) > np.log(4) + 1e-4


def test_draws_follow_their_mixture():
    x = line.draw(P, 20_000, torch.device("cpu")).numpy()[:, 0]
    sd = np.sqrt(np.mean(density_p(X) * X**2) * np.ptp(X))  # mean 0
    assert abs(x.mean()) < 4 * sd / np.sqrt(len(x))
    assert x.std() == pytest.approx(sd, rel=4 * 0.5 / np.sqrt(len(x)))
    assert abs((x > 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(len(x))


@pytest.mark.slow
def test_a_trained_discriminator_comes_down_to_the_bound_and_never_below():
    about = {"rules": line.Rules(lr=1e-2), "steps": 500, "seed": 0, "hidden": (32, 32)}
    found = line.train_discriminator(P, Q, X, records=8, **about).history
    bound = line.loss_of(line.optimal_log_odds(P, Q, X), P, Q, X)
    assert (found["loss"] >= bound).all() and found["step"][-1] == 500
    assert found["loss"][-1] - bound < 0.01 < 0.1 < found["loss"][0] - bound
    swapped = line.train_discriminator(Q, P, X, records=8, **about).history
    # the twin that takes the one for the other
    assert line.loss_of(swapped["log_odds"][-1], P, Q, X) > np.log(4)


def test_the_history_is_at_steps_that_grow_geometrically_and_at_every_point():
    trained = line.train_discriminator(
        P, Q, X[::100], rules=line.Rules(), steps=9, seed=0, records=3
    )
    history = trained.history
    assert history["step"].tolist() == [1, 3, 9]
    assert history["log_odds"].shape == (3, len(X[::100]))
    np.testing.assert_allclose(
        history["loss"], [line.loss_of(d, P, Q, X[::100]) for d in history["log_odds"]]
    )
    with torch.no_grad():  # the last row is what the network says now
        now = trained.model(torch.tensor(X[::100], dtype=torch.float32)[:, None]).numpy()
    np.testing.assert_allclose(history["log_odds"][-1], now, atol=1e-6)


def untrained(*, records, rules=None):
    rules = rules or line.Rules()
    return line.train_discriminator(P, Q, X, rules=rules, steps=3, seed=0, records=records)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: line.log_density(line.Mixture((0.5, 0.6), (0, 1), (1, 1)), X), "which sum to 1"),
        (lambda: line.log_density(line.Mixture((1.0,), (0.0, 1.0), (1.0,)), X), "as many weights"),
        (lambda: line.log_density(line.Mixture((1.0,), (0.0,), (0.0,)), X), "above 0"),
        (lambda: untrained(records=4), "steps=3 must be at least 4"),
        (lambda: untrained(records=3, rules=line.Rules(lr=0.0)), "lr=0.0"),
    ],
)
def test_bad_input_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()
