"""Networks for points in the plane: formulas, features that are not trained, and moving
averages."""

import jax
import jax.numpy as jnp
import numpy as np

from genlab.toys.networks import fourier_features, fourier_mlp, init_fourier_mlp, init_mlp, mlp


def test_mlp_is_its_formula(key):
    params = init_mlp((2, 5, 3), key=key)
    (W1, b1), (W2, b2) = params
    x = jnp.array([[0.3, -1.0]])
    assert np.allclose(mlp(params, x, "tanh"), jnp.tanh(x @ W1 + b1) @ W2 + b2)
    assert float(jnp.abs(W1).max()) <= 2**-0.5 and float(jnp.abs(W2).max()) <= 5**-0.5


def test_fourier_inputs(key):
    features = fourier_features(jnp.array([0.0, 0.5]), 6)
    assert features.shape == (2, 6) and np.allclose(features[0], [0, 0, 0, 1, 1, 1])
    params = init_fourier_mlp((2, 8, 1), 5, bandwidth=2.0, key=key)
    assert fourier_mlp(params, jnp.ones((4, 2))).shape == (4, 1)
    grads = jax.grad(lambda p: fourier_mlp(p, jnp.ones((4, 2))).sum())(params)
    assert float(jnp.abs(grads[0]).max()) == 0
