"""A section file as data: cells keep their names, and what is no section is refused in one line
that names the file, the place, the value and the remedy."""

import os
import re

import pytest
from pipeline import MINIATURE, Project, one_line

from genlab.pipeline.runs import pages
from genlab.pipeline.runs.pages import get_section, in_order, read_section, section_names
from genlab.section.paths import UserError


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A copy of the miniature book, read in this process."""

    def forget():
        section_names.cache_clear()
        get_section.cache_clear()

    project = Project(tmp_path)
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    forget()
    project.forget = forget
    yield project
    forget()


def refusal(call, *args) -> str:
    with pytest.raises(UserError) as error:
        call(*args)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_cell_ids_do_not_change_between_readings(project):
    ids = [
        [c.id for c in read_section(project.root / "notebooks/first.md").notebook.cells]
        for _ in range(2)
    ]
    assert ids[0] == ids[1] and len(set(ids[0])) == len(ids[0])


def test_what_an_editor_adds_to_a_file_changes_nothing(project):
    file = project.root / "notebooks/first.md"
    plain, text = read_section(file), file.read_bytes()
    file.write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    again = read_section(file)
    assert again.notebook == plain.notebook and again.quick == plain.quick
    assert again.title == plain.title == "First" and again.parameters == plain.parameters


def test_a_section_without_its_block_of_front_matter_is_refused(project):
    """As a save without jupytext.toml leaves it: it must not run with nothing needed, no data and a
    default budget."""
    file = project.root / "notebooks/second.md"
    whole = file.read_text()
    block = whole[whole.index("genlab:") : whole.index("---", 4)]
    missing, empty = (
        "second.md has no `genlab:` block",
        "second.md: `genlab:` in its front matter is empty",
    )
    for left, told in {
        "": missing,
        "genlab: {}\n": missing,
        "genlab: all of it\n": missing,
        "genlab:\n": empty,
    }.items():
        file.write_text(whole.replace(block, left))
        line = refusal(read_section, file)
        assert told in line and "git checkout -p notebooks/second.md" in line
    result = project.genlab("run", "second")
    assert result.returncode == 2 and empty in one_line(result.stderr)
    assert project.snapshot() == {}


BUDGET, QUICK, DATA = "budget: {seconds: 60, memory_mib: 1500}", "{size: 3}", "data: [numbers.txt]"
CELL = '```{code-cell} ipython3\nprint("a")\n```\n\n'
# (what the file says, what it is made to say): words of the refusal
BROKEN = {
    (BUDGET, "budget: 60"): "`genlab.budget` is 60: it should be a valid dictionary",
    (BUDGET, "budget: {seconds: -1}"): "`genlab.budget.seconds` is -1: it should be greater than 0",
    (BUDGET, "budget: {seconds: 0}"): "`genlab.budget.seconds` is 0: it should be greater than 0",
    (BUDGET, "budget: {seconds: .inf}"): "`genlab.budget.seconds` is inf: it should be a finite",
    (BUDGET, "budget: {seconds: .nan}"): "`genlab.budget.seconds` is nan",
    (BUDGET, "budget: {seconds: yes}"): "`genlab.budget.seconds` is True",
    (BUDGET, "budget: {seconds: 1 h}"): "'1 h': it should be a valid number, as in `budget: {sec",
    (BUDGET, "budget: {memory_mb: 9}"):
        "`genlab.budget.memory_mb` is no key (did you mean 'memory_mib'?)",
    (BUDGET, "budget:"): "`genlab.budget` is empty: write `budget: {seconds: 1800",
    ("budget:", "budgte:"): "`genlab.budgte` is no key (did you mean 'budget'?): there are summary",
    ("quick: {size: 3}", "quick:"): "`genlab.quick` is empty: write `quick: {PARAMETER: VALUE}`",
    ("quick: {size: 3}", "quick: 3"): "`genlab.quick` is 3",
    (QUICK, "{siez: 3}"): "first.md, `quick:` has no parameter 'siez' (did you mean 'size'?)",
    (QUICK, "{size: 0}"): "first.md, `quick:`: parameter size=0 is refused: input should be great",
    (QUICK, "{size: 3.5}"): "first.md, `quick:`: parameter size=3.5 is refused",
    (QUICK, "{size: }"): "first.md cannot be read as a notebook: `size:` is empty",
    (QUICK, "{size: 3, size: 4}"): "key 'size' is given twice",
    (QUICK, "{1: 3}"): "first.md, front matter",
    (DATA, "needs: second"): "`genlab.needs` is 'second': it should be a valid list, as in `needs:",
    (DATA, "needs: [1]"): "`genlab.needs.0` is 1: it should be a valid string",
    (DATA, "needs: [second, second]"): "`genlab.needs` names 'second' twice",
    (DATA, "data: numbers.txt"): "`genlab.data` is 'numbers.txt': it should be a valid list",
    (DATA, "data: [../../etc/passwd]"): "'../../etc/passwd', which is not below data/: write `data",
    (DATA, "data: [/etc/passwd]"): "`genlab.data` names '/etc/passwd', which is not below data/",
    (DATA, "data: [a, a]"): "`genlab.data` names 'a' twice",
    (DATA, "device: tpu"): "`genlab.device` is 'tpu': it should be 'cpu', 'gpu' or 'any'",
    (DATA, "summary: [a]"): "first.md, front matter is no YAML, line 13: key 'summary' is given tw",
    (DATA, "data: [numbers.txt"): "first.md, front matter is no YAML, line 14",
    (DATA, " data: [numbers.txt]"): "first.md, front matter is no YAML, line 1",
    ("kernelspec:", "genlab: {needs: []}\nkernelspec:"): "key 'genlab' is given twice",
    ("# First", "First"): "first.md has no title: begin its text with a line `# Title`",
    ("# First", "## First"): "first.md has no title",
    ("# First", "#"): "first.md has no title",
    (":tags: [parameters]\n", ""): "first.md has 0 cells tagged `parameters`, and it needs exactly",
    ("[nbval-check-output]", "[parameters]"): "first.md has 2 cells tagged `parameters`",
    ("# First\n\n", f"# First\n\n{CELL}"): "has 1 cells tagged `parameters`, after other code",
    ("[nbval-check-output]", "nbval"): "first.md cannot be read as a notebook: 'nbval' is not of",
    ("[nbval-check-output]", "[nbval"): "first.md cannot be read as a notebook",
    (":tags: [nbval-check-output]", ":mystnb: 3"): "first.md, code cell 4: `mystnb` is 3",
    ("seed = 0", "sead = 0"): "first.md declares no parameter `seed`: every section has one",
    ("seed = 0", "seed = (0,"): "first.md, code cell 1 is no Python: line 1, `seed = (0,",
    ("seed = 0", "%seed = 0"): "first.md, code cell 1 is no Python: line 1",
    ("size = 5", "size = 5 + x"): "first.md, parameters cell, line 2: parameter 'size' must be a l",
    ("size = 5", "size = 500"): "the default: parameter size=500 is refused: input should be less",
    ("size = 5", "max = 5"): "parameter 'max' has the name of a function of Python",
    ("{1 .. 100}", "{a .. b}"): "first.md, parameters cell, line 2: parameter 'size': rule {a ..",
    ("import os\n", "x = (1,\n"): "first.md, code cell 2 is no Python: line 1, `x = (1,`",
    ("import os\n", "files = !ls\n"): "code cell 2 is no Python: line 1, `files = !ls`",
    ("import os\n", "%%bash\n"): "first.md, code cell 2 is no Python: line 1, `%%bash`",
    ("    time.sleep(600", "    %time 600"): "first.md, code cell 3 is no Python",
    ("```{code-cell} ipython3\nif", "```{code-cell} bash\nif [ 1 ]; then\nif"): "code cell 3 is no",
}  # fmt: skip


@pytest.mark.parametrize("change", BROKEN)
def test_what_is_wrong_in_a_section_file_is_told_in_one_line(tmp_path, change):
    text = (MINIATURE / "notebooks/first.md").read_text()
    if change[0].startswith("    time.sleep"):
        change = ("    time.sleep(6 if", "    %time (6 if")
        told = "first.md, code cell 3 is no Python: line 4, `%time (6 if"
    else:
        told = BROKEN[change]
    assert change[0] in text
    file = tmp_path / "first.md"
    file.write_text(text.replace(*change, 1))
    line = refusal(read_section, file)
    assert told in line and line.startswith("first.md") and len(line) < 320


def test_what_is_no_text_is_told_in_one_line(tmp_path):
    file = tmp_path / "first.md"
    for content, told in {
        b"": "first.md has no `genlab:` block",
        b"\n \n": "first.md has no `genlab:` block",
        b"# a title\n": "first.md has no `genlab:` block",
        b"---\ngenlab: {a: 1}\n": "first.md has no `genlab:` block",
        b"---\n- genlab\n---\n": "first.md has no `genlab:` block",
        "---\ngenlab: {summary: Größe}\n---\n".encode("latin-1"): "line 2: byte 0xf6 is no UTF-8",
        os.urandom(200) + b"\xff": "first.md",
    }.items():
        file.write_bytes(content)
        assert told in refusal(read_section, file)
    os.remove(file)
    file.mkdir()
    assert "first.md is a folder" in refusal(read_section, file)
    os.rmdir(file)
    os.mkfifo(file)
    assert "first.md is a folder or a device" in refusal(read_section, file)


def test_needs_that_cannot_be_are_told(book):
    book.edit("notebooks/second.md", "needs: [first]", "needs: [frist]")
    assert "second.md, front matter: `genlab.needs` names an unknown section 'frist' (did you" in (
        refusal(get_section, "second")
    )
    assert get_section("first").name == "first"
    book.edit("notebooks/second.md", "needs: [frist]", "needs: [second]")
    assert "circle: second -> second: break it in their `needs:`" in refusal(in_order, ["second"])
    book.edit("notebooks/second.md", "needs: [second]", "needs: [first]")
    book.edit("notebooks/first.md", "data: [numbers.txt]", "needs: [second]")
    book.forget()
    assert "circle: first -> second -> first" in refusal(in_order, ["first"])
    assert "unknown section 'frist' (did you mean 'first'?)" in refusal(get_section, "frist")
    (book.root / "notebooks/second.md").unlink()
    book.forget()
    assert "notebooks/second.md is missing: restore it" in refusal(get_section, "second")


ENTRY = "  - file: notebooks/second\n"
CONTENTS = {
    (
        ENTRY,
        ENTRY * 2,
    ): "_toc.yml: 'notebooks/second' is there twice: list each `notebooks/NAME` on",
    (ENTRY, ENTRY + "  - file: notebooks/first.md\n"): "'notebooks/first.md' is there twice",
    (ENTRY, "  - file: notebooks/sub/second\n"): "'notebooks/sub/second' cannot be the name of a",
    (ENTRY, "  - file: notebooks/../x\n"): "cannot be the name of a section",
    (ENTRY, "  - file: notebooks/.second\n"): "cannot be the name of a section",
    (ENTRY, "  - file: notebooks/my page\n"): "'notebooks/my page' cannot be the name of a section",
    (ENTRY, "  - file: notebooks/trained\n"): "'notebooks/trained' cannot be the name of a section",
    (ENTRY, "  - glob: notebooks/*\n"): "'notebooks/*' cannot be the name of a section",
    (ENTRY, "  - file: [notebooks/second\n"): "_toc.yml is no YAML, line",
    (ENTRY, "  - file: a\n    file: b\n"): "_toc.yml is no YAML, line 6: key 'file' is given twice",
    ("root: book/intro", "rot: book/intro"): "_toc.yml must be a mapping with `root:`",
    ("chapters:\n", "chapters: &a\n  - *a\n"): "_toc.yml: an entry contains itself",
}


@pytest.mark.parametrize("change", CONTENTS)
def test_what_is_wrong_in_the_table_of_contents_is_told_in_one_line(book, change):
    book.edit("_toc.yml", *change)
    assert CONTENTS[change] in refusal(section_names)


def test_a_table_of_contents_that_is_none(book):
    toc = book.root / "_toc.yml"
    for content in (b"", b"- a\n- b\n", b"notebooks/first", b"42"):
        toc.write_bytes(content)
        assert "_toc.yml must be a mapping" in refusal(section_names)
    toc.write_bytes("root: größe".encode("latin-1"))
    assert "_toc.yml, line 1: byte 0xf6 is no UTF-8" in refusal(section_names)
    toc.unlink()
    assert "no _toc.yml in" in refusal(section_names)


def test_a_name_with_a_dot_is_a_name(book):
    book.edit("_toc.yml", ENTRY, ENTRY + "  - file: notebooks/first.v2\n")
    text = (book.root / "notebooks/first.md").read_text()
    (book.root / "notebooks/first.v2.md").write_text(re.sub("# First", "# Größer", text))
    assert section_names() == ("first", "second", "first.v2")
    assert (get_section("first.v2").name, get_section("first.v2").title) == ("first.v2", "Größer")
