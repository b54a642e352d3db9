"""Chains against closed forms: stationary variances, invariance, and twins with a planted fault
that must fail the same check."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.toys import langevin

N = 20_000


def gaussian(x):
    return -jnp.sum(x**2, axis=-1) / 2


def variance_error(kernel, expected, key, steps=60):
    """(sample variance - expected) in standard errors, after `steps` from the
    expected law itself."""
    start = np.sqrt(expected) * jax.random.normal(key, (N, 1))
    x, _, _ = langevin.run_chain(kernel, start, steps=steps, key=jax.random.fold_in(key, 1))
    return float((jnp.var(x) - expected) / (expected * np.sqrt(2 / N)))


def too_little_noise(score, h):
    return lambda key, x: (x + h * score(x) + jnp.sqrt(h) * jax.random.normal(key, x.shape), {})


def test_unadjusted_langevin_has_its_known_bias(key):
    h = 0.4  # the stationary variance of x + h(-x) + sqrt(2h) ξ is 2h/(1 - (1-h)²) = 1/(1 - h/2)
    score = langevin.score_of(gaussian)
    assert abs(variance_error(langevin.unadjusted_langevin(score, h), 1 / (1 - h / 2), key)) < 4
    assert abs(variance_error(too_little_noise(score, h), 1 / (1 - h / 2), key)) > 20


def test_mala_has_no_bias_where_the_unadjusted_chain_has(key):
    h = 0.4
    assert abs(variance_error(langevin.mala(gaussian, h), 1.0, key)) < 4
    assert (
        abs(variance_error(langevin.unadjusted_langevin(langevin.score_of(gaussian), h), 1.0, key))
        > 10
    )


def test_mala_reports_acceptance(key):
    x = jax.random.normal(key, (2_000, 2))
    _, _, small = langevin.run_chain(langevin.mala(gaussian, 1e-3), x, steps=5, key=key)
    _, _, large = langevin.run_chain(langevin.mala(gaussian, 3.0), x, steps=5, key=key)
    assert float(small["accepted"].mean()) > 0.99 > 0.5 > float(large["accepted"].mean())


def two_modes(x):
    """Modes at ±3 with weights 0.8 and 0.2, sd 0.3: no local step crosses between them."""
    log_weights = jnp.log(jnp.array([0.8, 0.2]))
    squared = jnp.sum((x[:, None, :] - jnp.array([[3.0, 0.0], [-3.0, 0.0]])) ** 2, axis=-1)
    return jax.nn.logsumexp(log_weights - squared / (2 * 0.3**2), axis=-1)


def share_left(kernel, key, steps):
    x, _, _ = langevin.run_chain(
        kernel, 2 * jax.random.normal(key, (4_000, 2)), steps=steps, key=key
    )
    return float(jnp.mean(x[:, 0] < 0))


def test_uniform_jumps_find_the_mode_weights_that_local_steps_cannot(key):
    se = np.sqrt(0.2 * 0.8 / 4_000)
    local = langevin.mala(two_modes, 0.05)
    jumping = langevin.alternate(local, langevin.uniform_jump(two_modes, 5.0))
    assert abs(share_left(jumping, key, 400) - 0.2) < 4 * se
    # half of the chains started on the left, and stay there
    assert abs(share_left(local, key, 400) - 0.2) > 20 * se


def test_a_jump_without_its_test_is_not_invariant(key):
    def always(key, x):
        return jax.random.uniform(key, x.shape, minval=-5.0, maxval=5.0), {}

    assert abs(share_left(always, key, 5) - 0.2) > 0.2


def test_keep_every_must_divide(key):
    kernel = langevin.unadjusted_langevin(langevin.score_of(gaussian), 0.1)
    _, path, _ = langevin.run_chain(kernel, jnp.zeros((3, 2)), steps=6, key=key, keep_every=2)
    assert path.shape == (3, 3, 2)
    with pytest.raises(ValueError, match="keep_every=4 must divide steps=6"):
        langevin.run_chain(kernel, jnp.zeros((3, 2)), steps=6, key=key, keep_every=4)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_chain_takes_exactly_its_steps(steps, key):
    """A kernel that counts: the last point and every frame say how many steps were taken."""

    def count(key, x):
        return x + 1, {"seen": x[:, 0]}

    x, path, info = langevin.run_chain(count, jnp.zeros((3, 2)), steps=steps, key=key, keep_every=1)
    assert np.array_equal(x, np.full((3, 2), steps))
    assert path[:, 0, 0].tolist() == list(range(1, steps + 1))
    assert np.allclose(info["seen"], np.arange(steps).mean())
