"""A record of an old form gets a new key only if the files of its commit still give the old one.

The records of the real book were proved so; the miniature one has no code of the old keys.
"""

import json
import subprocess

import pytest
from pipeline import Project, edit_record, one_line


@pytest.fixture
def project(tmp_path):
    """The miniature book, committed, with its first page published."""
    project = Project(tmp_path)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / ".gitignore").write_text("/runs/\n")
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    for words in (("run", "first", "--profile", "full"), ("publish", "first")):
        done = project.genlab(*words)
        assert done.returncode == 0, done.stderr
    return project


@pytest.mark.slow
def test_rekey_leaves_alone_what_it_cannot_prove(project):
    assert "has a key of the present form" in project.genlab("rekey", "first").stdout
    path = project.root / "book/published/first.json"
    parts = json.loads(path.read_text())["key_parts"]
    edit_record(path, key_parts={name: part for name, part in parts.items() if name != "scheme"})
    record = json.loads(path.read_text())
    done = project.genlab("rekey", "first")
    assert done.returncode == 2 and "gives no keys" in one_line(done.stderr)
    assert json.loads(path.read_text()) == record
