"""The index: words of the glossary and where they are used.  Names of the library have a reference
of their own, where they stand in order."""

from typing import Any


def without_library(app: Any, env: Any) -> list[str]:
    """Take the names of the library out of the index."""
    entries = env.get_domain("index").entries
    for docname in entries:
        if docname.startswith("reference/"):
            entries[docname] = []
    return []


def setup(app: Any) -> None:
    """Connect to Sphinx, once all pages are read."""
    app.connect("env-updated", without_library)
