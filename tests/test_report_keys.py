"""Keys: each part changes exactly the keys it should; parameters parse as they are written."""

import json
import subprocess
import sys

import pytest
from pipeline import Project

from genlab.report import closure, sections
from genlab.report.paths import UserError

KEYS = (
    "import json; from genlab.report.keys import default_key; from genlab.report.sections import section_names; "
    "print(json.dumps({n: {p: default_key(n, p) for p in ('quick', 'full')} for n in section_names()}))"
)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def keys(project):
    result = subprocess.run([sys.executable, "-c", KEYS], env=project.env, capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


CHANGES = {
    "code of the first": (("notebooks/first.md", "scale * size", "size * scale"), {"first", "second"}),
    "code of the second": (("notebooks/second.md", '"total"', '"sum"'), {"second"}),
    "an import of the second": (("notebooks/second.md", "import section", "import section\nimport genlab.streams"), {"second"}),
    "prose": (("notebooks/first.md", "It uses", "It needs"), set()),
    "a comment on a parameter": (("notebooks/first.md", "# a factor", "# some factor"), set()),
    "a default": (("notebooks/first.md", "scale = 2.0", "scale = 3.0"), {"first", "second"}),
    "data": (("data/SHA256SUMS", "  numbers", "0  numbers"), {"first", "second"}),
    "the lock": (("requirements.lock", "2.4.6", "2.4.7"), {"first", "second"}),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_moves_exactly_the_keys_it_should(project, change):
    before = keys(project)
    edit, expected = CHANGES[change]
    project.edit(*edit)
    after = keys(project)
    assert {name for name in before if before[name]["full"] != after[name]["full"]} == expected


def test_quick_values_move_the_quick_key_only(project):
    before = keys(project)
    project.edit("notebooks/first.md", "quick: {size: 3}", "quick: {size: 4}")
    after = keys(project)
    assert before["first"]["full"] == after["first"]["full"] and before["first"]["quick"] != after["first"]["quick"]


def test_closure_is_transitive_and_no_wider():
    names = closure.import_closure({"genlab.toys.score"})
    assert {
        "genlab.toys.score",
        "genlab.toys.langevin",
        "genlab.toys.networks",
        "genlab.streams",
        "genlab.data.toy",
    } <= set(names)
    assert not {n for n in names if n.startswith(("genlab.report", "genlab.plots", "genlab.metrics"))}
    assert closure.imported_modules("import numpy\nfrom genlab import plots\nfrom genlab.toys import energy as e") == {
        "genlab", "genlab.plots", "genlab.toys", "genlab.toys.energy"}  # fmt: skip


def test_parameters_parse_with_unit_and_rule():
    source = "a = 1  # count of things [things] {1 .. 2_000}\nb = 'x'  # choice {x | y}\nc = [0.5, 1.0]  # levels [nats] {> 0}\nd = True"
    a, b, c, d = sections.parse_parameters(source, "test")
    assert (a.meaning, a.unit, a.rule, a.type_name) == ("count of things", "things", "1 .. 2_000", "int")
    assert (b.rule, c.unit, c.type_name, d.meaning) == ("x | y", "nats", "list of float", "")


@pytest.mark.parametrize("source", ["a = b", "a, b = 1, 2", "print(1)", "a = len('x')"])
def test_a_parameter_must_be_a_literal(source):
    with pytest.raises(UserError, match=r"literal"):
        sections.parse_parameters(source, "test")


def test_cell_ids_do_not_change_between_readings(project):
    ids = [[c.id for c in sections.read_section(project.root / "notebooks/first.md").notebook.cells] for _ in range(2)]
    assert ids[0] == ids[1] and len(set(ids[0])) == len(ids[0])
