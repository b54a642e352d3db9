"""The deep Boltzmann machine against enumeration: energy, sweeps, mean field, bound, partition
function, gradient, training."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.boltzmann import exact as enumerated
from genlab.boltzmann import likelihood, rbm
from genlab.boltzmann.dbm import (
    DBM,
    Rules,
    ais,
    centred_gradient,
    elbo,
    energy,
    from_rbms,
    gibbs_step,
    mean_field,
    train_dbm,
)
from genlab.training import Diverged

SHAPE = (4, 3, 2)
PATTERNS = np.array(
    [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 1, 1]], np.float32
)


def random_dbm(scale=1.0, shape=SHAPE, seed=4):
    rng = np.random.default_rng(seed)
    sizes = (shape[:2], shape[1:], *((n,) for n in shape))
    return DBM(*(jnp.asarray(scale * rng.normal(size=s), jnp.float32) for s in sizes))


def as_machine(dbm):
    return enumerated.from_layers(
        [np.asarray(dbm.W1), np.asarray(dbm.W2)], [np.asarray(x) for x in dbm[2:]]
    )


def split(x):
    return x[..., :4], x[..., 4:7], x[..., 7:]


def test_energy_is_the_enumerated_one():
    dbm, x = random_dbm(), enumerated.states(9)
    np.testing.assert_allclose(
        energy(dbm, *split(x)), enumerated.energy(as_machine(dbm), x), atol=5e-6
    )


def chain_error(dbm, key, n=20_000):
    h1, means = jnp.zeros((n, 3)), []
    step = jax.jit(lambda h1, key: gibbs_step(dbm, h1, key=key))
    for i in range(60):
        v, h1, h2, _ = step(h1, jax.random.fold_in(key, i))
    means = np.concatenate([np.asarray(x).mean(0) for x in (v, h1, h2)])
    return np.abs(
        (means - enumerated.probabilities(as_machine(random_dbm())) @ enumerated.states(9))
        / (0.5 / np.sqrt(n))
    ).max()


def test_sweeps_keep_the_law_and_a_deaf_layer_does_not(key):
    dbm = random_dbm()
    assert chain_error(dbm, key) < 4.5
    assert chain_error(dbm._replace(W2=0 * dbm.W2), key) > 10


def test_mean_field_is_a_fixed_point_and_its_bound_rises(key):
    dbm = random_dbm()
    v = jnp.asarray(enumerated.states(4), jnp.float32)
    values = [np.asarray(elbo(dbm, v, 0.0, steps=steps)[0]) for steps in (1, 2, 4, 8, 50)]
    assert all((b >= a - 1e-5).all() for a, b in itertools.pairwise(values))
    field = mean_field(dbm, v, steps=200)
    assert float(field.residual.max()) < 1e-5
    np.testing.assert_allclose(
        field.q1, jax.nn.sigmoid(v @ dbm.W1 + field.q2 @ dbm.W2.T + dbm.c1), atol=1e-5
    )
    assert float(mean_field(dbm, v, steps=1).residual.max()) > 1e-3


def test_the_bound_is_below_the_exact_likelihood_and_tight_without_coupling():
    v = enumerated.states(4)
    for scale, gap in ((1.0, 1e-4), (2.0, 1e-3)):
        dbm = random_dbm(scale)
        exact = enumerated.log_likelihood(as_machine(dbm), v)
        bound, _ = elbo(dbm, jnp.asarray(v, jnp.float32), enumerated.log_z(as_machine(dbm)))
        assert (np.asarray(bound) <= exact + 1e-5).all() and (exact - np.asarray(bound)).max() > gap
    loose = random_dbm()._replace(W2=jnp.zeros((3, 2)))
    bound, _ = elbo(loose, jnp.asarray(v, jnp.float32), enumerated.log_z(as_machine(loose)))
    np.testing.assert_allclose(bound, enumerated.log_likelihood(as_machine(loose), v), atol=1e-5)


def test_ais_lies_within_its_own_error(key):
    dbm = random_dbm(1.5)
    about = {
        "mean": np.full(4, 0.5),
        "inv_temps": likelihood.schedule(300),
        "chains": 2000,
        "key": key,
    }
    found, truth = ais(dbm, **about), enumerated.log_z(as_machine(dbm))
    assert abs(found.log_z - truth) < 4 * found.se and found.se < 0.05
    deaf = ais(dbm._replace(W2=0 * dbm.W2), **about)
    assert abs(deaf.log_z - truth) > 10 * deaf.se


def joint_samples(dbm, n):
    x = np.repeat(
        enumerated.states(9),
        np.round(n * enumerated.probabilities(as_machine(dbm))).astype(int),
        axis=0,
    )
    return tuple(jnp.asarray(part, jnp.float32) for part in split(x))


def test_gradient_is_the_exact_one_where_the_posterior_factorises(rng):
    dbm = random_dbm()._replace(W2=jnp.zeros((3, 2)))  # then mean field is exact
    data = jnp.asarray(rng.integers(0, 2, (40, 4)), jnp.float32)
    field = mean_field(dbm, data, steps=5)
    found, _ = centred_gradient(
        (data, field.q1, field.q2), joint_samples(dbm, 1_000_000), None, centred=False
    )
    exact = enumerated.log_likelihood_gradient(as_machine(dbm), np.asarray(data))
    np.testing.assert_allclose(found.W1, exact.W[:4, 4:7], atol=1e-4)
    np.testing.assert_allclose(found.W2, exact.W[4:7, 7:], atol=1e-4)
    np.testing.assert_allclose(np.concatenate(found[2:]), exact.b, atol=1e-4)


def test_centring_moves_no_optimum(rng):
    """Where data and model agree both gradients vanish; elsewhere they differ."""
    dbm = random_dbm()
    same = joint_samples(dbm, 100_000)
    means = tuple(jnp.asarray(rng.random(n), jnp.float32) for n in SHAPE)
    for centred in (True, False):
        gradient, _ = centred_gradient(same, same, means, centred=centred)
        assert max(float(jnp.abs(g).max()) for g in gradient) < 1e-4
    data = (jnp.ones((10, 4)), jnp.ones((10, 3)), jnp.ones((10, 2)))
    a, b = (centred_gradient(data, same, means, centred=c)[0] for c in (True, False))
    assert float(jnp.abs(a.W1 - b.W1).max()) > 0.01


@pytest.mark.slow
def test_training_learns_four_patterns(key):
    rng = np.random.default_rng(0)
    start = DBM(
        *(jnp.asarray(0.1 * rng.normal(size=s), jnp.float32) for s in ((6, 5), (5, 4), 6, 5, 4))
    )
    rules = Rules(batch_size=40, lr=0.1)
    done = train_dbm(start, np.tile(PATTERNS, (50, 1)), epochs=600, seed=0, rules=rules)
    before, after = (
        enumerated.log_likelihood(
            enumerated.from_layers(
                [np.asarray(d.W1), np.asarray(d.W2)], [np.asarray(x) for x in d[2:]]
            ),
            PATTERNS,
        ).mean()
        for d in (start, done.model)
    )
    assert after > -np.log(4) - 0.5 > before
    assert done.history["residual"].shape == (600,)


def test_doubled_rbms_make_a_dbm():
    lower, upper = (
        rbm.RBM(np.ones((4, 3)), np.zeros(4), np.ones(3)),
        rbm.RBM(np.ones((3, 2)), np.zeros(3), np.zeros(2)),
    )
    assert from_rbms(lower, upper).c1.tolist() == [0.5] * 3
    with pytest.raises(ValueError, match="3 hidden units, the upper one 4"):
        from_rbms(lower, lower)


def test_bad_input():
    dbm = random_dbm()
    with pytest.raises(ValueError, match="divide the pixels"):
        train_dbm(dbm, np.full((10, 4), 3.0), epochs=1, seed=0, rules=Rules())
    with pytest.raises(ValueError, match=r"must be \(n, 4\)"):
        train_dbm(dbm, np.zeros((10, 5)), epochs=1, seed=0, rules=Rules())
    with pytest.raises(Diverged, match="training of the DBM stopped"):
        rules = Rules(batch_size=5, lr=3e38)
        train_dbm(dbm, np.zeros((10, 4)), epochs=3, seed=0, rules=rules)
