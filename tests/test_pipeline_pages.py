"""A section file as data: parameters parse as they are written, cells keep their names, and what is
no section is refused."""

import pytest
from pipeline import Project, one_line

from genlab.pipeline.runs.pages import parse_parameters, read_section
from genlab.section.paths import UserError


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_parameters_parse_with_unit_and_rule():
    source = (
        "a = 1  # count of things [things] {1 .. 2_000}\n"
        "b = 'x'  # choice {x | y}\n"
        "c = [0.5, 1.0]  # levels [nats] {> 0}\n"
        "d = True"
    )
    a, b, c, d = parse_parameters(source, "test")
    assert (a.meaning, a.unit, a.rule, a.type_name) == (
        "count of things",
        "things",
        "1 .. 2_000",
        "int",
    )
    assert (b.rule, c.unit, c.type_name, d.meaning) == ("x | y", "nats", "list of float", "")


@pytest.mark.parametrize("source", ["a = b", "a, b = 1, 2", "print(1)", "a = len('x')"])
def test_a_parameter_must_be_a_literal(source):
    with pytest.raises(UserError, match=r"literal"):
        parse_parameters(source, "test")


def test_cell_ids_do_not_change_between_readings(project):
    ids = [
        [c.id for c in read_section(project.root / "notebooks/first.md").notebook.cells]
        for _ in range(2)
    ]
    assert ids[0] == ids[1] and len(set(ids[0])) == len(ids[0])


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
        result = project.genlab("run", "second")
        line = one_line(result.stderr)
        assert (
            result.returncode == 2
            and told in line
            and "git checkout -p notebooks/second.md" in line
        )
    assert project.snapshot() == {}


def test_no_parameters_cell_no_section_file_and_circles(project):
    project.edit("notebooks/second.md", ":tags: [parameters]\n", "")
    result = project.genlab("run", "second")
    assert result.returncode == 2 and "second.md has 0 cells tagged `parameters`" in one_line(
        result.stderr
    )
    (project.root / "notebooks/second.md").unlink()
    assert "notebooks/second.md is missing" in one_line(project.genlab("run", "second").stderr)
    project.edit("notebooks/first.md", "data: [numbers.txt]", "needs: [first]")
    assert "circle: first -> first" in one_line(project.genlab("run", "first").stderr)
