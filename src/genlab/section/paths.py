"""Where things are.  The project root is found from this file, or from GENLAB_ROOT; never from the
working directory, to which only a relative GENLAB_ROOT refers."""

import os
from pathlib import Path

# Absolute, and under the name that the system tells a section, which runs in a folder of its own.
ROOT = Path(os.path.realpath(os.environ.get("GENLAB_ROOT") or Path(__file__).resolve().parents[3]))
PACKAGE = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs"
PUBLISHED = ROOT / "book" / "published"
BUILD = ROOT / "_build"


class UserError(Exception):
    """A mistake a person can mend: its text says in one line what was wrong, the value, the rule
    and the remedy."""


def user_folder(kind: str) -> Path:
    """The folder of genlab among a user's own files, for "state" (what must not be lost) or
    "cache" (what can be made anew)."""
    variable, usual = {
        "state": ("XDG_STATE_HOME", "~/.local/state"),
        "cache": ("XDG_CACHE_HOME", "~/.cache"),
    }[kind]
    return Path(os.environ.get(variable) or os.path.expanduser(usual)) / "genlab"
