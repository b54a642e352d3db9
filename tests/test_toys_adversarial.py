"""The game's known optimum, its gradients, the penalties of a linear critic, packing, and what an
update may touch."""

import averages
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from genlab.streams import stream
from genlab.toys import adversarial


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
    for loss in (adversarial.minimax, adversarial.non_saturating):
        assert abs(
            float(loss(logit(real), logit(fake))[0]) - (np.log(4) - 2 * jsd)
        ) < 5 * 0.7 / np.sqrt(n)
        # the twin with flipped labels is worse than chance
        assert float(loss(-logit(real), -logit(fake))[0]) > np.log(4)


def test_the_original_generator_loss_saturates_and_the_other_does_not():
    losing = jnp.array([-8.0])  # the discriminator is sure that the point is generated

    def slope_of(loss):
        return abs(float(jax.grad(lambda fake: loss(jnp.zeros(1), fake)[1])(losing)[0]))

    slope = {name: slope_of(loss) for name, loss in adversarial.LOSSES.items()}
    assert slope["minimax"] < 1e-3 < 0.99 < slope["non_saturating"]
    assert slope["relativistic"] > 0.99


def linear_discriminator(w):
    """d(x) = w · x/SCALE as a network of the module: no waves, one layer."""
    return jnp.zeros((len(w), 0)), [(jnp.asarray(w, jnp.float32)[:, None], jnp.zeros(1))]


def test_gradient_penalty_of_a_linear_discriminator():
    w = np.array([3.0, -4.0])
    x = np.random.default_rng(0).standard_normal((10, 2)).astype(np.float32)
    assert float(
        adversarial.gradient_penalty(linear_discriminator(w), jnp.asarray(x))
    ) == pytest.approx(25.0, rel=1e-5)


def test_packing_shows_several_points_at_once():
    w = np.array([1.0, 0.0, 0.0, 2.0])
    logits = adversarial.discriminate(
        linear_discriminator(w), jnp.arange(8.0).reshape(4, 2) * adversarial.SCALE, packing=2
    )
    assert logits.shape == (2,) and np.allclose(logits, [0 + 2 * 3, 4 + 2 * 7])


def players(key):
    from genlab.toys.networks import init_fourier_mlp, init_mlp

    g = init_mlp((3, 16, 2), key=key)
    return g, init_fourier_mlp((2, 16, 1), 4, bandwidth=1.0, key=jax.random.fold_in(key, 1))


def test_the_generator_learns_through_the_discriminator_and_detached_logits_teach_nothing(key):
    g, d = players(key)
    z, real = jax.random.normal(key, (32, 3)), jax.random.normal(key, (32, 2))
    grads = jax.grad(adversarial.generator_objective)(g, d, z, real, loss="relativistic", packing=1)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(grads)) > 1e-4

    def detached(g):
        logits = jax.lax.stop_gradient(adversarial.discriminate(d, adversarial.generate(g, z)))
        return adversarial.relativistic(adversarial.discriminate(d, real), logits)[1]

    assert all(float(jnp.abs(leaf).max()) == 0 for leaf in jax.tree.leaves(jax.grad(detached)(g)))


def test_waves_are_fixed(key):
    _, d = players(key)
    x = jax.random.normal(key, (32, 2))
    grads = jax.grad(
        lambda d: adversarial.discriminator_objective(
            d, x, -x, loss="minimax", penalty=1.0, packing=1
        )[0]
    )(d)
    assert float(jnp.abs(grads[0]).max()) == 0 < float(jnp.abs(grads[1][0][0]).max())


@pytest.mark.slow
def test_a_short_training_moves_towards_the_data():
    rng = np.random.default_rng(0)
    data = (rng.standard_normal((1, 5_000, 2)) * 0.5 + np.array([3.0, 0.0])).astype(np.float32)
    rules = adversarial.Rules(hidden=(32, 32), batch_size=128, lr=2e-3, ema_decay=0.9)
    one = adversarial.train_gan(data, data[:, :500], rules=rules, steps=300, seed=0, chunks=5)
    x = adversarial.sample_gan(one.model.generator, n=500, seed=0)
    assert np.linalg.norm(x[0].mean(axis=0) - [3.0, 0.0]) < 1.0  # it starts three units away
    assert one.history["snapshot"].shape == (5, 1, adversarial.SNAPSHOT_POINTS, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"loss": "hinge"}, "loss='hinge' must be one of"), ({"packing": 3}, "packing=3 must divide")],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        adversarial.Rules(hidden=(4,), **options).check()


@pytest.mark.slow
def test_the_average_of_the_weights_comes_out_and_held_out_points_only_judge():
    data = np.random.default_rng(0).normal(size=(1, 64, 2)).astype(np.float32)

    def train(held_out, decay):
        rules = adversarial.Rules(
            hidden=(4,), batch_size=32, lr=1e-2, ema_decay=decay, decay_lr=False
        )
        return adversarial.train_gan(data, held_out, rules=rules, steps=1, seed=0)

    model = averages.check_training(
        train, lambda model: model.model.generator, ("discriminator_loss", "validation_loss"), data
    )
    z = jax.random.normal(
        jax.random.fold_in(jax.random.key(stream(0, "init")), 1), (adversarial.SNAPSHOT_POINTS, 8)
    )
    # and what is shown on the way is the average, too
    shown = jax.vmap(adversarial.generate, in_axes=(0, None))(model.model.generator, z)
    np.testing.assert_allclose(model.history["snapshot"][-1], shown, atol=1e-5)
