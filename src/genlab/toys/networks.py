"""Multilayer perceptrons as plain pytrees: a list of (W, b) pairs and a function that applies
it."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from genlab import checks

ACTIVATIONS: dict[str, Callable] = {
    "relu": jax.nn.relu,
    "swish": jax.nn.swish,
    "tanh": jnp.tanh,
    "gelu": jax.nn.gelu,
}


def init_mlp(sizes: Sequence[int], *, key: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
    """Weights of an MLP with layer widths `sizes` = (d_in, hidden..., d_out).

    W ~ U(-1/sqrt(fan_in), 1/sqrt(fan_in)) and the same for b (LeCun et al. 1998, the default
    of torch.nn.Linear).
    """
    if len(sizes) < 2:
        raise ValueError(f"sizes={list(sizes)} must be at least two: inputs, (hidden,) outputs")
    sizes = [checks.count(size, "sizes") for size in sizes]
    params = []
    for layer_key, fan_in, fan_out in zip(
        jax.random.split(key, len(sizes) - 1), sizes[:-1], sizes[1:], strict=True
    ):
        key_w, key_b = jax.random.split(layer_key)
        bound = fan_in**-0.5
        params.append(
            (
                jax.random.uniform(key_w, (fan_in, fan_out), minval=-bound, maxval=bound),
                jax.random.uniform(key_b, (fan_out,), minval=-bound, maxval=bound),
            )
        )
    return params


def mlp(
    params: list[tuple[jax.Array, jax.Array]], x: jax.Array, activation: str = "swish"
) -> jax.Array:
    """Apply the MLP to x (..., d_in) -> (..., d_out); no activation after the last layer."""
    act = ACTIVATIONS[checks.one_of(activation, "activation", ACTIVATIONS)]
    for W, b in params[:-1]:
        x = act(x @ W + b)
    W, b = params[-1]
    return x @ W + b


MAX_FREQUENCY = 8.0  # of `fourier_features`, radians per unit


def fourier_features(s: jax.Array, n_features: int) -> jax.Array:
    """Sines and cosines of a scalar per row: s (...,) -> (..., n_features), frequencies log-spaced
    in [1, MAX_FREQUENCY].

    The sinusoidal embedding of Vaswani et al. 2017, section 3.5, with s of order one
    instead of a position.
    """
    if n_features % 2 or n_features < 2:
        raise ValueError(f"n_features={n_features} must be even: a sine and a cosine each")
    frequencies = jnp.geomspace(1.0, MAX_FREQUENCY, n_features // 2)
    angles = s[..., None] * frequencies
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


def init_fourier_mlp(
    sizes: Sequence[int], n_waves: int, *, bandwidth: float, more: int = 0, key: jax.Array
):
    """An MLP that sees x, the sines and cosines of `n_waves` fixed random projections of it, and
    so many numbers `more`: (B, layers).

    B (d_in, n_waves) ~ N(0, bandwidth²) is never trained.  Random Fourier features let a small
    network draw sharp edges (Tancik et al. 2020, section 4).
    """
    n_waves = checks.count(n_waves, "n_waves", 0)
    checks.number(bandwidth, "bandwidth", "positive")
    key_b, key_mlp = jax.random.split(key)
    B = bandwidth * jax.random.normal(key_b, (sizes[0], n_waves))
    return B, init_mlp((sizes[0] + 2 * n_waves + more, *sizes[1:]), key=key_mlp)


def fourier_mlp(params, x: jax.Array, activation: str = "swish") -> jax.Array:
    """Apply the network of `init_fourier_mlp` to x (..., d_in) -> (..., d_out)."""
    B, layers = params
    angles = x @ jax.lax.stop_gradient(B)
    return mlp(layers, jnp.concatenate([x, jnp.sin(angles), jnp.cos(angles)], axis=-1), activation)


def take(params, index: int):
    """The parameters of one set of a stack, whose leaves are (sets, ...)."""
    return jax.tree.map(lambda leaf: leaf[index], params)


def of_each(f: Callable, *stacks, key: jax.Array):
    """f(one, ..., key) for every set of stacks, whose leaves are (sets, ...), each with a key of
    its own, in one compiled program."""
    keys = jax.random.split(key, len(jax.tree.leaves(stacks)[0]))
    return jax.jit(jax.vmap(f))(*stacks, keys)
