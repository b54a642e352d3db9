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


ALONE = ("test_quick_run_and_nbval", "test_a_planted_fault_is_caught")  # long, each by itself
WHOLE_BOOK = ("test_book_html.py", "test_the_gate_passes_on_the_quick_book")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items) -> None:
    """Workers take groups in this order: what is long and stands alone, sections that need few
    others before those that need many; then files, whose tests share what they prepare; and last
    what reads a run of every section, when all have run."""

    def place(item) -> tuple[int, int]:
        name, file = getattr(item, "originalname", item.name), item.path.name
        if name in ALONE:
            wanted = getattr(item, "callspec", None) and item.callspec.params.get("name")
            return 0, len(get_section(wanted).needs) if wanted else 99
        if name in WHOLE_BOOK or file in WHOLE_BOOK:
            item.add_marker(pytest.mark.xdist_group("whole book"))
            return 2, 0
        item.add_marker(pytest.mark.xdist_group(item.path.stem))
        return 1, 0

    items.sort(key=place)
