"""The game's known optimum, losses of games side by side, penalties and norms of linear players,
packing, batch normalisation and latents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from genlab.toys import players
from genlab.toys.networks import init_mlp, mlp


def test_optimal_discriminator_reaches_log4_minus_twice_the_jsd():
    """p = N(0,1), q = N(1,1): both sides by quadrature and by samples at the optimal
    logit, log p - log q (Goodfellow et al. 2014, proposition 1)."""
    x = np.linspace(-12, 13, 20_001)
    p, q = norm.pdf(x), norm.pdf(x - 1)
    dx = x[1] - x[0]
    jsd = (np.sum(p * np.log(2 * p / (p + q))) + np.sum(q * np.log(2 * q / (p + q)))) * dx / 2
    rng, n = np.random.default_rng(0), 400_000
    real, fake = rng.standard_normal(n), 1 + rng.standard_normal(n)
    logit = lambda y: jnp.asarray(  # noqa: E731
        norm.logpdf(y) - norm.logpdf(y - 1), jnp.float32
    )
    for loss in (players.minimax, players.non_saturating):
        assert abs(
            float(loss(logit(real), logit(fake))[0]) - (np.log(4) - 2 * jsd)
        ) < 5 * 0.7 / np.sqrt(n)
        # the twin with flipped labels is worse than chance
        assert float(loss(-logit(real), -logit(fake))[0]) > np.log(4)


def test_the_original_generator_loss_saturates_and_the_other_does_not():
    losing = jnp.array([-8.0])  # the discriminator is sure that the point is generated

    def slope_of(loss):
        return abs(float(jax.grad(lambda fake: loss(jnp.zeros(1), fake)[1])(losing)[0]))

    slope = {name: slope_of(loss) for name, loss in players.LOSSES.items()}
    assert slope["minimax"] < 1e-3 < 0.99 < slope["non_saturating"]
    assert min(slope["relativistic"], slope["hinge"]) > 0.99


def linear_discriminator(w):
    """d(x) = w · x/SCALE as a network of the module: no waves, one layer."""
    return jnp.zeros((len(w), 0)), [(jnp.asarray(w, jnp.float32)[:, None], jnp.zeros(1))]


def test_gradient_penalty_of_a_linear_discriminator():
    w = np.array([3.0, -4.0])
    x = np.random.default_rng(0).standard_normal((10, 2)).astype(np.float32)
    assert float(
        players.gradient_penalty(linear_discriminator(w), jnp.asarray(x))
    ) == pytest.approx(25.0, rel=1e-5)


def test_packing_shows_several_points_at_once():
    w = np.array([1.0, 0.0, 0.0, 2.0])
    logits = players.discriminate(
        linear_discriminator(w), jnp.arange(8.0).reshape(4, 2) * players.SCALE, packing=2
    )
    assert logits.shape == (2,) and np.allclose(logits, [0 + 2 * 3, 4 + 2 * 7])


def test_three_ways_to_compute_the_original_loss_agree_and_two_of_them_break():
    real, fake = jnp.array([0.3, 2.0]), jnp.array([-1.0, 0.5])
    bare = players.minimax_bare(real, fake)
    # ε = 1e-8 is below single precision beside these probabilities
    np.testing.assert_allclose(players.minimax_logits(real, fake), bare, rtol=1e-5)
    np.testing.assert_allclose(players.minimax(real, fake), bare, rtol=1e-5)
    lost = jnp.array([30.0])  # sigmoid rounds to 1
    slope = {
        name: float(jax.grad(lambda x, f=players.LOSSES[name]: f(x, x)[1])(lost)[0])
        for name in ("minimax", "minimax_bare", "minimax_logits")
    }
    assert slope["minimax"] == 0.0 and slope["minimax_logits"] == pytest.approx(-1.0)
    assert not np.isfinite(slope["minimax_bare"])


def test_losses_side_by_side_are_the_losses_alone_and_do_not_spoil_each_other():
    names = ("hinge", "minimax_bare")
    far = jnp.array([30.0, -2.0])
    for i, name in enumerate(names):
        alone = players.LOSSES[name](jnp.array([1.0, 2.0]), jnp.array([0.5, -2.0]))
        mixed = players.losses_of(jnp.array(i), names, jnp.array([1.0, 2.0]), jnp.array([0.5, -2]))
        np.testing.assert_allclose(mixed, alone, rtol=1e-6)
    slopes = [
        jax.grad(lambda x, i=i: players.losses_of(jnp.array(i), names, x, x)[1])(far)
        for i in (0, 1)
    ]
    assert np.isfinite(slopes[0]).all() and not np.isfinite(slopes[1]).all()


def test_spectral_norm_is_the_largest_singular_value(key):
    """After 200 steps of power iteration, to single precision; left out where it is off."""
    layers = init_mlp((5, 7, 1), key=key)
    directions = players.start_directions(layers)
    for _ in range(200):
        normed, directions = players.spectral_norm(layers, directions, jnp.array(1.0))
    for (W, b), (W_normed, b_normed) in zip(layers, normed, strict=True):
        largest = np.linalg.svd(W, compute_uv=False)[0]
        np.testing.assert_allclose(W_normed, W / largest, rtol=1e-4, atol=1e-6)
        # the twin: Frobenius norm
        if min(W.shape) > 1:
            assert not np.allclose(W_normed, W / np.linalg.norm(W), rtol=1e-2)
        assert b_normed is b
    off = players.spectral_norm(layers, directions, jnp.array(0.0))[0]
    assert all((W_off == W).all() for (W, _), (W_off, _) in zip(layers, off, strict=True))


def test_batch_norm_makes_columns_standard_where_it_is_on(key):
    h = 3 + 2 * jax.random.normal(key, (50, 4))
    on = np.asarray(players.batch_norm(h, jnp.array(1.0)))
    np.testing.assert_allclose(on.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(on.std(axis=0), 1, rtol=1e-4)
    assert (players.batch_norm(h, jnp.array(0.0)) == h).all()
    layers = init_mlp((4, 6, 2), key=key)
    np.testing.assert_allclose(
        players.layered(layers, h, "relu", jnp.array(0.0)), mlp(layers, h, "relu"), rtol=1e-5
    )
    assert not np.allclose(
        players.layered(layers, h, "relu", jnp.array(1.0)), mlp(layers, h, "relu"), atol=1e-2
    )


def test_latents_hold_one_category_each(key):
    z = np.asarray(players.latents(4_000, 3, 5, 2.0, key=key))
    assert z.shape == (4_000, 8)
    assert set(np.unique(z[:, 3:])) == {0.0, 2.0} and (z[:, 3:].sum(axis=1) == 2.0).all()
    # each category holds a fifth: five standard errors
    assert np.abs((z[:, 3:] > 0).mean(axis=0) - 0.2).max() < 5 * np.sqrt(0.16 / 4_000)
    plain = players.latents(10, 3, 0, 2.0, key=key)
    assert (plain == jax.random.normal(key, (10, 3))).all()
