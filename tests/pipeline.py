"""A copy of the miniature book in a folder of its own, and the command `genlab` on it as a
user would run it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from filelock import FileLock

from genlab.pipeline.runs.record import digest_of, key_of

MINIATURE = Path(__file__).parent / "miniature"
SOURCE = Path(__file__).parents[1] / "src"


class Project:
    """A project folder and the command line in it."""

    def __init__(self, root: Path, start: Path = MINIATURE):
        shutil.copytree(start, root, dirs_exist_ok=True)
        self.root = root
        self.env = dict(os.environ) | {"GENLAB_ROOT": str(root), "COLUMNS": "200"}
        self.env.pop("GENLAB_RUN_DIR", None)

    def start(self, *words: str, **options) -> subprocess.Popen:
        command = [sys.executable, "-m", "genlab.pipeline.cli", *words]
        return subprocess.Popen(
            command,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def genlab(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess:
        process = self.start(*words)
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def snapshot(self) -> dict[str, bytes]:
        """Everything in the store that counts as a result."""
        runs = self.root / "runs"
        hidden = (".locks", ".partial", ".jax-cache", "failed")
        return {
            str(p.relative_to(runs)): p.read_bytes()
            for p in runs.rglob("*")
            if p.is_file() and not any(part in hidden for part in p.relative_to(runs).parts)
        }

    def processes(self) -> list[psutil.Process]:
        """Processes that belong to this project, kernels included."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.pid != os.getpid() and process.environ().get("GENLAB_ROOT") == str(
                    self.root
                )
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found


def edit_record(file: Path, **changes) -> None:
    """A record with other values and a right digest, as somebody who means it would write it."""
    record = json.loads(file.read_text("utf-8")) | changes
    if "key_parts" in changes:
        record["key"] = key_of(changes["key_parts"])
    file.write_text(json.dumps(record | {"digest": digest_of(record)}), encoding="utf-8")


def one_line(text: str) -> str:
    """The message on stderr, which must be one line and no traceback."""
    lines = [line for line in text.splitlines() if line.startswith("genlab:")]
    assert lines and "Traceback" not in text, text
    return lines[-1]


def prepared(factory, name: str, prepare: Callable[[Project], None]) -> Project:
    """A project of one's own in which prepare(project) has been done, once for all test files and
    workers, and copied.  `factory` is pytest's tmp_path_factory."""
    shared = factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    made, draft = shared / f"prepared-{name}", shared / f"draft-{name}"
    with FileLock(f"{made}.lock"):
        if not made.is_dir():
            prepare(Project(draft))
            draft.rename(made)
    return Project(factory.mktemp(name), made)


def succeed(project: Project, *words: str, timeout: float = 300) -> None:
    result = project.genlab(*words, timeout=timeout)
    assert result.returncode == 0, result.stderr


def run_all(project: Project) -> None:
    """Both sections have been run once, at the quick profile."""
    succeed(project, "run", "--all")


def with_baselines(project: Project) -> None:
    """Both sections have baselines and a current run; the first draws its numbers and a figure."""
    drawn = "0.01 * np.random.default_rng(seed).normal()"
    project.edit("notebooks/first.md", "scale * size", f"scale * size + {drawn}")
    project.edit("notebooks/first.md", "* scale + seed)", f"* scale + {drawn})")
    figure = (
        '\n```{code-cell} ipython3\n---\nmystnb:\n  image:\n    alt: "points"\n---\n'
        "import matplotlib.pyplot as plt\n\n"
        "fig, ax = plt.subplots()\n"
        'ax.scatter(*np.random.default_rng(seed).normal(size=(2, 300)), s=9, color="k")\n'
        "ax.set(xlim=(-4, 4), ylim=(-4, 4))\n```\n"
    )
    path = project.root / "notebooks/first.md"
    path.write_text(path.read_text() + figure)
    succeed(project, "baseline", "--all", "--seeds", "8")
    succeed(project, "run", "--all")


def wait_for(condition, seconds=40):
    """Wait until condition() is true and return its value; fail after so many seconds."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.1)
    return value


class Farm:
    """A Dask scheduler and workers as processes on loopback, each worker in a folder with a
    checkout of its own."""

    def __init__(self, folder: Path, tls: tuple[Path, Path] | None = None):
        """`tls`: files of a certificate, which is its own authority, and of its key."""
        self.folder, self.workers, self.clones = folder, [], []
        self.tls = (
            [f"--tls-ca-file={tls[0]}", f"--tls-cert={tls[0]}", f"--tls-key={tls[1]}"]
            if tls
            else []
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"{'tls' if tls else 'tcp'}://127.0.0.1:{self.port}"
        where = (
            ["--host", self.address] if tls else ["--host", "127.0.0.1", "--port", str(self.port)]
        )
        self.scheduler = self._start(folder, "scheduler", *where, "--no-dashboard", *self.tls)
        wait_for(self._listens)

    def _start(self, folder: Path, *words: str, env=None) -> subprocess.Popen:
        folder.mkdir(parents=True, exist_ok=True)
        dask = Path(sys.executable).with_name("dask")
        with open(folder / f"{words[0]}.log", "ab") as log:
            return subprocess.Popen(
                [str(dask), *words],
                cwd=folder,
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def clone(self) -> Path:
        """A checkout of the project in a folder of its own: the miniature book and this genlab."""
        root = self.folder / f"clone-{len(self.clones)}"
        shutil.copytree(MINIATURE, root)
        shutil.copytree(
            SOURCE, root / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
        self.clones.append(root)
        return root

    def worker(
        self, root: Path | None = None, *words: str, nanny: bool = False, **env: str
    ) -> subprocess.Popen:
        """A worker in the checkout `root` (a new one by default)."""
        root = root or self.clone()
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GENLAB_")}
        clean |= {"PYTHONPATH": str(root / "src"), "GENLAB_ROOT": str(root)} | env
        options = [
            "--nworkers",
            "1",
            "--nthreads",
            "1",
            "--no-dashboard",
            "--nanny" if nanny else "--no-nanny",
        ]
        process = self._start(root, "worker", self.address, *options, *self.tls, *words, env=clean)
        self.workers.append(process)
        return process

    def sections(self, root: Path) -> list[psutil.Process]:
        """Kernels that run in a clone."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = (
                    process.environ().get("GENLAB_ROOT") == str(root)
                    and "ipykernel_launcher" in process.cmdline()
                )
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def stop(self) -> None:
        for process in [self.scheduler, *self.workers]:
            for member in (
                [*psutil.Process(process.pid).children(recursive=True)]
                if process.poll() is None
                else []
            ):
                member.kill()
            process.kill()
            process.wait()
