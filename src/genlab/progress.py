"""Progress of a long loop, for whoever is watching.

Under the runner (`GENLAB_PROGRESS` names a file) each step overwrites that file with one JSON line,
which the terminal turns into a bar with the time left.  In a terminal it is an ordinary tqdm bar;
anywhere else it is silent, so that no progress bar ever becomes a notebook's output.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

MIN_INTERVAL = 0.5  # seconds between two writes of the progress file


def progress(total: int, what: str) -> Iterator[int]:
    """Iterate over range(total) and report `what` as done/total after each item."""
    target = os.environ.get("GENLAB_PROGRESS")
    if not target:
        yield from tqdm(range(total), desc=what, leave=False, disable=not sys.stderr.isatty())
        return
    path, last = Path(target), 0.0
    for i in range(total):
        yield i
        now = time.monotonic()
        if now - last > MIN_INTERVAL or i + 1 == total:
            last = now
            partial = path.with_suffix(".tmp")
            partial.write_text(json.dumps({"what": what, "done": i + 1, "total": total}))
            partial.replace(path)
