"""Execute one section in a process of its own, under a wall-clock and a memory budget, and believe
only a complete result.

As a program (``python -m genlab.pipeline.execution.process IN OUT PARAMS``) this file is the child
that calls papermill.
"""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil

from genlab.section.number import METRIC_MIME
from genlab.section.paths import ROOT, RUNS

# Seconds between two looks at the child: at first, and in a long run, of which looking would else
# cost some per cent.
POLL = 0.15, 1.0
METRIC = f"application/papermill.record/{METRIC_MIME}"  # as papermill and scrapbook store it


class RunFailed(Exception):
    """A section did not run to its end: one line for people."""


@dataclass(frozen=True)
class Outcome:
    """What a finished execution measured."""

    seconds: float
    peak_memory_mib: float
    cell_seconds: list[float]
    metrics: dict[str, dict[str, Any]]


# What a user's shell may say to libraries that compute or draw; a result must not depend on it.
PERSONAL = ("JAX_", "XLA_", "TORCH_", "PYTORCH_", "TF_", "MPL", "MATPLOTLIB", "IPYTHON", "GENLAB_")


def environment(
    folder: Path,
    needs: dict[str, dict[str, str]],
    device: str,
    threads: int,
    *,
    fresh: bool = False,
) -> dict[str, str]:
    """Environment of a section's process: where it may write, what it may read, its threads, one
    hash seed.

    The user's own settings do not reach it: neither IPython's start-up files, nor a matplotlibrc,
    nor switches of JAX and torch.
    """
    env = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(PERSONAL) or k in ("GENLAB_GPU", "GENLAB_REMEMBER")
    }
    style = Path(importlib.util.find_spec("matplotlib").origin).parent / "mpl-data" / "matplotlibrc"
    env |= {
        "GENLAB_RUN_DIR": str(folder),
        "GENLAB_NEEDS": json.dumps(needs),
        "GENLAB_PROGRESS": str(folder / "progress.json"),
        "GENLAB_STORE": str(RUNS),
        "GENLAB_ROOT": str(ROOT),
        "GENLAB_DEVICE": device,
        "OMP_NUM_THREADS": str(threads),
        "GENLAB_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",  # names of files too: papermill writes them into the notebook
        "IPYTHONDIR": str(folder / "ipython"),
        "MATPLOTLIBRC": str(style),
        # whatever the shell says: without it no figure is stored
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        # the kernel of this environment, not one of the same name in the home folder
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "JAX_COMPILATION_CACHE_DIR": str(RUNS / ".jax-cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    if device == "cpu":
        env["JAX_PLATFORMS"] = "cpu"
        if threads == 1:
            env["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        else:
            env["NPROC"] = str(threads)  # the size of XLA's pool
    if fresh:
        env["GENLAB_REMEMBER"] = "refresh"
    return env


def execute(
    notebook: nbformat.NotebookNode,
    params: dict[str, Any],
    folder: Path,
    env: dict[str, str],
    watch: Callable[[float, float, dict], None],
    *,
    budget: dict[str, float],
) -> Outcome:
    """Run the notebook into `folder`; call watch(seconds, memory in MiB, progress) now and then.

    budget: the most `seconds` and `memory_mib` it may use.  RunFailed if anything went wrong.
    """
    source, target, values = (
        folder / "source.ipynb",
        folder / "notebook.ipynb",
        folder / "params.json",
    )
    nbformat.write(notebook, source)
    values.write_text(json.dumps(params), "utf-8")
    command = [
        sys.executable,
        "-m",
        "genlab.pipeline.execution.process",
        str(source),
        str(target),
        str(values),
    ]
    start, peak = time.monotonic(), 0.0
    with open(folder / "log.txt", "wb") as log:
        process = subprocess.Popen(
            command,
            env=env,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        seconds = 0.0
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(min(max(seconds / 100, POLL[0]), POLL[1]))
            seconds = time.monotonic() - start
            memory = _tree_memory_mib(process.pid)
            peak = max(peak, memory)
            for what, used, most, unit in (
                ("memory", memory, budget["memory_mib"], "MiB"),
                ("time", seconds, budget["seconds"], "s"),
            ):
                if used > most:
                    raise RunFailed(
                        f"{what} budget exceeded: {used:,.0f} {unit} used, {most:,.0f} allowed by "
                        "`budget:` in the section"
                    )
            watch(
                seconds,
                memory,
                _read_json(folder / "progress.json") | {"remembered": _remembered(folder)},
            )
    finally:
        kill_tree(process.pid, str(folder))
    seconds = time.monotonic() - start + _remembered(folder)
    cells = complete_cells(target, process.returncode, folder / "log.txt")
    durations = [c.metadata.get("papermill", {}).get("duration") or 0.0 for c in cells]
    return Outcome(seconds, peak, durations, read_metrics(cells))


def _remembered(folder: Path) -> float:
    """Seconds that the trainings read back so far had cost when they were run."""
    try:
        return float((folder / "remembered_seconds").read_text("utf-8"))
    except (OSError, ValueError):  # none yet, or being written
        return 0.0


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def _tree(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def _tree_memory_mib(pid: int) -> float:
    total = 0
    for process in _tree(pid):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total / 2**20


def kill_tree(pid: int, marker: str) -> None:
    """Kill the child, its kernel, and any process that carries this run's folder in its environment
    (a kernel is its own session)."""
    victims = {p.pid: p for p in _tree(pid)}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get("GENLAB_RUN_DIR") == marker:
                victims[process.pid] = process
    for process in victims.values():
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(list(victims.values()), timeout=5)


def complete_cells(notebook: Path, returncode: int, log: Path) -> list[nbformat.NotebookNode]:
    """The code cells of an executed notebook.  RunFailed unless papermill returned normally and
    every cell ran without error.

    papermill marks all cells COMPLETED after a dead kernel, so only the return code and the
    execution counts count.
    """
    cells = nbformat.read(notebook, as_version=4).cells if notebook.is_file() else []
    cells = [c for c in cells if c.cell_type == "code"]
    written = [
        c for c in cells if "injected-parameters" not in c.metadata.get("tags", [])
    ]  # papermill's own cell has no number
    for i, cell in enumerate(written):
        for output in cell.outputs:
            if output.output_type == "error":
                line = next((ln for ln in cell.source.splitlines() if ln.strip()), "")
                value = (output.evalue.splitlines() or [""])[0]
                raise RunFailed(
                    f"code cell {i + 1} (`{line.strip()[:60]}`) raised {output.ename}: {value}"
                )
    if returncode != 0:
        tail = [ln for ln in log.read_text("utf-8", errors="replace").splitlines() if ln.strip()]
        if "DeadKernelError" in "".join(tail[-40:]) or returncode < 0:
            raise RunFailed("the kernel died (killed, or out of memory): no cell after it ran")
        raise RunFailed(f"papermill stopped: {tail[-1] if tail else f'exit code {returncode}'}")
    for i, cell in enumerate(written):
        drawn = any(
            "image/png" in o.get("data", {}) or "text/html" in o.get("data", {})
            for o in cell.outputs
        )
        if "image" in cell.metadata.get("mystnb", {}) and not drawn:
            raise RunFailed(
                f"code cell {i + 1} announces a figure and drew none: end it with the figure open"
            )
    unexecuted = [i for i, c in enumerate(cells) if c.source.strip() and c.execution_count is None]
    if not cells or unexecuted:
        raise RunFailed(f"{len(unexecuted)} of {len(cells)} code cells never ran")
    return cells


def read_metrics(cells: list[nbformat.NotebookNode]) -> dict[str, dict[str, Any]]:
    """{name: metric} from what `section.metric` glued, in the order of the page."""
    metrics = {}
    for cell in cells:
        for output in cell.outputs:
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if name and METRIC in output.get("data", {}):
                metrics[name] = {
                    k: v for k, v in output["data"][METRIC].items() if v not in (None, "")
                }
    return metrics


def _die_with_parent() -> None:
    """Kill this process and its kernel when whoever started it is gone: a killed worker must not
    leave a section running."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.5)
    for process in reversed(_tree(os.getpid())):
        with contextlib.suppress(psutil.Error):
            process.kill()


def _child(source: str, target: str, values: str) -> None:
    """Papermill in this process, which ends with it: nothing of its working-directory changes
    reaches anyone."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    import papermill

    partial = target + ".partial"
    try:
        papermill.execute_notebook(
            source,
            partial,
            json.loads(Path(values).read_text("utf-8")),
            kernel_name="python3",
            cwd=str(ROOT),
            progress_bar=False,
        )
    finally:
        if os.path.exists(partial):
            os.replace(partial, target)


if __name__ == "__main__":
    _child(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # papermill can hang in its own shutdown after the last cell
