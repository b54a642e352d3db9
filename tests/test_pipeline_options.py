"""What commands share: NAME=VALUE words, sections by name or all of them, and the points of a
sweep, of which what contradicts itself is refused before anything runs."""

import os

import click
import pytest
from pipeline import MINIATURE
from rich.table import Table

from genlab.pipeline import options
from genlab.pipeline.options import assignments, chosen, combined, one_line, points
from genlab.pipeline.runs import pages
from genlab.pipeline.runs.pages import get_section, section_names
from genlab.section.paths import UserError


@pytest.fixture
def miniature(monkeypatch):
    """The miniature book, read in this process."""
    monkeypatch.setattr(pages, "ROOT", MINIATURE)
    for cached in (section_names, get_section):
        cached.cache_clear()
    yield
    for cached in (section_names, get_section):
        cached.cache_clear()


def test_assignments_are_split_at_the_first_sign():
    assert assignments(["sigma=0.3", "name=a=b", "none="]) == {
        "sigma": "0.3",
        "name": "a=b",
        "none": "",
    }
    with pytest.raises(UserError, match="'sigma' must read NAME=VALUE"):
        assignments(["sigma"])


def test_sections_are_named_or_all():
    assert chosen(["ebm"], False) == ["ebm"] and chosen([], True) == list(section_names())
    for sections, everything in (([], False), (["ebm"], True)):
        with pytest.raises(UserError, match="one of the two"):
            chosen(sections, everything)
    with pytest.raises(UserError, match=r"unknown section 'emb' \(did you mean 'ebm'"):
        chosen(["emb"], False)


def test_a_command_gets_its_sections_and_its_run():
    seen = {}

    @click.command()
    @options.some_or_all
    def several(names):
        seen["names"] = names

    @click.command()
    @options.one_run
    def one(**given):
        seen.update(given)

    several.main(["--all"], standalone_mode=False)
    assert seen["names"] == list(section_names())
    one.main(["ebm", "-p", "steps=3", "--seed", "2", "--profile", "full"], standalone_mode=False)
    assert (seen["section"], seen["profile"]) == ("ebm", "full")
    assert seen["given"] == {"steps": "3", "seed": 2}


def test_failed_jobs_are_told_and_end_the_command(capsys):
    class Job:
        def __init__(self, state):
            self.section, self.state, self.message = "ebm", state, "why not"

    options.fail_if_any([Job("done"), Job("reused")])
    with pytest.raises(SystemExit) as end:
        options.fail_if_any([Job("done"), Job("failed")])
    assert end.value.code == 1 and capsys.readouterr().err == "genlab: ebm failed: why not\n"


def test_a_name_is_given_once_and_a_word_names_something():
    for word in ("sigma", "=3", " =3", ""):
        with pytest.raises(UserError, match=f"'{word}' must read NAME=VALUE"):
            assignments([word])
    with pytest.raises(UserError, match="-p size=1 and -p size=2 contradict each other: give one"):
        assignments(["size=1", "size=2"])


def test_words_are_utf8_whatever_the_locale_took_them_for():
    assert assignments(["name=Größe"]) == {"name": "Größe"}
    with pytest.raises(UserError, match="is no UTF-8"):
        assignments([os.fsdecode(b"name=Gr\xf6\xdfe")])


def test_the_seed_is_said_once():
    assert combined(["size=3"], None) == {"size": "3"}
    assert combined(["size=3"], 4) == {"size": "3", "seed": 4}
    assert combined(["seed=3"], None) == {"seed": "3"}
    with pytest.raises(UserError, match="-p seed=3 and --seed 4 both say the seed: give one"):
        combined(["seed=3"], 4)


SWEEPS = [
    (("seed=5,6",), (), None, ["seed"], [{"seed": 5}, {"seed": 6}]),
    (("size=2,4",), ("scale=3",), None,
     ["size", "seed"], [{"size": 2, "scale": "3"}, {"size": 4, "scale": "3"}]),
    (("size= 2 , 1_0",), (), 2,
     ["size", "seed"], [{"size": n, "seed": s} for n in (2, 10) for s in (0, 1)]),
    (("names=a,b;c",), (), None, ["names", "seed"], [{"names": ["a", "b"]}, {"names": ["c"]}]),
    (("size=2",), ("seed=7",), None, ["size", "seed"], [{"size": 2, "seed": "7"}]),
    (("seed=5", "loud=true,false"), (), None,
     ["loud", "seed"], [{"seed": 5, "loud": True}, {"seed": 5, "loud": False}]),
]  # fmt: skip


