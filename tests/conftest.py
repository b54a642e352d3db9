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


SPREAD = ("test_sections.py", "test_gate_faults.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items) -> None:
    """The tests of a file stay together, for they share what it prepares; sections and planted
    faults, which take longest, go wherever a core is free."""
    for item in items:
        if item.path.name not in SPREAD:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
