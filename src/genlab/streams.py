"""Named random streams: every stream of a section derives from its one `seed` parameter.

Drawing from one stream never moves another, so looking at more samples cannot change a training.
"""

import zlib

import numpy as np

from genlab import checks

STREAMS = ("init", "data", "train", "sample", "evaluate")


def stream(seed: int, name: str) -> int:
    """A 31-bit seed for the stream `name` of `seed`.

    Use it as ``jax.random.key(stream(seed, "train"))``, ``np.random.default_rng(stream(seed,
    "data"))`` or ``torch.Generator().manual_seed(stream(seed, "init"))``.  Raises ValueError for a
    name that is no stream, or a seed that is no whole number from 0.
    """
    if name not in STREAMS:
        raise ValueError(f"unknown random stream {name!r}: use one of {', '.join(STREAMS)}")
    seed = checks.count(seed, "seed", 0)
    sequence = np.random.SeedSequence([seed, zlib.crc32(name.encode())])
    return int(sequence.generate_state(1)[0] >> 1)
