"""A copy of the miniature book in a folder of its own, and the command `genlab` on it as a user would run it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

MINIATURE = Path(__file__).parent / "miniature"


class Project:
    """A project folder and the command line in it."""

    def __init__(self, root: Path):
        shutil.copytree(MINIATURE, root, dirs_exist_ok=True)
        self.root = root
        self.env = dict(os.environ) | {"GENLAB_ROOT": str(root), "COLUMNS": "200"}
        self.env.pop("GENLAB_RUN_DIR", None)

    def start(self, *words: str, **options) -> subprocess.Popen:
        command = [sys.executable, "-m", "genlab.report.cli", *words]
        return subprocess.Popen(
            command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
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
                ours = process.pid != os.getpid() and process.environ().get("GENLAB_ROOT") == str(self.root)
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found


def one_line(text: str) -> str:
    """The message on stderr, which must be one line and no traceback."""
    lines = [line for line in text.splitlines() if line.startswith("genlab:")]
    assert lines and "Traceback" not in text, text
    return lines[-1]
