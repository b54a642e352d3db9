"""A Sphinx extension: what the book's HTML needs beyond Jupyter Book.  One module a concern, each
with a `setup`."""

from importlib import import_module
from pathlib import Path
from typing import Any

CONCERNS = (
    "access",
    "assets",
    "cards",
    "citations",
    "columns",
    "head",
    "index",
    "panels",
    "players",
    "repository",
    "search",
    "speed",
    "terms",
    "typography",
)
KINDS = (".py", ".html")  # of the files of this package


def setup(app: Any) -> dict[str, bool]:
    """Connect every concern to Sphinx's events."""
    for name in CONCERNS:
        import_module(f"{__name__}.{name}").setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def sources() -> bytes:
    """The text of this package: when it changes, every page is built again."""
    files = (path for path in sorted(Path(__file__).parent.rglob("*")) if path.suffix in KINDS)
    return b"".join(path.read_bytes() for path in files)
