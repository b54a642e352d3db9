"""What the pipeline adds to bare papermill, per section, and how a sweep's time falls from
one worker to two.

    .venv/bin/python benchmarks/pipeline.py

The same small notebook each time (the miniature book's first section, which computes nothing worth
mentioning, and for the scaling a pause and a calculation of some seconds on one core).
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
WORK = "sum(i * i for i in range(40_000_000))"  # about three seconds of one core


def timed(command, **options) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, **options)
    return time.perf_counter() - start


def project(folder: Path) -> dict[str, str]:
    """A copy of the miniature book; the environment that points genlab at it."""
    shutil.copytree(ROOT / "tests" / "miniature", folder)
    return os.environ | {"GENLAB_ROOT": str(folder), "MPLBACKEND": "agg"}


def genlab(*words: str) -> list[str]:
    return [sys.executable, "-m", "genlab.pipeline.cli", *words]


def overhead(folder: Path, repeats: int = 5) -> None:
    """Seconds of `genlab run` on one section, on several, and of bare papermill on
    the same notebook."""
    from genlab.pipeline.runs.pages import read_section

    env = project(folder)
    nbformat.write(read_section(folder / "notebooks/first.md").notebook, folder / "first.ipynb")
    bare = [
        sys.executable,
        "-m",
        "papermill",
        "--no-progress-bar",
        str(folder / "first.ipynb"),
        str(folder / "out.ipynb"),
    ]
    papermill = min(timed(bare, env=env) for _ in range(repeats))
    one = min(timed(genlab("run", "first", "--seed", str(i)), env=env) for i in range(repeats))
    many = (
        timed(
            genlab(
                "sweep", "first", "-g", f"size={','.join(map(str, range(1, 13)))}", "--jobs", "1"
            ),
            env=env,
        )
        / 12
    )
    print(f"bare papermill {papermill:.2f} s; genlab run {one:.2f} s, {one - papermill:+.2f} s")
    print(
        f"in a sweep of 12: {many:.2f} s a section, {many - papermill:+.2f} s over bare papermill"
    )


def scaling(folder: Path) -> None:
    """Seconds of a 16-run sweep with one worker and with two."""
    env = project(folder)
    section = folder / "notebooks/first.md"
    section.write_text(section.read_text().replace("section.save(", f"{WORK}\nsection.save("))
    grid = ("sweep", "first", "-g", "size=1,2,3,4", "--seeds", "4")
    seconds = []
    for jobs in ("1", "2"):
        shutil.rmtree(folder / "runs", ignore_errors=True)
        seconds.append(timed(genlab(*grid, "--jobs", jobs), env=env))
    print(
        f"16 runs: one worker {seconds[0]:.1f} s, two workers {seconds[1]:.1f} s, "
        f"ratio {seconds[0] / seconds[1]:.2f}"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        overhead(Path(folder) / "overhead")
        scaling(Path(folder) / "scaling")
