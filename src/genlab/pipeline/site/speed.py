"""A book is built in one short process: what would slow it down is left out."""

import gc
from typing import Any

from pybtex.plugin import find_plugin, register_plugin


def setup(app: Any) -> None:
    # The trees of all pages live until the end; a collector would walk through them all the time.
    gc.disable()
    # Else each citation looks through the lists of all installed packages.
    for kind in ("plaintext", "text", "html"):
        register_plugin("pybtex.backends", kind, find_plugin("pybtex.backends", kind))
