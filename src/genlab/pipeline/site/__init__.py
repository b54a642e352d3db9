"""A Sphinx extension: what the book's HTML needs beyond Jupyter Book.  One module a concern, each
with a `setup`."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

HELPERS = ("places", "webp")  # modules that others use


def setup(app: Any) -> dict[str, bool]:
    """Connect every concern to Sphinx's events."""
    for module in iter_modules(__path__):
        if module.name not in HELPERS:
            import_module(f"{__name__}.{module.name}").setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def sources() -> bytes:
    """The text of this package: when it changes, every page is built again."""
    files = [path for path in Path(__file__).parent.rglob("*") if path.suffix in (".py", ".html")]
    return b"".join(path.read_bytes() for path in sorted(files))
