"""One thread per worker, so xdist does not oversubscribe; fixed randomness."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")

import jax
import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240)


@pytest.fixture
def key() -> jax.Array:
    return jax.random.key(20240)


@pytest.fixture
def clean_figures():
    """The book's style, and no figure left open."""
    import matplotlib.pyplot as plt

    from genlab import plots

    plots.style()
    yield
    plt.close("all")
