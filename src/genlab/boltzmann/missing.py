"""Missing pixels: block Gibbs with the known pixels clamped, whose stationary distribution is
p(v_missing | v_known)."""

from functools import partial

import jax
import jax.numpy as jnp

from genlab.boltzmann.rbm import RBM, gibbs_step, sample_bits


@partial(jax.jit, static_argnames=("steps", "burn_in", "clamped"))
def complete(
    rbm: RBM,
    v: jax.Array,
    known: jax.Array,
    *,
    steps: int,
    key: jax.Array,
    burn_in: int = 0,
    clamped: bool = True,
) -> tuple[jax.Array, jax.Array]:
    """`steps` Gibbs steps on v (n, n_visible) of which the pixels `known` (n_visible,) are given
    and the others start at random.

    Returns the last v and the average of E[v | h] over the steps after `burn_in`, known pixels as
    given: with enough steps the posterior mean, the best guess in squared error.  Not `clamped`:
    the known pixels only start the chain and are then free, as in source C.  Raises ValueError
    unless 0 <= burn_in < steps.
    """
    if not 0 <= burn_in < steps:
        raise ValueError(f"steps={steps}, burn_in={burn_in}: at least one step after the burn-in")
    key_start, key_walk = jax.random.split(key)
    start = jnp.where(known, v, sample_bits(jnp.full(v.shape, 0.5), key=key_start))

    def body(carry, inputs):
        x, total = carry
        i, step_key = inputs
        x, mean = gibbs_step(rbm, x, key=step_key)
        if clamped:
            x, mean = jnp.where(known, v, x), jnp.where(known, v, mean)
        return (x, total + (i >= burn_in) * mean), None

    keys = jax.random.split(key_walk, steps)
    (x, total), _ = jax.lax.scan(body, (start, jnp.zeros(v.shape)), (jnp.arange(steps), keys))
    return x, total / (steps - burn_in)


def top_rows_known(rows: int, side: int = 28) -> jnp.ndarray:
    """Which of side² pixels are known when the `rows` uppermost rows are removed,
    shape (side²,)."""
    if not 0 <= rows <= side:
        raise ValueError(f"rows={rows} must be from 0 to {side}")
    return jnp.arange(side * side) >= rows * side
