"""The generator written out gives JAX's own bits, and programs without its loop."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from genlab import threefry

# (key, counter, what comes out): the known answers that come with the reference implementation.
KNOWN = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]


def words(key, counter) -> tuple[int, int]:
    return tuple(int(x) for x in threefry.threefry2x32(*map(jnp.uint32, (*key, *counter))))


@pytest.mark.parametrize(("key", "counter", "out"), KNOWN)
def test_known_answers(key, counter, out, monkeypatch):
    assert words(key, counter) == out
    monkeypatch.setattr(threefry, "ROTATIONS", ((13, 15, 26, 6), (17, 29, 16, 23)))
    assert words(key, counter) != out  # the wrong twin: one rotation


DRAWS = """
import jax
import numpy as np
import hashlib

def draws():
    key = jax.random.key(7)
    yield jax.random.key_data(jax.random.split(key, 5))
    yield jax.random.key_data(jax.vmap(jax.random.fold_in, (0, None))(jax.random.split(key, 3), 2))
    for shape in ((), (7,), (64, 3)):
        yield jax.random.bits(key, shape)
        yield jax.random.uniform(key, shape, minval=-2, maxval=3)
        yield jax.random.normal(key, shape)
        yield jax.random.randint(key, shape, 0, 1000)
        yield jax.jit(lambda k: jax.random.normal(jax.random.fold_in(k, 3), shape))(key)
    yield jax.vmap(lambda k: jax.random.bernoulli(k, 0.3, (9,)))(jax.random.split(key, 4))

print([hashlib.sha256(np.asarray(x).tobytes()).hexdigest() for x in draws()])
"""


def test_draws_are_those_of_jax_alone():
    said = [
        subprocess.run(
            [sys.executable, "-c", first + DRAWS], capture_output=True, check=True
        ).stdout
        for first in ("", "import genlab.threefry\n")
    ]
    assert said[0] == said[1] and said[0].count(b"'") == 2 * 18


def test_keys_are_the_only_loops():
    """A key that is derived is a loop, the draws by it are none; JAX's own draws were one each."""

    def loops(draw):
        compiled = jax.jit(draw).lower(jax.random.key(0)).compile()
        return compiled.as_text().count(" while(")

    assert loops(lambda key: jax.random.normal(key, (512, 2))) == 0
    assert loops(lambda key: jax.random.normal(jax.random.fold_in(key, 1), (512, 2))) == 1
