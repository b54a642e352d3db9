"""The project is found from this file or from GENLAB_ROOT, never from the working directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genlab.section import paths

TOLD = "from genlab.section.paths import ROOT, RUNS, PACKAGE; print(ROOT, RUNS, PACKAGE, sep='|')"


@pytest.mark.parametrize("given", [None, "elsewhere"])
def test_the_root_is_found_from_anywhere(tmp_path, given):
    env = {k: v for k, v in os.environ.items() if k != "GENLAB_ROOT"}
    env |= {"PYTHONPATH": str(paths.PACKAGE.parent)}
    env |= {"GENLAB_ROOT": str(tmp_path / given)} if given else {}
    told = subprocess.run(
        [sys.executable, "-c", TOLD],
        env=env,
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    root, runs, package = map(Path, told.split("|"))
    assert root == (tmp_path / given if given else paths.PACKAGE.parents[1])
    assert runs == root / "runs" and package == paths.PACKAGE
