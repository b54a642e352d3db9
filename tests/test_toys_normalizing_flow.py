"""A spline flow: a bijection whose density integrates to one."""

import averages
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from genlab.data.toy import grid
from genlab.toys import normalizing_flow

RULES = normalizing_flow.Rules(hidden=(8,), layers=3, bins=5, n_waves=2)


def bent(key, scale: float = 1.0):
    """A flow whose last layers are large enough to bend."""
    B, layers = normalizing_flow.init(RULES, key=key)
    W, b = layers[-1]
    key_w, key_b = jax.random.split(key)
    last = scale * jax.random.normal(key_w, W.shape), scale * jax.random.normal(key_b, b.shape)
    return B, [*layers[:-1], last]


def test_the_spline_is_the_one_of_the_paper_and_its_slope_its_derivative(key):
    """Between knots a quotient of two quadratics; the slope is that of finite differences, and the
    twin, the log-slope with the sign of the way back, is not."""
    raw = jnp.broadcast_to(jax.random.normal(key, (3 * 5 - 1,)), (999, 14))
    x = jnp.linspace(-5.0, 5.0, 999)
    y, log_slope = normalizing_flow.spline(x, raw)
    assert (jnp.diff(y) > 0).all()
    outside = jnp.abs(x) > normalizing_flow.BOX
    assert np.allclose(y[outside], x[outside]) and np.allclose(log_slope[outside], 0)
    at, to, slope = normalizing_flow.knots(raw[:1])
    ends, slopes = normalizing_flow.spline(at[0, 1:-1], raw[: at.shape[1] - 2])
    assert np.allclose(ends, to[0, 1:-1], atol=1e-4)
    assert np.allclose(jnp.exp(slopes), slope[0, 1:-1], rtol=1e-3)
    exact = jax.vmap(jax.grad(lambda v, r: normalizing_flow.spline(v[None], r[None])[0][0]))(x, raw)
    assert np.allclose(log_slope, jnp.log(exact), atol=2e-4)
    assert not np.allclose(log_slope, -jnp.log(exact), atol=0.1)


def test_numbers_of_zero_make_the_identity():
    x = jnp.linspace(-5.0, 5.0, 101)
    y, log_slope = normalizing_flow.spline(x, jnp.zeros((101, 14)))
    assert np.allclose(y, x, atol=1e-5) and np.allclose(log_slope, 0, atol=1e-5)


def test_the_way_back_undoes_the_way_there(key):
    raw = jax.random.normal(key, (500, 14))
    x = jnp.linspace(-4.5, 4.5, 500)
    y, there = normalizing_flow.spline(x, raw)
    again, back = normalizing_flow.spline(y, raw, inverse=True)
    # Single precision, times the steepest slope of these splines.
    assert np.allclose(again, x, atol=2e-3) and np.allclose(back, -there, atol=2e-2)
    params = bent(key)
    points = 2.0 * jax.random.normal(key, (500, 2))
    z, _ = normalizing_flow.forward(params, points, data_sd=2.0)
    assert np.allclose(normalizing_flow.backward(params, z, data_sd=2.0), points, atol=5e-3)
    # the twin: the layers undone in the order in which they were done
    turned = jax.tree.map(lambda p: p[::-1], params)
    assert not np.allclose(normalizing_flow.backward(turned, z, data_sd=2.0), points, atol=0.1)


def test_the_density_integrates_to_one(key):
    """A midpoint rule over ± 8 units, in which all but 1e-4 of the mass lies; without the scale of
    the data, the twin, it is four times as much."""
    params = bent(key, 0.5)
    x, cell = grid(8.0, 600)
    log_q = normalizing_flow.log_prob(params, jnp.asarray(x, jnp.float32), data_sd=2.0)
    mass = float(jnp.exp(log_q).sum() * cell)
    assert abs(mass - 1) < 5e-3
    assert abs(4 * mass - 1) > 1


def test_samples_have_the_density_that_is_said(key):
    """The mean of log q over its own samples is minus its entropy by the grid; shares of the four
    quadrants are those of the density."""
    params = bent(key, 0.5)
    stack = jax.tree.map(lambda p: p[None], params)
    x = normalizing_flow.sample_stack(stack, key, n=20_000, data_sd=2.0)
    assert x.shape == (1, 20_000, 2)
    log_q = normalizing_flow.log_prob_stack(stack, x, data_sd=2.0)[0]
    at, cell = grid(8.0, 600)
    p = np.exp(normalizing_flow.log_prob(params, jnp.asarray(at, jnp.float32), data_sd=2.0)) * cell
    entropy = -np.sum(p * np.log(p / cell))
    assert abs(float(log_q.mean()) + entropy) < 5 * float(log_q.std()) / 20_000**0.5 + 5e-3
    quadrant = lambda v: 2 * (v[:, 0] > 0) + (v[:, 1] > 0)  # noqa: E731
    expected = np.bincount(quadrant(at), p, minlength=4)
    found = np.bincount(quadrant(np.asarray(x[0])), minlength=4)
    assert stats.chisquare(found, 20_000 * expected / expected.sum()).pvalue > 1e-4
    # the twin: the same points turned by a quarter
    twin = np.bincount(quadrant(np.asarray(x[0])[:, ::-1] * [1, -1]), minlength=4)
    assert stats.chisquare(twin, 20_000 * expected / expected.sum()).pvalue < 1e-4


def test_rules_that_cannot_be_followed():
    with pytest.raises(ValueError, match="layers=1"):
        normalizing_flow.Rules(hidden=(4,), layers=1).check()


@pytest.mark.slow
def test_the_average_of_the_weights_comes_out_and_held_out_points_only_judge():
    data = np.random.default_rng(0).normal(size=(1, 64, 2)).astype(np.float32)

    def train(held_out, decay):
        rules = normalizing_flow.Rules(
            hidden=(4,), layers=2, bins=4, batch_size=32, lr=1e-2, ema_decay=decay, decay_lr=False
        )
        return normalizing_flow.train_flow(data, held_out, rules=rules, steps=1, seed=0)

    averages.check_training(
        train, lambda model: model.model, ("train_loss", "validation_loss"), data
    )


@pytest.mark.slow
def test_a_small_training_nears_the_entropy_of_a_correlated_gaussian():
    rng = np.random.default_rng(0)
    chol = np.array([[1.0, 0.0], [1.2, 0.5]])
    data = (rng.standard_normal((1, 20_000, 2)) @ chol.T).astype(np.float32)
    rules = normalizing_flow.Rules(
        hidden=(16,), layers=2, bins=8, batch_size=256, n_waves=4, ema_decay=0.98
    )
    model = normalizing_flow.train_flow(data, data[:, :500], rules=rules, steps=400, seed=0).model
    x = rng.standard_normal((1, 4000, 2)) @ chol.T
    exact = stats.multivariate_normal(cov=chol @ chol.T).logpdf(x[0])
    twin = stats.norm.logpdf(x[0], scale=x[0].std(axis=0)).sum(axis=1)  # independent coordinates
    found = np.asarray(normalizing_flow.log_prob_stack(model, x.astype(np.float32), data_sd=2.0))[0]
    excess, worse = (exact - found).mean(), (exact - twin).mean()
    assert -5 * (exact - found).std() / 4000**0.5 < excess < 0.15 * worse
