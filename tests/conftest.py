"""One thread per worker, so xdist does not oversubscribe; fixed randomness."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")

import jax
import numpy as np
import pytest

from genlab.pipeline.runs.pages import get_section

# Most of a test's time is the compiler's: these programs run for milliseconds.  Sections, in
# processes of their own, are compiled as ever.
jax.config.update("jax_disable_most_optimizations", True)


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


SECTION, FAULT = "test_quick_run_and_nbval", "test_a_planted_fault_is_caught"  # long, each alone
WHOLE_BOOK = ("test_book_html.py", "test_the_gate_passes_on_the_quick_book")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items) -> None:
    """Workers take groups in this order: sections, those that need few others before those that
    need many; planted faults; then files, whose tests share what they prepare; and last what reads
    a run of every section, when all have run."""

    def place(item) -> tuple[int, int]:
        name, file = getattr(item, "originalname", item.name), item.path.name
        if name == SECTION:
            return 0, len(get_section(item.callspec.params["name"]).needs)
        if name == FAULT:
            return 1, 0
        if name in WHOLE_BOOK or file in WHOLE_BOOK:
            item.add_marker(pytest.mark.xdist_group("whole book"))
            return 3, 0
        item.add_marker(pytest.mark.xdist_group(item.path.stem))
        return 2, 0

    items.sort(key=place)
