"""log Z by every road, against the enumerated one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.boltzmann import exact, likelihood
from genlab.boltzmann.rbm import RBM


def random_rbm(n_visible=4, n_hidden=4, scale=1.0, seed=5):
    rng = np.random.default_rng(seed)
    return RBM(
        *(
            jnp.asarray(scale * rng.normal(size=s), jnp.float32)
            for s in ((n_visible, n_hidden), n_visible, n_hidden)
        )
    )


def as_machine(rbm):
    return exact.from_layers([np.asarray(rbm.W)], [np.asarray(rbm.b), np.asarray(rbm.c)])


@pytest.mark.parametrize("n_hidden", [1, 4, 11])
def test_exact_log_z_is_the_enumerated_one(n_hidden):
    rbm = random_rbm(n_hidden=n_hidden)
    assert likelihood.log_z_exact(rbm) == pytest.approx(exact.log_z(as_machine(rbm)), abs=1e-5)


def test_log_likelihood_sums_to_one():
    rbm = random_rbm()
    v = jnp.asarray(exact.states(4), jnp.float32)
    log_p = likelihood.log_likelihood(rbm, v, likelihood.log_z_exact(rbm))
    assert np.exp(np.asarray(log_p)).sum() == pytest.approx(1, abs=1e-5)


def exact_samples(rbm, n, rng):
    states = exact.states(len(rbm.b))
    return states[rng.choice(len(states), n, p=exact.marginal(as_machine(rbm), len(rbm.b)))]


@pytest.mark.parametrize("backwards", [False, True])
def test_ais_lies_within_its_own_error(backwards, key):
    rbm = random_rbm(scale=1.5)
    truth = exact.log_z(as_machine(rbm))
    samples = exact_samples(rbm, 2000, np.random.default_rng(0)) if backwards else None
    found = likelihood.ais(
        rbm,
        mean=np.full(4, 0.5),
        inv_temps=likelihood.schedule(300),
        chains=2000,
        key=key,
        samples=samples,
    )
    assert abs(found.log_z - truth) < 4 * found.se
    assert found.se < 0.05 and found.ess > 500


def test_walks_by_a_wrong_kernel_are_caught(key, monkeypatch):
    rbm = random_rbm(scale=1.5)
    # the hidden biases forgotten
    monkeypatch.setattr(likelihood, "hidden_input", lambda rbm, v: v @ rbm.W)
    likelihood._stretch.clear_cache()
    found = likelihood.ais(
        rbm, mean=np.full(4, 0.5), inv_temps=likelihood.schedule(300), chains=2000, key=key
    )
    likelihood._stretch.clear_cache()
    assert abs(found.log_z - exact.log_z(as_machine(rbm))) > 10 * found.se


def test_forward_and_reverse_bracket_the_truth_when_the_walk_is_too_short(key):
    rbm = random_rbm(6, 6, scale=2.5)
    truth = exact.log_z(as_machine(rbm))
    samples = exact_samples(rbm, 20 * 60, np.random.default_rng(1))
    forward, reverse = [], []
    for i in range(60):
        about = {
            "mean": np.full(6, 0.5),
            "inv_temps": likelihood.schedule(15),
            "chains": 20,
            "key": jax.random.fold_in(key, i),
        }
        forward.append(likelihood.ais(rbm, **about).log_z)
        reverse.append(likelihood.ais(rbm, **about, samples=samples[20 * i :]).log_z)
    for values, sign in ((forward, -1), (reverse, 1)):
        assert sign * (np.mean(values) - truth) > -2 * np.std(values) / np.sqrt(60)
    assert np.mean(forward) < np.mean(reverse)


def test_one_chain_claims_no_precision(key):
    found = likelihood.ais(
        random_rbm(), mean=np.full(4, 0.5), inv_temps=likelihood.schedule(15), chains=1, key=key
    )
    assert found.se == np.inf and found.ess == 1


def test_bad_input(key):
    rbm = random_rbm()
    with pytest.raises(ValueError, match="rise from 0 to 1"):
        likelihood.ais(
            rbm, mean=np.full(4, 0.5), inv_temps=np.array([0, 0.7, 0.5, 1]), chains=2, key=key
        )
    with pytest.raises(ValueError, match="only 3 samples"):
        likelihood.ais(
            rbm,
            mean=np.full(4, 0.5),
            inv_temps=likelihood.schedule(15),
            chains=5,
            key=key,
            samples=np.zeros((3, 4)),
        )
    with pytest.raises(ValueError, match="n_hidden=21"):
        likelihood.log_z_exact(random_rbm(n_hidden=21))
    with pytest.raises(ValueError, match="steps=3"):
        likelihood.schedule(3)


def transitions(monkeypatch, temperatures, key, backwards=False) -> np.ndarray:
    """The pairs of inverse temperatures (n, 2) that a walk of `ais` really takes."""
    rbm, taken, real = random_rbm(), [], likelihood._stretch
    with monkeypatch.context() as spied:
        spied.setattr(likelihood, "_stretch", lambda *a: taken.append(np.asarray(a[3])) or real(*a))
        likelihood.ais(
            rbm,
            mean=np.full(4, 0.5),
            inv_temps=temperatures,
            chains=2,
            key=key,
            samples=exact_samples(rbm, 2, np.random.default_rng(0)) if backwards else None,
        )
    return np.concatenate(taken)


def check_transitions(pairs, temperatures) -> None:
    """From each temperature to the next, none left out, 0 and 1 included."""
    assert len(pairs) == len(temperatures) - 1
    np.testing.assert_allclose(np.append(pairs[:, 0], pairs[-1, 1]), temperatures, rtol=1e-6)
    assert np.array_equal(pairs[1:, 0], pairs[:-1, 1])


@pytest.mark.parametrize("backwards", [False, True])
def test_a_walk_takes_every_temperature(backwards, key, monkeypatch):
    temperatures = likelihood.schedule(1200)  # more than two stretches of 500
    assert len(temperatures) == 1200 and temperatures[0] == 0 and temperatures[-1] == 1
    wanted = temperatures[::-1] if backwards else temperatures
    pairs = transitions(monkeypatch, temperatures, key, backwards)
    check_transitions(pairs, wanted)
    with pytest.raises(AssertionError):  # the last left out
        check_transitions(pairs[:-1], wanted)
    few = np.append(temperatures[:-1:20], 1.0)
    with pytest.raises(AssertionError):
        check_transitions(transitions(monkeypatch, few, key, backwards), wanted)


@pytest.mark.slow
def test_a_twentieth_of_the_temperatures_is_visibly_too_few(key):
    """log Z of few chains is too small on average, by about half the variance of their log
    weights: nothing to be seen after 400 temperatures, nats after 20."""
    rbm = random_rbm(8, 8, scale=2.0)
    truth = exact.log_z(as_machine(rbm))

    def error(temperatures):
        """Mean error over 100 estimates of 5 chains, and its standard error [nats]."""
        found = [
            likelihood.ais(
                rbm, mean=np.full(8, 0.5), inv_temps=temperatures, chains=5,
                key=jax.random.fold_in(key, i),
            ).log_z
            for i in range(100)
        ]  # fmt: skip
        return np.mean(found) - truth, np.std(found, ddof=1) / 10

    temperatures = likelihood.schedule(400)
    off, se = error(temperatures)
    assert abs(off) < 4 * se + 0.05 and se < 0.05
    off, se = error(np.append(temperatures[:-1:20], 1.0))
    assert off < -4 * se and off < -0.2
