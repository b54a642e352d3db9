"""Training of RBMs: the gradient, its bias, persistent and tempered chains, and what
stops a training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.boltzmann import exact as enumerated
from genlab.boltzmann import likelihood, training
from genlab.boltzmann.rbm import RBM, hidden_given_visible, sample_bits
from genlab.training import Diverged

PATTERNS = np.array(
    [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 1, 1]], np.float32
)


def as_machine(rbm):
    return enumerated.from_layers([np.asarray(rbm.W)], [np.asarray(rbm.b), np.asarray(rbm.c)])


def random_rbm(shape=(4, 3), scale=1.0, seed=3):
    rng = np.random.default_rng(seed)
    return RBM(*(jnp.asarray(scale * rng.normal(size=s), jnp.float32) for s in (shape, *shape)))


def exact_statistics(rbm, n):
    """n rows of v and p(h|v) whose averages are those of the model to within 1/n."""
    n_visible = len(rbm.b)
    counts = np.round(n * enumerated.marginal(as_machine(rbm), n_visible)).astype(int)
    v = jnp.asarray(np.repeat(enumerated.states(n_visible), counts, axis=0), jnp.float32)
    return v, hidden_given_visible(rbm, v)


def test_gradient_is_the_exact_one(rng):
    """All in double precision: in single the sums, and σ itself, have errors of their own.  What is
    left is that `exact_statistics` has whole rows: each of the 16 states has at most half a row too
    many or too few, of a million, and no average of numbers in [0, 1] is wrong by more than that.
    """
    rbm, n = random_rbm(), 1_000_000
    data = rng.integers(0, 2, (40, 4)).astype(np.float64)
    with jax.enable_x64(True):
        double = RBM(*(jnp.asarray(np.asarray(x), jnp.float64) for x in rbm[:3]))
        v, model = (
            jnp.asarray(np.asarray(x), jnp.float64) for x in (data, exact_statistics(rbm, n)[0])
        )
        h, h_model = (hidden_given_visible(double, x) for x in (v, model))
        found, _ = training.centred_gradient(double, v, h, model, h_model, None)
        twin, _ = training.centred_gradient(double, v, h, model[16:], h_model[:-16], None)
    exact = enumerated.log_likelihood_gradient(as_machine(rbm), data)
    exact, tolerance = (exact.W[:4, 4:], exact.b[:4], exact.b[4:]), 2**4 / 2 / n

    def error(gradient):
        pairs = zip(gradient, exact, strict=False)
        return max(np.abs(np.asarray(x) - y).max() for x, y in pairs)

    assert error(found) <= tolerance < error(twin)  # the twin pairs v with the h of another row


def test_centring_is_ascent_in_the_centred_machine(rng):
    """A small step in the parameters (W, b', c') of -(v-μ)ᵀW(h-λ) - b'·v - c'·h, translated to
    the ordinary ones."""
    rbm, data = random_rbm(), rng.integers(0, 2, (40, 4)).astype(np.float32)
    mu, lam, lr = rng.random(4), rng.random(3), 1e-3
    samples = exact_statistics(rbm, 1_000_000)
    offsets = tuple(
        jnp.asarray(
            (m - training.OFFSET_RATE * x.mean(0)) / (1 - training.OFFSET_RATE), jnp.float32
        )
        for m, x in ((mu, data), (lam, np.asarray(hidden_given_visible(rbm, data))))
    )
    found, moved = training.centred_gradient(
        rbm, data, hidden_given_visible(rbm, data), *samples, offsets
    )
    np.testing.assert_allclose(moved[0], mu, atol=1e-6)

    exact = enumerated.log_likelihood_gradient(as_machine(rbm), data)
    W, b, c = exact.W[:4, 4:], exact.b[:4], exact.b[4:]
    dW = W - np.outer(mu, c) - np.outer(b, lam)  # the chain rule through b = b' - Wλ, c = c' - Wᵀμ
    W0, b1, c1 = (np.asarray(x, float) for x in (rbm.W, rbm.b + rbm.W @ lam, rbm.c + mu @ rbm.W))
    b1, c1 = b1 + lr * b, c1 + lr * c
    after = W0 + lr * dW
    np.testing.assert_allclose(np.asarray(rbm.W) + lr * np.asarray(found.W), after, atol=1e-6)
    np.testing.assert_allclose(
        np.asarray(rbm.b) + lr * np.asarray(found.b), b1 - after @ lam, atol=1e-6
    )
    np.testing.assert_allclose(
        np.asarray(rbm.c) + lr * np.asarray(found.c), c1 - mu @ after, atol=1e-6
    )


def negative_mean(rbm, data, k, key, n=40_000):
    v = jnp.asarray(np.tile(data, (n // len(data), 1)))
    h = sample_bits(hidden_given_visible(rbm, v), key=key)
    v, p, _ = training.negative_phase(
        rbm, h, 0.0, training.Rules("cd", k=k), key=jax.random.fold_in(key, k)
    )
    return np.asarray(v.T @ p) / len(v)


@pytest.mark.slow
def test_the_bias_of_contrastive_divergence_falls_with_k(key):
    rbm = random_rbm(scale=1.5)
    unlikely = enumerated.states(4)[[enumerated.marginal(as_machine(rbm), 4).argmin()]].astype(
        np.float32
    )
    v, h = exact_statistics(rbm, 1_000_000)
    truth = np.asarray(v.T @ h) / len(v)
    bias = [np.abs(negative_mean(rbm, unlikely, k, key) - truth).max() for k in (1, 2, 4, 60)]
    noise = 4 * 0.5 / np.sqrt(40_000)
    assert bias[0] > bias[1] > bias[2] > noise > bias[3], bias


def test_k_may_rise_during_the_training(key):
    rbm = random_rbm(scale=1.5)
    rules = training.Rules("cd", k=1, k_last=60)
    h = jnp.ones((40_000, 3))
    early, late = (
        training.negative_phase(rbm, h, done, rules, key=key)[0].mean(0) for done in (0.0, 1.0)
    )
    truth = exact_statistics(rbm, 1_000_000)[0].mean(0)
    assert np.abs(late - truth).max() < 4 * 0.5 / np.sqrt(40_000) < np.abs(early - truth).max()


@pytest.mark.slow
def test_tempered_chains_keep_the_law_at_every_temperature(key):
    rbm, inv_temps, n = random_rbm(scale=1.5), jnp.linspace(0, 1, 4), 20_000
    h = jnp.zeros((4, n, 3))
    v, _, h = training.tempered_phase(rbm, h, 80, inv_temps, key=key)
    for beta, states in zip(np.asarray(inv_temps), np.asarray(h), strict=True):
        tempered = enumerated.from_layers(
            [beta * np.asarray(rbm.W)], [np.asarray(rbm.b), beta * np.asarray(rbm.c)]
        )
        expected = enumerated.probabilities(tempered) @ enumerated.states(7)[:, 4:]
        assert np.abs(states.mean(0) - expected).max() < 4.5 * 0.5 / np.sqrt(n)
    truth = enumerated.probabilities(as_machine(rbm)) @ enumerated.states(7)[:, :4]
    assert np.abs(np.asarray(v).mean(0) - truth).max() < 4.5 * 0.5 / np.sqrt(n)


def test_exchanges_with_the_wrong_sign_break_the_law(key, monkeypatch):
    rbm, inv_temps, n = random_rbm(scale=1.5), jnp.linspace(0, 1, 4), 20_000
    right = training.exchange
    monkeypatch.setattr(training, "exchange", lambda energy, *a, **k: right(-energy, *a, **k))
    v, _, _ = training.tempered_phase(rbm, jnp.zeros((4, n, 3)), 80, inv_temps, key=key)
    truth = enumerated.probabilities(as_machine(rbm)) @ enumerated.states(7)[:, :4]
    assert np.abs(np.asarray(v).mean(0) - truth).max() > 10 * 0.5 / np.sqrt(n)


@pytest.mark.slow
@pytest.mark.parametrize(
    "rules",
    [
        {"method": "cd", "k": 3},
        {"method": "pcd"},
        {"method": "pt", "temperatures": 4},
        {"centred": False, "k": 5, "lr": 0.02},
    ],
)
def test_training_learns_four_patterns(rules):
    data = np.tile(PATTERNS, (100, 1))
    done = training.train_rbm(
        data, n_hidden=8, epochs=1500, seed=0,
        rules=training.Rules(**{"batch_size": 40, "lr": 0.05} | rules),
    )  # fmt: skip
    log_p = likelihood.log_likelihood(
        done.model, jnp.asarray(PATTERNS), likelihood.log_z_exact(done.model)
    )
    # -log 4 is the best of all; independent pixels reach -4.16
    assert float(log_p.mean()) > -np.log(4) - 0.35
    assert done.chains.shape == (40, 6) and set(np.unique(done.chains)) <= {0.0, 1.0}
    assert done.history["step"][-1] == 15_000


@pytest.mark.slow
def test_gaussian_units_learn_two_clusters(rng):
    data = (np.sign(rng.normal(size=(400, 1))) * [2.0, -2.0] + rng.normal(size=(400, 2))).astype(
        np.float32
    )
    rules = training.Rules(lr=0.05)
    done = training.train_rbm(data, n_hidden=1, epochs=100, seed=0, rules=rules, s=np.ones(2))
    jump = np.asarray(done.model.W)[:, 0]
    np.testing.assert_allclose(np.abs(jump), [4, 4], atol=0.5)  # the distance between the clusters
    assert jump[0] * jump[1] < 0


@pytest.mark.slow
def test_sparsity_and_weight_decay_do_what_they_say():
    data = np.tile(PATTERNS, (100, 1))
    train = lambda **rules: training.train_rbm(  # noqa: E731
        data, n_hidden=8, epochs=60, seed=0, rules=training.Rules(lr=0.1, **rules)
    )
    plain, sparse, decayed = (
        train(),
        train(sparsity_cost=1.0, sparsity_target=0.1),
        train(weight_decay=0.05),
    )
    assert (
        abs(sparse.history["activity"][-1] - 0.1) < 0.07 < abs(plain.history["activity"][-1] - 0.1)
    )
    assert np.abs(decayed.model.W).mean() < 0.5 * np.abs(plain.model.W).mean()


def test_a_training_goes_on_from_another_and_the_caller_keeps_it():
    data, rules = np.tile(PATTERNS, (10, 1)), training.Rules(batch_size=10)
    first = training.train_rbm(data, n_hidden=3, epochs=2, seed=1, rules=rules)
    before = np.array(first.model.W)
    more = training.train_rbm(data, n_hidden=3, epochs=1, seed=1, rules=rules, start=first)
    np.testing.assert_array_equal(first.model.W, before)
    assert not np.array_equal(more.model.W, before) and np.abs(more.model.W - before).max() < 0.2


def test_divergence_names_the_step_and_keeps_the_last_good_state():
    data = np.tile(PATTERNS, (10, 1))
    with pytest.raises(Diverged, match=r"stopped at step \d+.*lower lr") as caught:
        rules = training.Rules(batch_size=10, lr=3e38)
        training.train_rbm(data, n_hidden=3, epochs=3, seed=0, rules=rules)
    assert caught.value.step <= 12
    assert all(np.isfinite(x).all() for x in caught.value.state.rbm[:3])


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"k": 0}, "k=0"),
        ({"method": "pcb"}, "method='pcb' must be one of cd, pcd, pt"),
        ({"lr": -1.0}, "lr=-1"),
        ({"k": 5, "k_last": 2}, "k_last=2"),
        ({"method": "pt", "temperatures": 1}, "temperatures=1"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 100}, "batch_size=100"),
        ({"doubled": "both"}, "doubled='both'"),
    ],
)
def test_bad_rules_are_named(about, message):
    epochs = about.pop("epochs", 1)
    rules = training.Rules(**{"batch_size": 4} | about)
    with pytest.raises(ValueError, match=message):
        training.train_rbm(PATTERNS, n_hidden=2, epochs=epochs, seed=0, rules=rules)
    rules = training.Rules(batch_size=4)
    with pytest.raises(ValueError, match="divide the pixels by 255"):
        training.train_rbm(255 * PATTERNS, n_hidden=2, epochs=1, seed=0, rules=rules)


def test_tempering_reaches_the_model_itself_and_the_independent_pixels(monkeypatch, key):
    """Its temperatures rise from 0 to 1 with both ends: without 1 the chains would follow a flatter
    model, without 0 nothing would carry them between modes."""
    seen = []
    rules = training.Rules(method="pt", temperatures=5)
    monkeypatch.setattr(
        training, "tempered_phase", lambda rbm, h, k, temps, key: seen.append(np.asarray(temps))
    )
    training.negative_phase(random_rbm(), jnp.zeros((5, 2, 3)), jnp.array(0.0), rules, key=key)
    np.testing.assert_allclose(seen[0], [0, 0.25, 0.5, 0.75, 1])
