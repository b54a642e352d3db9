"""What nvidia-smi says of the first GPU: its name, its driver, and the most memory that a run
used."""

import subprocess
from typing import Any

PROGRAM = ["nvidia-smi"]
SECONDS = 10  # the most that an answer may take


def first(*fields: str) -> list[str] | None:
    """What nvidia-smi says of these fields of the first GPU; None where it does not answer."""
    query = [*PROGRAM, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            query, capture_output=True, encoding="utf-8", check=True, timeout=SECONDS
        )
        said = done.stdout.splitlines()[0].strip()
    except (OSError, subprocess.SubprocessError, IndexError):
        return None
    return said.split(", ") if said else None


class Meter:
    """Looks at the first GPU now and then; one section at a time runs there, so what is used beyond
    what was used before it is the section's."""

    def __init__(self):
        self.driver, self.before = _look()
        self.peak = self.before

    def look(self) -> None:
        """Look once more."""
        self.peak = max(self.peak, _look()[1])

    def facts(self) -> dict[str, Any]:
        """What goes into the record."""
        return {"driver": self.driver, "peak_memory_mib": round(self.peak - self.before)}


def _look() -> tuple[str, float]:
    """Driver and memory in use [MiB]; ("unknown", 0) where nvidia-smi does not say."""
    try:
        driver, used = first("driver_version", "memory.used") or ("unknown", 0)
        return driver, float(used)
    except ValueError:
        return "unknown", 0.0
