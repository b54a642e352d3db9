"""Execute one section in a process of its own, under a wall-clock and a memory budget, and believe
only a complete result.

As a program (``python -m genlab.pipeline.execution.process FOLDER``) this file is the child that
calls papermill.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil

from genlab.pipeline.execution import results
from genlab.pipeline.execution.results import RunFailed
from genlab.pipeline.runs import gpu
from genlab.pipeline.runs.disk import DISK_FULL, is_full
from genlab.section.paths import ROOT, RUNS, user_folder

# Seconds between two looks at the child: at first, and in a long run, of which looking would else
# cost some per cent.
POLL = 0.15, 1.0
STARTS = 3  # of a kernel that does not come up
DRAWING = "genlab.pipeline.execution.drawing"


# What a user's shell may say to libraries that compute or draw; a result must not depend on it.
PERSONAL = ("JAX_", "XLA_", "TORCH_", "PYTORCH_", "TF_", "MPL", "MATPLOTLIB", "IPYTHON", "GENLAB_")


def environment(
    folder: Path,
    needs: dict[str, dict[str, str]],
    device: str,
    threads: int,
    *,
    fresh: bool = False,
    figures: str = "plain",
) -> dict[str, str]:
    """Environment of a section's process: where it may write, what it may read, its threads, one
    hash seed, and whether its figures are plain or "published" (see `drawing`).

    The user's own settings do not reach it: neither IPython's start-up files, nor a matplotlibrc,
    nor switches of JAX and torch.
    """
    ours = ("GENLAB_GPU", "GENLAB_REMEMBER")
    env = {k: v for k, v in os.environ.items() if not k.startswith(PERSONAL) or k in ours}
    env |= {
        "GENLAB_RUN_DIR": str(folder),
        "GENLAB_NEEDS": json.dumps(needs),
        "GENLAB_PROGRESS": str(folder / "progress.json"),
        "GENLAB_STORE": str(RUNS),
        "GENLAB_ROOT": str(ROOT),
        "GENLAB_DEVICE": device,
        "GENLAB_FIGURES": figures,
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin at a barrier starve whatever runs beside
        "GENLAB_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",  # names of files too: papermill writes them into the notebook
        "IPYTHONDIR": str(folder / "ipython"),
        "MATPLOTLIBRC": os.devnull,
        # whatever the shell says: without it no figure is stored
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        # the kernel of this environment, not one of the same name in the home folder
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        # POT would load every framework that it finds; it gets NumPy arrays only
        "POT_BACKEND_DISABLE_PYTORCH": "1",
        "POT_BACKEND_DISABLE_JAX": "1",
        # compiled programs are code: they are kept with the user, not in a folder that travels
        "JAX_COMPILATION_CACHE_DIR": str(user_folder("cache") / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    if device == "cpu":
        env["JAX_PLATFORMS"] = "cpu"
        if threads == 1:
            env["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        else:
            env["NPROC"] = str(threads)  # the size of XLA's pool
    else:  # sums in the same order each time
        env |= {
            "XLA_FLAGS": "--xla_gpu_deterministic_ops=true",
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        }
    if fresh:
        env["GENLAB_REMEMBER"] = "refresh"
    return env


def execute(
    notebook: nbformat.NotebookNode,
    params: dict[str, Any],
    folder: Path,
    env: dict[str, str],
    watch: Callable[[float, float, dict], None],
    budget: dict[str, float],
) -> dict[str, Any]:
    """Run the notebook into `folder`; call watch(seconds, memory in MiB, progress) now and then.
    What was measured: {"seconds", "peak_memory_mib", "cell_seconds", "gpu": None without one}.

    budget: the most `seconds` and `memory_mib` it may use.  RunFailed if anything went wrong.  A
    kernel that never came up, as happens on a busy machine, is started again: nothing has run yet.
    """
    nbformat.write(notebook, folder / "source.ipynb")
    (folder / "params.json").write_text(json.dumps(params), encoding="utf-8")
    kernel = Path(env["IPYTHONDIR"]) / "profile_default" / "ipython_kernel_config.json"
    kernel.parent.mkdir(parents=True, exist_ok=True)
    kernel.write_text(json.dumps({"IPKernelApp": {"extensions": [DRAWING]}}), encoding="utf-8")
    start, peak = time.monotonic(), 0.0
    meter = None if env["GENLAB_DEVICE"] == "cpu" else gpu.Meter()

    def look(seconds: float, memory: float, told: dict) -> None:
        if meter:
            meter.look()
        watch(seconds, memory, told)

    for _ in range(STARTS):
        code, used = _run_child(folder, env, look, start, budget)
        peak = max(peak, used)
        if not _never_came_up(folder):
            break
    seconds = time.monotonic() - start + _remembered(folder)
    notebook = folder / "notebook.ipynb"
    cells = results.code_cells(notebook.read_bytes() if notebook.is_file() else None)
    results.check_errors(cells)
    if code:
        raise RunFailed(_why_it_stopped(folder, code))
    results.check_complete(cells)
    durations = [c.metadata.get("papermill", {}).get("duration") or 0.0 for c in cells]
    told = {"seconds": seconds, "peak_memory_mib": peak, "cell_seconds": durations}
    return told | {"gpu": meter and meter.facts()}


def _run_child(
    folder: Path, env: dict[str, str], watch, start: float, budget: dict[str, float]
) -> tuple[int, float]:
    """Papermill in a process of its own, watched; its exit code, and the most memory that was seen
    [MiB]."""
    program = [sys.executable, "-m", "genlab.pipeline.execution.process", str(folder)]
    options = {"env": env, "cwd": ROOT, "stdin": subprocess.DEVNULL, "start_new_session": True}
    peak = seconds = 0.0
    with open(folder / "log.txt", "wb") as log:
        process = subprocess.Popen(program, stdout=log, stderr=log, **options)
    try:
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
                    if what == "time" and is_full(folder):  # it waits, and would for ever
                        raise RunFailed(DISK_FULL.format("the run"))
                    raise RunFailed(
                        f"{what} budget exceeded: {used:,.0f} {unit} used, {most:,.0f} allowed by "
                        "`budget:` in the section"
                    )
            told = _read_json(folder / "progress.json") | {"remembered": _remembered(folder)}
            watch(seconds, memory, told)
    finally:
        kill_tree(process.pid, str(folder))
    return process.returncode, peak


def _never_came_up(folder: Path) -> bool:
    log = (folder / "log.txt").read_text("utf-8", errors="replace")
    return "Kernel died before replying to kernel_info" in log


def _remembered(folder: Path) -> float:
    """Seconds that the trainings read back so far had cost when they were run."""
    try:
        return float((folder / "remembered_seconds").read_text("ascii"))
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
    victims = set(_tree(pid))
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get("GENLAB_RUN_DIR") == marker:
                victims.add(process)
    for process in victims:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(victims, timeout=5)


def _why_it_stopped(folder: Path, returncode: int) -> str:
    """What papermill's last words mean."""
    if is_full(folder):
        return DISK_FULL.format("the run")
    log = (folder / "log.txt").read_text("utf-8", errors="replace")
    tail = [line for line in log.splitlines() if line.strip()][-40:]
    if "DeadKernelError" in "".join(tail) or returncode < 0:
        return "the kernel died (killed, or out of memory): no cell after it ran"
    return f"papermill stopped: {tail[-1] if tail else f'exit code {returncode}'}"


def _die_with_parent() -> None:
    """Kill this process and its kernel when whoever started it is gone: a killed worker must not
    leave a section running."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.5)
    for process in reversed(_tree(os.getpid())):
        with contextlib.suppress(psutil.Error):
            process.kill()


def _child(folder: Path) -> None:
    """Papermill in this process, which ends with it: nothing of its working-directory changes
    reaches anyone."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    import papermill

    os.chdir(folder)  # papermill reads a path as a format, in which a brace means something
    partial = Path("notebook.partial.ipynb")
    params = json.loads(Path("params.json").read_text("utf-8"))
    options = {"kernel_name": "python3", "cwd": str(ROOT), "progress_bar": False}
    try:
        papermill.execute_notebook("source.ipynb", str(partial), params, **options)
    finally:
        if partial.exists():
            results.shorten(partial)
            os.replace(partial, "notebook.ipynb")


if __name__ == "__main__":
    failed = 0
    try:
        _child(Path(sys.argv[1]))
    except BaseException:  # told in the log, whatever it is
        failed = 1
        with contextlib.suppress(OSError):  # the disk of the log may be full
            traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(failed)  # papermill can hang in its own shutdown, after the last cell or an error
