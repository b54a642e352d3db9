"""The shape Boltzmann machine against a 4 × 4 machine written down state by state."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import squares

from genlab.boltzmann import dbm, shape
from genlab.boltzmann.exact import states
from genlab.training import Diverged

SHARED = shape.layout(4, 2)
LAYOUTS = {
    "shared": SHARED,
    "own": shape.layout(4, 2, shared=False),
    "apart": shape.layout(4, 0),
    "whole": shape.layout(4, 4, shared=False),
    "rbm": shape.layout(4, 4, shared=False, deep=False),
}
RULES = dbm.Rules(batch_size=20, field_steps=5)


def data_of(rng, n=40):
    return rng.integers(0, 2, (n, 16)).astype(np.float32)


def test_patches_cover_the_picture_and_overlap_in_the_middle():
    assert SHARED.pixels.shape == (4, 9) and LAYOUTS["apart"].pixels.shape == (4, 4)
    seen = np.bincount(SHARED.pixels.ravel(), minlength=16).reshape(4, 4)
    assert seen.tolist() == [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]
    assert np.bincount(LAYOUTS["apart"].pixels.ravel()).tolist() == [1] * 16
    for where in LAYOUTS.values():
        for patch in range(4):
            inside = where.places[where.pixels[patch], patch]
            assert inside.tolist() == list(range(where.pixels.shape[1]))


def test_shared_weights_look_alike_from_every_patch_and_nowhere_else():
    W1 = squares.machine(SHARED).W1
    weights = np.asarray(shape.by_patch(W1, SHARED))
    assert (weights == weights[:1]).all() and np.abs(weights).min() > 0
    outside = np.asarray(W1).reshape(16, 4, 1)[SHARED.places == 9]
    assert len(outside) == 4 * 7 and (outside == 0).all()
    np.testing.assert_array_equal(shape.spread(jnp.asarray(weights), SHARED), W1)
    own = np.asarray(shape.by_patch(squares.machine(LAYOUTS["own"]).W1, LAYOUTS["own"]))
    assert (own != own[:1]).any()


def test_a_stack_of_layouts_acts_as_each_alone(rng):
    every = shape.stack(list(LAYOUTS.values()))
    step = dbm.DBM(
        *(jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((16, 8), (8, 3), 16, 8, 3))
    )
    together = jax.vmap(shape.tied, (None, 0))(step, every)
    for i, where in enumerate(LAYOUTS.values()):
        for a, b in zip(together, shape.tied(step, where), strict=True):
            np.testing.assert_allclose(a[i], b, atol=1e-5)


def shared_gradient(data, h=1e-3):
    """Derivative of the exact mean log p(v) in every shared weight, by differences; (9,)."""
    m, found = squares.machine(SHARED), []
    W1 = np.asarray(m.W1, np.float64)
    for i in range(9):
        nudge = np.asarray(shape.spread(jnp.zeros((4, 9, 1)).at[:, i].set(1.0), SHARED), float)
        up, down = (squares.table(m._replace(W1=W1 + sign * h * nudge)).log_v for sign in (1, -1))
        found.append((up - down)[squares.index(data)].mean() / (2 * h))
    return np.array(found)


def test_the_gradient_of_a_shared_weight_is_the_sum_over_patches(rng):
    data = data_of(rng)
    dense = dbm.DBM(
        *(jnp.asarray(g, jnp.float32) for g in squares.gradient(squares.machine(SHARED), data))
    )
    found = np.asarray(shape.by_patch(shape.tied(dense, SHARED).W1, SHARED))[:, :, 0]
    exact = shared_gradient(data)
    np.testing.assert_allclose(found, np.tile(exact, (4, 1)), atol=2e-5)
    # the chain rule, by JAX
    _, back = jax.vjp(
        lambda w: shape.spread(jnp.broadcast_to(w, (4, 9, 1)), SHARED), jnp.zeros((9, 1))
    )
    np.testing.assert_allclose(back(dense.W1)[0][:, 0], exact, atol=2e-5)
    # the wrong twins: each patch for itself, or the mean
    wrong = np.asarray(shape.by_patch(shape.tied(dense, LAYOUTS["own"]).W1, SHARED))[:, :, 0]
    assert np.abs(wrong - exact).max() > 0.01 and np.abs(found.mean(0) / 4 - exact).max() > 0.01


def test_biases_of_a_centred_step_make_up_for_the_tied_weights(rng):
    layers = lambda n: tuple(jnp.asarray(rng.random((n, d)), jnp.float32) for d in (16, 8, 3))  # noqa: E731
    data, model, means = layers(10), layers(12), tuple(x[0] for x in layers(1))
    plain, _ = dbm.centred_gradient(data, model, means, centred=False)
    centred, offsets = dbm.centred_gradient(data, model, means, centred=True)
    mu, l1, l2 = offsets
    for where in (SHARED, LAYOUTS["rbm"]):
        found = shape.tied(centred, where, offsets)
        np.testing.assert_allclose(found.b, plain.b - found.W1 @ l1, atol=1e-5)
        np.testing.assert_allclose(found.c1, plain.c1 - mu @ found.W1 - found.W2 @ l2, atol=1e-5)
        np.testing.assert_allclose(found.c2, where.deep * (plain.c2 - l1 @ found.W2), atol=1e-5)
        wrong = shape.tied(centred, where)  # as if the weights had moved freely
        assert np.abs(wrong.b - found.b).max() > 0.01 or where is not SHARED


def step_of(m, layout, data, key):
    """The mean step, over many chains at equilibrium, of one update from the machine."""
    n = 200_000
    p = squares.first_layer(m)
    h1 = states(4)[np.random.default_rng(0).choice(16, n, p=p)].astype(np.float32)
    start = dbm.State(
        m,
        jax.tree.map(jnp.zeros_like, m),
        jnp.asarray(h1),
        (jnp.zeros(16), jnp.zeros(4), jnp.zeros(2)),
    )
    rules = replace(RULES, lr=1.0, lr_last=1.0, momentum=0.0, centred=False)
    after, _ = jax.jit(lambda s: shape.update(s, data, 0.0, rules, layout, key=key))(start)
    return jax.tree.map(jnp.subtract, after.dbm, m)


def test_an_update_follows_the_exact_gradient(rng, key):
    """Where the second layer is unconnected mean field is exact, so that only chance is left."""
    data = data_of(rng)
    for name in ("rbm", "shared"):
        layout = LAYOUTS[name]._replace(deep=np.float32(0))
        flat = lambda d: np.concatenate([np.ravel(x) for x in (d.W1, d.b, d.c1)])  # noqa: E731
        m = squares.machine(layout)
        m = m._replace(W2=0 * m.W2)
        exact = dbm.DBM(*(jnp.asarray(g, jnp.float32) for g in squares.gradient(m, data)))
        found = flat(step_of(m, layout, data, key))
        error = 4 * 0.5 / np.sqrt(200_000)  # of a sum over four patches
        assert np.abs(found - flat(shape.tied(exact, layout))).max() < 4.5 * error
        assert np.abs(found + flat(shape.tied(exact, layout))).max() > 20 * error


@pytest.mark.slow
def test_the_sweep_is_the_kernel_that_keeps_the_law(key):
    m, n = squares.machine(SHARED), 40_000
    kernel, law = squares.kernel(m), squares.first_layer(m)
    np.testing.assert_allclose(law @ kernel, law, atol=1e-12)
    assert np.abs(law @ squares.kernel(m._replace(W2=0 * m.W2)) - law).max() > 1e-3
    h1 = jnp.asarray(np.repeat(states(4), n, 0), jnp.float32)
    after = np.asarray(jax.jit(lambda h: dbm.gibbs_step(m, h, key=key)[1])(h1))
    where = (after @ (1 << np.arange(3, -1, -1))).astype(int).reshape(16, n)
    counts = np.stack([np.bincount(row, minlength=16) for row in where]) / n
    error = np.sqrt(kernel * (1 - kernel) / n) + 1 / n
    assert (np.abs(counts - kernel) / error).max() < 4.8
    deaf = squares.kernel(m._replace(W2=0 * m.W2))
    assert (np.abs(counts - deaf) / error).max() > 10


def trained(names, data, seeds, steps=60, lr=0.05):
    n = np.arange(len(data))
    recipes = [
        shape.Recipe(LAYOUTS[name], n[: 40 - 10 * i], lr, 0.0, seed)
        for i, (name, seed) in enumerate(zip(names, seeds, strict=True))
    ]
    about = {"n_1": 8, "n_2": 3, "greedy_steps": steps // 3, "steps": steps, "rules": RULES}
    return recipes, shape.train_shapes(recipes, data, **about)


@pytest.mark.slow
def test_training_keeps_what_is_tied_and_each_machine_is_the_one_trained_alone(rng):
    data = data_of(rng)
    names = ["shared", "own", "rbm"]
    recipes, together = trained(names, data, [0, 1, 0])
    for i, name in enumerate(names):
        where, W1 = LAYOUTS[name], jnp.asarray(together.model.W1[i])
        np.testing.assert_allclose(shape.alike(W1, where), W1, atol=1e-6)
        alone = shape.train_shapes(
            [recipes[i]], data, n_1=8, n_2=3, greedy_steps=20, steps=60, rules=RULES
        ).model
        for a, b in zip(together.model, alone, strict=True):
            np.testing.assert_allclose(a[i], b[0], rtol=1e-4, atol=1e-5)
    assert (together.model.W2[2] == 0).all() and (together.model.W2[0] != 0).all()
    assert together.chains.shape == (3, 20, 8)


@pytest.mark.slow
def test_training_learns_patterns():
    patterns = np.zeros((4, 4, 4), np.float32)
    patterns[0, :, 1], patterns[1, 2, :], patterns[2, :2, :2], patterns[3] = 1, 1, 1, 1
    data = np.tile(patterns.reshape(4, 16), (20, 1))
    recipe = shape.Recipe(SHARED, np.arange(80), 0.05, 0.0, 0)
    done = shape.train_shapes(
        [recipe], data, n_1=16, n_2=4, greedy_steps=400, steps=2000, rules=RULES
    )
    one = jax.tree.map(lambda x: jnp.asarray(x[0]), done.model)
    bound, _ = dbm.elbo(one, data[:4], 0.0)
    flat = np.asarray(dbm.elbo(one, squares.V[:: 4096 + 1], 0.0)[0])
    assert float(bound.mean()) > flat.mean() + 3 * np.log(2)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"n_1": 6}, "multiple of 4"),
        ({"rows": np.arange(50)}, "one of the 40 rows of data"),
        ({"lr": -1.0}, "lr=-1.0"),
        ({"data": np.full((40, 16), 2.0)}, "divide the pixels"),
        ({"steps": 0}, "steps=0"),
    ],
)
def test_what_makes_no_sense_is_refused(rng, about, message):
    recipe = {"where": SHARED, "rows": np.arange(40), "lr": 0.1, "weight_decay": 0.0, "seed": 0}
    usual = {"data": data_of(rng), "n_1": 8, "n_2": 3, "greedy_steps": 1, "steps": 1}
    recipe |= {k: v for k, v in about.items() if k in recipe}
    usual |= {k: v for k, v in about.items() if k in usual}
    with pytest.raises(ValueError, match=message):
        shape.train_shapes([shape.Recipe(**recipe)], **usual, rules=RULES)


def test_bad_layouts_and_divergence(rng):
    with pytest.raises(ValueError, match="overlap=1 of side=4: their sum must be even"):
        shape.layout(4, 1)
    with pytest.raises(ValueError, match="overlap=5"):
        shape.layout(4, 5)
    with pytest.raises(Diverged, match="no longer finite"):
        trained(["shared"], data_of(rng), [0], steps=6, lr=3e38)
