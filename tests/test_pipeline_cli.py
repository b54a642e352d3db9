"""The command line on a miniature project: every mistake is one line, a non-zero exit, and leaves
the store as it was."""

import json

import pytest
from pipeline import Project, one_line, prepared, run_all


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
    ("run", "first", "-p", "seed=3", "--seed", "4"): "-p seed=3 and --seed 4 both say the seed",
    ("run", "first", "-p", "size=1", "-p", "size=2"): "contradict each other: give one of them",
    ("sweep", "first", "-g", "names=a,b"): "names is a list, so `;` parts its values",
    ("sweep", "first", "-g", "size=2", "-p", "size=9"): "contradict each other",
    ("compare", "x" * 300, "first"): "names no run",
    ("frobnicate",): "No such command",
}


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistake_is_one_line_and_changes_nothing(project, words):
    before = project.snapshot()
    result = project.genlab(*words)
    assert result.returncode != 0 and MISTAKES[words] in one_line(result.stderr)
    assert len([ln for ln in result.stderr.splitlines() if ln.strip()]) == 1
    assert project.snapshot() == before


def test_clean_removes_a_link_and_not_what_it_leads_to(tmp_path):
    project = Project(tmp_path / "book")
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (project.root / "runs/first").mkdir(parents=True)
    link = project.root / "runs/first/0123456789abcdef"
    link.symlink_to(kept)
    result = project.genlab("clean")
    assert result.returncode == 0, result.stderr
    assert "removed runs/first/0123456789abcdef" in result.stdout
    assert not link.is_symlink() and (kept / "file").exists()


@pytest.mark.slow
def test_one_broken_section_stops_no_other(tmp_path_factory):
    project = prepared(tmp_path_factory, "ran", run_all)
    whole = project.snapshot()
    project.edit("notebooks/second.md", "from genlab import section", "x = (1,")
    told = "genlab: second is left out: second.md, code cell 2 is no Python: line 1, `x = (1,`"
    listed = project.genlab("list")
    assert listed.returncode == 2 and one_line(listed.stderr).startswith(told)
    rows = {line.split()[0]: line for line in listed.stdout.splitlines()}
    assert "current" in rows["first"] and "broken" in rows["second"]
    cleaned = project.genlab("clean")
    assert cleaned.returncode == 2 and "second, with its runs, is left out" in cleaned.stderr
    assert project.snapshot() == whole
    ran = project.genlab("run", "--all")
    assert ran.returncode == 2 and "first: up to date" in ran.stderr and told in ran.stderr
    for words, code in ((("why", "first"), 0), (("describe", "first"), 0), (("why", "second"), 2)):
        assert project.genlab(*words).returncode == code, words
    built = project.genlab("build", "--profile", "quick")
    assert built.returncode == 2 and one_line(built.stderr).startswith(told), built.stderr
    page = (project.root / "_build/html/notebooks/second.html").read_text("utf-8")
    assert "This section cannot be read" in page and "x = (1," in page
    assert "double" in (project.root / "_build/html/book/ledger.html").read_text("utf-8")


@pytest.mark.slow
def test_every_locale_shows_and_stores_the_same(tmp_path):
    project = Project(tmp_path / "größe")
    project.edit("notebooks/first.md", "# First", "# Größe µ → ∞")
    project.edit("notebooks/first.md", 'unit="numbers"', 'unit="µm →"')
    project.edit("notebooks/first.md", "a little", "ein bißchen")
    project.env |= {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    for words in (["list"], ["describe", "first"], ["run", "first", "--profile", "full"]):
        result = project.genlab(*words)
        assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
    assert project.genlab("publish", "first").returncode == 0
    published = project.root / "book/published"
    assert "# Größe µ → ∞" in (published / "first.ipynb").read_text("utf-8")
    record = json.loads((published / "first.json").read_text("utf-8"))
    assert record["title"] == "Größe µ → ∞" and record["metrics"]["double"]["unit"] == "µm →"


def test_a_section_that_can_have_no_key_is_left_out_too(tmp_path):
    """Its data are not listed; the other needs itself."""
    project = Project(tmp_path)
    project.edit("notebooks/first.md", "[numbers.txt]", "[letters.txt]")
    project.edit("notebooks/second.md", "needs: [first]", "needs: [second]")
    told = [
        "genlab: first is left out: first.md, `data:`: data/letters.txt is not listed in data/SHA2",
        "genlab: second is left out: sections need each other in a circle: second -> second: brea",
    ]
    for words in (["list"], ["run", "--all"]):
        result = project.genlab(*words)
        lines = [line for line in result.stderr.splitlines() if line]
        assert result.returncode == 2 and len(lines) == 2, result.stderr
        assert all(line.startswith(start) for line, start in zip(lines, told, strict=True))
    assert project.snapshot() == {}
