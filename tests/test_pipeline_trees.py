"""The project as it was at a commit: its files, its package, its environment."""

import subprocess

import pytest

from genlab.pipeline.runs import store, trees
from genlab.section.paths import PACKAGE, UserError


@pytest.fixture
def history(tmp_path, monkeypatch):
    """A checkout whose file said `one` at the first of two commits: the commits."""
    monkeypatch.setattr(trees, "ROOT", tmp_path)
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")

    def git(*words):
        command = ["git", "-C", str(tmp_path), *who, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    commits = []
    for text in ("one", "two"):
        (tmp_path / "page.md").write_text(text)
        git("add", "page.md")
        git("commit", "-qm", text)
        commits.append(git("rev-parse", "HEAD"))
    return commits


def test_a_tree_holds_the_files_of_its_commit_and_is_gone_afterwards(history):
    for commit, text in zip(history, ("one", "two"), strict=True):
        with trees.tree_at(commit) as tree:
            assert (tree / "page.md").read_text() == text
        assert not tree.exists()
    with pytest.raises(UserError, match="is not in this checkout"), trees.tree_at("0" * 40):
        pass


def test_a_tree_has_its_own_package_or_the_one_that_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("GENLAB_GPU", "mine")
    assert trees.package_in(tmp_path) == PACKAGE
    (tmp_path / "src" / "genlab").mkdir(parents=True)
    assert trees.package_in(tmp_path) == tmp_path / "src" / "genlab"
    env = trees.environment(tmp_path)
    assert env["GENLAB_ROOT"] == str(tmp_path) and env["PYTHONPATH"] == str(tmp_path / "src")
    assert "GENLAB_GPU" not in env


def test_a_run_that_no_commit_explains_is_refused(monkeypatch):
    class Run:
        record = {"section": "ebm", "dirty": True, "commit": "abc"}  # noqa: RUF012

    monkeypatch.setattr(store, "published", lambda name: Run)
    with pytest.raises(UserError, match="computed from files that no commit holds"):
        trees.by_commit(["toy_data"])
    Run.record = {"section": "ebm", "dirty": False, "commit": "abc"}
    assert trees.by_commit(["ebm", "toy_data"]) == {"abc": [Run, Run]}
    monkeypatch.setattr(store, "published", lambda name: None)
    with pytest.raises(UserError, match="toy_data has no published run"):
        trees.by_commit(["toy_data"])
