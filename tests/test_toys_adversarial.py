"""What the players' gradients reach, what an update may touch, and games side by side."""

from dataclasses import replace

import averages
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.streams import stream
from genlab.toys import adversarial
from genlab.toys.networks import init_fourier_mlp, init_mlp
from genlab.toys.players import discriminate, generate, relativistic

ARM = adversarial.Arm(jnp.zeros((), int), None, None, None)
HOW = {"losses": ("relativistic",), "packing": 1}


def players(key):
    g = init_mlp((3, 16, 2), key=key)
    return g, init_fourier_mlp((2, 16, 1), 4, bandwidth=1.0, key=jax.random.fold_in(key, 1))


def test_the_generator_learns_through_the_discriminator_and_detached_logits_teach_nothing(key):
    g, d = players(key)
    z, real = jax.random.normal(key, (32, 3)), jax.random.normal(key, (32, 2))
    grads = jax.grad(adversarial.generator_objective)(g, d, z, real, ARM, **HOW)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(grads)) > 1e-4

    def detached(g):
        logits = jax.lax.stop_gradient(discriminate(d, generate(g, z)))
        return relativistic(discriminate(d, real), logits)[1]

    assert all(float(jnp.abs(leaf).max()) == 0 for leaf in jax.tree.leaves(jax.grad(detached)(g)))


def test_waves_are_fixed(key):
    _, d = players(key)
    x = jax.random.normal(key, (32, 2))
    arm = ARM._replace(penalty=jnp.ones(2))
    grads = jax.grad(
        lambda d: adversarial.discriminator_objective(d, x, -x, [], arm, done=0.0, **HOW)[0]
    )(d)
    assert float(jnp.abs(grads[0]).max()) == 0 < float(jnp.abs(grads[1][0][0]).max())


@pytest.mark.slow
def test_a_short_training_moves_towards_the_data():
    rng = np.random.default_rng(0)
    data = (rng.standard_normal((1, 5_000, 2)) * 0.5 + np.array([3.0, 0.0])).astype(np.float32)
    rules = adversarial.Rules(hidden=(32, 32), batch_size=128, lr=2e-3, ema_decay=0.9)
    one = adversarial.train_gan(data, data[:, :500], rules=rules, steps=300, seed=0, chunks=5)
    x = adversarial.sample_gan(one.model, rules=rules, n=500, seed=0)
    assert np.linalg.norm(x[0].mean(axis=0) - [3.0, 0.0]) < 1.0  # it starts three units away
    assert one.history["snapshot"].shape == (5, 1, adversarial.SNAPSHOT_POINTS, 2)


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
    shown = jax.vmap(generate, in_axes=(0, None))(model.model.generator, z)
    np.testing.assert_allclose(model.history["snapshot"][-1], shown, atol=1e-5)


DATA = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
PLAIN = adversarial.Rules(hidden=(4,), batch_size=32, penalty=0.0, latent=2, n_waves=2)


def play(rules, steps=3):
    """A short training of one game by each of the rules, all on the same points."""
    data = np.stack([DATA] * len(rules))
    return adversarial.train_gan(data, data[:, :32], rules=rules, steps=steps, seed=0)


@pytest.mark.slow
def test_a_game_side_by_side_with_others_is_the_game_alone():
    """Equal keys, so that the first game of a program is the game alone: single precision."""
    penalised = replace(PLAIN, penalty=0.5, final_penalty=0.1)
    normed = replace(PLAIN, loss="hinge", spectral_norm=True)
    losses = {}
    for one, other in ((penalised, normed), (normed, penalised)):
        alone, among = (
            play(rules).history["discriminator_loss"][:, 0] for rules in ([one, one], [one, other])
        )
        np.testing.assert_allclose(among, alone, rtol=1e-4, atol=1e-5)
        losses[one] = alone
    assert not np.allclose(*losses.values(), rtol=1e-4, atol=1e-5)  # the twin: another arm


def test_gradients_that_are_not_finite_are_counted_and_left_out():
    none = adversarial.Seen(jnp.zeros(()), jnp.zeros((), int))
    seen, kept = adversarial.look(none, [jnp.array([3.0, 4.0])], True)
    seen, dropped = adversarial.look(seen, [jnp.array([jnp.inf, 4.0])], True)
    assert (float(seen.largest), int(seen.not_finite)) == (5.0, 1)
    assert kept[0].tolist() == [3.0, 4.0] and dropped[0].tolist() == [0.0, 0.0]
    same, passed = adversarial.look(none, [jnp.array([jnp.inf])], False)  # the twin: not asked for
    assert same is none and not np.isfinite(passed[0]).all()


@pytest.mark.slow
def test_samples_have_the_noise_and_the_normalisation_of_the_rules():
    rules = replace(PLAIN, categories=3, batch_norm=(True, False), ema_decay=0.0)
    trained = play([rules])
    x = adversarial.sample_gan(trained.model, rules=rules, n=200, seed=0)
    assert x.shape == (1, 200, 2) and trained.model.generator[0][0].shape[1] == 5
    plain = adversarial.sample_gan(trained.model._replace(normed=None), rules=rules, n=200, seed=0)
    assert not np.allclose(x, plain, atol=1e-3)
