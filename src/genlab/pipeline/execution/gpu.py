"""What nvidia-smi says of the GPU that a section runs on: its driver, and the most memory that the
run used."""

import subprocess
from typing import Any

QUERY = ["nvidia-smi", "--query-gpu=driver_version,memory.used", "--format=csv,noheader,nounits"]
SECONDS = 10  # the most that an answer may take


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
    """Driver and memory in use [MiB]; ("unknown", 0) where nvidia-smi does not answer."""
    try:
        done = subprocess.run(
            QUERY, capture_output=True, encoding="utf-8", check=True, timeout=SECONDS
        )
        driver, used = done.stdout.splitlines()[0].split(", ")
        return driver, float(used)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return "unknown", 0.0
