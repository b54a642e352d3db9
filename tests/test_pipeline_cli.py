"""The command line on a miniature project: every mistake is one line, a non-zero exit, and leaves
the store as it was."""

import pytest
from pipeline import Project, one_line


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("project"))


MISTAKES = {
    ("run", "frist"): "unknown section 'frist' (did you mean 'first'?)",
    ("run", "first", "-p", "siez=3"): "no parameter 'siez' (did you mean 'size'?)",
    ("run", "first", "-p", "size=three"): "parameter size='three' is refused",
    ("run", "first", "-p", "size=2.5"): "parameter size='2.5' is refused",
    ("run", "first", "-p", "size=0"): "greater than or equal to 1",
    ("run", "first", "-p", "scale=0"): "greater than 0",
    ("run", "first", "-p", "scale=nan"): "finite number",
    ("run", "first", "-p", "mode=shout"): "'plain', 'fail'",
    ("run", "first", "-p", "names=a,z"): "parameter names='a,z' is refused",
    ("run", "first", "-p", "loud=perhaps"): "valid boolean",
    ("run", "first", "-p", "size"): "must read NAME=VALUE",
    ("run", "first", "--profile", "slow"): "unknown profile 'slow'",
    ("run",): "name the sections or say --all",
    ("run", "first", "--jobs", "0"): "--jobs",
    ("sweep", "first"): "at least one -g",
    ("sweep", "first", "-g", "size=1,x"): "size='x' is refused",
    ("page", "first", "-p", "size=77"): "has no run with these values",
    ("publish", "first"): "no current full run to publish",
    ("frobnicate",): "No such command",
}


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistake_is_one_line_and_changes_nothing(project, words):
    before = project.snapshot()
    result = project.genlab(*words)
    assert result.returncode != 0 and MISTAKES[words] in one_line(result.stderr)
    assert len([ln for ln in result.stderr.splitlines() if ln.strip()]) == 1
    assert project.snapshot() == before
