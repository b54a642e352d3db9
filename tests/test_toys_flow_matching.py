"""Flow matching: on Gaussian data the velocity is known, and so is the density it carries."""

from functools import partial

import averages
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.toys import flow_matching
from genlab.toys.networks import init_mlp

NETWORK = {"data_sd": 2.0, "features": 4}


def silent(key, n_waves: int = 3):
    """A network that says nothing: its last layer is zero."""
    layers = init_mlp((3 + 2 * n_waves + NETWORK["features"], 8, 2), key=key)
    return jnp.ones((2, n_waves)), [*layers[:-1], jax.tree.map(jnp.zeros_like, layers[-1])]


def test_a_silent_network_has_the_velocity_of_gaussian_data(key):
    """For data N(0, s² I) the mean of x₁ - x₀ given x_t is (2t - 1) x_t/r²: a regression on many
    pairs finds that slope and leaves a residual of sd s/r, and no other."""
    x, noise = jax.random.normal(key, (2, 200_000))
    s = NETWORK["data_sd"]
    for t in (0.0, 0.3, 0.9):
        at, change = s * ((1 - t) * noise + t * x), s * (x - noise)
        r = np.hypot(1 - t, t)
        slope = float(jnp.sum(at * change) / jnp.sum(at**2))
        v = flow_matching.velocity(silent(key), jnp.array([[1.0, -2.0]]), t, **NETWORK)
        error = 5 / (r**2 * np.sqrt(len(x)))  # five standard errors of the regression
        assert np.allclose(v, [[slope, -2 * slope]], atol=2 * error)
        rest = float(jnp.std(change - slope * at))
        assert abs(rest - s / r) < 5 * s / r / np.sqrt(2 * len(x))
        # the twin: noise of sd 1 against data of sd 2 has another slope, but at the start
        assert t == 0 or abs((4 * t - (1 - t)) / ((1 - t) ** 2 + 4 * t**2) - slope) > error


def test_the_flow_of_gaussian_data_of_another_width_is_exact():
    """v = (t q² - (1 - t) s²) x/((1 - t)² s² + t² q²) carries N(0, s²) to N(0, q²): a point x₀ to
    q x₀/s, whose log-density falls by 2 log(q/s); an error of order two."""
    s, q = 2.0, 0.5

    def field(x, t):
        return (t * q**2 - (1 - t) * s**2) * x / ((1 - t) ** 2 * s**2 + t**2 * q**2)

    x = jnp.array([[1.0, -3.0], [0.5, 0.25]])
    errors = []
    for steps in (20, 40):
        end, change = flow_matching.flow(field, x, flow_matching.times(steps))
        errors.append([float(jnp.abs(end - q / s * x).max()),
                       float(jnp.abs(change + 2 * np.log(q / s)).max())])  # fmt: skip
    assert (np.array(errors[1]) < np.array(errors[0]) / 3).all() and max(errors[1]) < 0.01
    back, change = flow_matching.flow(field, end, flow_matching.times(40)[::-1])
    assert np.allclose(back, x, atol=0.02) and np.allclose(change, 2 * np.log(q / s), atol=0.01)


def test_the_model_of_a_silent_network_is_its_gaussian(key):
    params = jax.tree.map(lambda leaf: leaf[None], silent(key))
    x = jax.random.normal(key, (1, 50, 2))
    found = flow_matching.log_prob_stack(params, x, steps=64, **NETWORK)
    exact = -jnp.sum(x**2, axis=-1) / (2 * 4.0) - jnp.log(2 * jnp.pi * 4.0)
    assert np.allclose(found, exact, atol=2e-3)
    assert not np.allclose(found, exact + jnp.log(4.0), atol=0.1)  # the twin without its scale
    drawn = flow_matching.sample_stack(params, key, n=4000, steps=16, **NETWORK)
    assert drawn.shape == (1, 4000, 2)
    assert abs(float(drawn.std()) / 2 - 1) < 5 / np.sqrt(2 * 8000)


def test_times_end_where_they_must():
    at = flow_matching.times(8)
    assert at.shape == (9,) and at[0] == 0 and at[-1] == 1 and (jnp.diff(at) > 0).all()
    with pytest.raises(ValueError, match="steps=0"):
        flow_matching.times(0)


@pytest.mark.slow
def test_the_average_of_the_weights_comes_out_and_held_out_points_only_judge():
    data = np.random.default_rng(0).normal(size=(1, 64, 2)).astype(np.float32)

    def train(held_out, decay):
        rules = flow_matching.Rules(
            hidden=(4,), batch_size=32, lr=1e-2, ema_decay=decay, decay_lr=False
        )
        return flow_matching.train_flow_matching(data, held_out, rules=rules, steps=1, seed=0)

    averages.check_training(
        train, lambda model: model.model, ("train_loss", "validation_loss"), data
    )


@pytest.mark.slow
def test_a_small_training_moves_towards_the_velocity_of_its_data():
    """Data N(m, ½² I): the trained field must beat the silent network, and not the exact mean."""
    rng = np.random.default_rng(0)
    data = (1.5 + 0.5 * rng.standard_normal((1, 4000, 2))).astype(np.float32)
    rules = flow_matching.Rules(
        hidden=(32, 32), batch_size=128, n_waves=4, features=4, ema_decay=0.98
    )
    model = flow_matching.train_flow_matching(
        data, data[:, :500], rules=rules, steps=600, seed=0
    ).model
    one = jax.tree.map(lambda p: p[0], model)
    noise = jnp.asarray(rng.standard_normal((4000, 2)), jnp.float32)
    t = jnp.asarray(rng.uniform(size=4000), jnp.float32)
    loss = partial(flow_matching.matching_loss, **NETWORK)
    s, q, x = 2.0, 0.5, jnp.asarray(data[0])
    t_ = t[:, None]
    at = (1 - t_) * s * noise + t_ * x
    gain = (t_ * q**2 - (1 - t_) * s**2) / ((1 - t_) ** 2 * s**2 + t_**2 * q**2)
    exact = jnp.sum((x - s * noise - 1.5 - gain * (at - 1.5 * t_)) ** 2, axis=-1)
    silent_ = (one[0], [*one[1][:-1], jax.tree.map(jnp.zeros_like, one[1][-1])])
    found, twin = loss(one, x, noise, t), loss(silent_, x, noise, t)
    excess, worse = (found - exact).mean(), (twin - exact).mean()
    assert excess > -5 * float((found - exact).std()) / 4000**0.5
    assert excess < 0.1 * worse