@pytest.mark.parametrize(("grid", "fixed", "seeds", "names", "found"), SWEEPS)
def test_a_sweep_is_what_was_asked_for(miniature, grid, fixed, seeds, names, found):
    assert points("first", grid, fixed, seeds) == (names, found)


CONTRADICTIONS = {
    (("size=2,4",), ("size=9",), None): "-p size=9 and -g size=… contradict each other: give one",
    (("size=2", "size=4"), (), None): "-g size=2 and -g size=4 contradict each other: give one",
    (("size=2",), ("scale=1", "scale=2"), None): "-p scale=1 and -p scale=2 contradict each other",
    (("seed=1,2",), (), 3): "-g seed=… and --seeds 3 both say the seeds: give one of them",
    (("size=2",), ("seed=1",), 3): "-p seed=… and --seeds 3 both say the seeds",
    (("size=2,2",), (), None): "-g size=2,2: 2 is there twice: give it once",
    (("scale=1,1.0,2",), (), None): "-g scale=1,1.0,2: 1.0 is there twice",
    (("size=",), (), None): "-g size= has an empty value: give one, or leave it out",
    (("size=1,,2",), (), None): "-g size=1,,2 has an empty value",
    (("names=a;",), (), None): "-g names=a; has an empty value",
    (("names=a,b",), (), None):
        "names is a list, so `;` parts its values, as in -g 'names=a;b'; for one list say -p names",
    (("names=a;d",), (), None): "first: parameter names='d' is refused",
    (("size=1,x",), (), None): "first: parameter size='x' is refused",
    (("size=1,1e3",), (), None): "first: parameter size='1e3' is refused",
    (("scale=1,nan",), (), None): "first: parameter scale='nan' is refused",
    (("size=1;2",), (), None): "first: parameter size='1;2' is refused",
    (("siez=1",), (), None): "first has no parameter 'siez' (did you mean 'size'?)",
    ((" size=1",), (), None): "first has no parameter ' size'",
    (("größe=1",), (), None): "first has no parameter 'größe'",
    (("size=1,2", "scale=1,2,3"), (), 2000):
        "this sweep would be 12,000 runs, and at most 10,000 are one sweep",
    (("size=1",), (), 10**9): "this sweep would be 1,000,000,000 runs",
    ((f"seed={','.join(map(str, range(20_000)))}",), (), None): "-g seed=… has 20,000 values",
}  # fmt: skip


@pytest.mark.parametrize("words", CONTRADICTIONS, ids=range(len(CONTRADICTIONS)))
def test_what_contradicts_itself_is_refused_before_anything_runs(miniature, words):
    with pytest.raises(UserError) as error:
        points("first", *words)
    assert CONTRADICTIONS[words] in str(error.value) and len(str(error.value)) < 300


def test_a_column_of_every_sweep_is_no_axis(miniature, monkeypatch):
    section = get_section("first")
    named = type(section.parameter("size"))("key", 1, "", "", "")
    monkeypatch.setattr(type(section), "parameter", lambda *_: named)
    with pytest.raises(UserError, match="has a column key: rename the parameter"):
        points("first", ["key=1,2"], [], None)


def test_a_message_is_one_line_that_steers_no_terminal():
    assert one_line("a\n  b\x1b[31m\x1b]0;c\x07\u202e") == "a b?]0;c??"


def test_all_leaves_out_what_cannot_be_read(miniature, monkeypatch, capsys):
    """And whatever needs it; each in a line of its own."""
    read = pages.read_section

    def one_broken(path):
        if path.stem == "first":
            raise UserError("first.md is no section")
        return read(path)

    monkeypatch.setattr(pages, "read_section", one_broken)
    assert chosen([], True) == []
    assert capsys.readouterr().err.splitlines() == [
        "genlab: first is left out: first.md is no section",
        "genlab: second is left out: first.md is no section",
    ]
    assert chosen(["second"], False) == ["second"]
    with pytest.raises(UserError, match=r"first\.md is no section"):
        chosen(["second", "first"], False)


def test_a_value_in_a_table_is_text(capsys):
    table = Table("[bold]name[/bold]")
    table.add_row("[red]mode[/red] :car: Größe [/]")
    options.show_table(table)
    shown = capsys.readouterr().out
    assert "[bold]name[/bold]" in shown and "[red]mode[/red] :car: Größe [/]" in shown
