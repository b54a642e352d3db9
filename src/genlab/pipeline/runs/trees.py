"""The project as it was at the commit that computed a published result."""

import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from genlab.pipeline.runs import store
from genlab.pipeline.runs.disk import disk_errors
from genlab.pipeline.runs.pages import in_order
from genlab.section.paths import PACKAGE, ROOT, UserError


@contextmanager
def tree_at(commit: str) -> Iterator[Path]:
    """The project's files as they were at a commit, in a temporary folder."""
    packed = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=False
    )
    if packed.returncode:
        raise UserError(
            f"commit {commit} is not in this checkout: fetch the whole history (`git fetch "
            "--unshallow`)"
        )
    with (
        tempfile.TemporaryDirectory(prefix="genlab-tree-") as folder,
        disk_errors("the files of a commit"),
    ):
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as files:
            # git's own archive; Python 3.11.0 to 3.11.3 know no filter, and later ones want one
            how = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            files.extractall(folder, **how)
        yield Path(folder)


def package_in(tree: Path) -> Path:
    """The package of a tree, or the one that runs now if the tree has none of its own."""
    own = tree / "src" / "genlab"
    return own if own.is_dir() else PACKAGE


def environment(tree: Path) -> dict[str, str]:
    """Environment in which Python and `genlab` mean the tree's."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GENLAB_")}
    return clean | {"GENLAB_ROOT": str(tree), "PYTHONPATH": str(package_in(tree).parent)}


def by_commit(names: Iterable[str]) -> dict[str, list[store.Run]]:
    """{commit: published runs computed there}, each section after what it needs.  UserError for one
    that cannot be found again."""
    found: dict[str, list[store.Run]] = {}
    for name in [n for n in in_order(names) if n in set(names)]:
        run = store.published(name)
        if run is None:
            raise UserError(
                f"{name} has no published run: `genlab run {name} --profile full`, then `genlab "
                f"publish {name}`"
            )
        record = run.record
        if record.get("dirty") or not record.get("commit"):
            raise UserError(
                f"{name} was computed from files that no commit holds, so nobody can tell from "
                "what: run it again"
            )
        found.setdefault(record["commit"], []).append(run)
    return found
