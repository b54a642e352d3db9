"""What commands share: NAME=VALUE words, sections by name or all of them."""

import click
import pytest

from genlab.pipeline import options
from genlab.pipeline.options import assignments, chosen
from genlab.pipeline.runs.pages import section_names
from genlab.section.paths import UserError


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
