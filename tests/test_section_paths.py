"""The project is found from this file or from GENLAB_ROOT, never from the working directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genlab.section import paths

TOLD = "from genlab.section.paths import ROOT, RUNS, PACKAGE; print(ROOT, RUNS, PACKAGE, sep='|')"


@pytest.mark.parametrize("given", [None, "elsewhere", "relative {x}/./é", "link"])
def test_the_root_is_found_from_anywhere(tmp_path, given):
    """A relative one from the working directory, and a link by what it leads to: the system tells a
    section that name."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    env = {k: v for k, v in os.environ.items() if k != "GENLAB_ROOT"}
    env |= {"PYTHONPATH": str(paths.PACKAGE.parent), "PYTHONUTF8": "1"}
    relative = given and (given.startswith("relative") or given == "link")
    env |= {"GENLAB_ROOT": given if relative else str(tmp_path / given)} if given else {}
    told = subprocess.run(
        [sys.executable, "-c", TOLD],
        env=env,
        cwd=tmp_path,
        check=True,
        capture_output=True,
        encoding="utf-8",
    ).stdout.strip()
    root, runs, package = map(Path, told.split("|"))
    wanted = tmp_path / (given or "").replace("link", "elsewhere")
    assert root == (wanted if given else paths.PACKAGE.parents[1])
    assert runs == root / "runs" and package == paths.PACKAGE
