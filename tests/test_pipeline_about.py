"""The box below a page's title: what a record says is text, its command runs, its numbers of a
quick run are no results."""

import html
import re
import shlex

import pytest
from bs4 import BeautifulSoup

from genlab.pipeline.runs.pages import get_section, section_names
from genlab.pipeline.runs.store import published
from genlab.pipeline.views.about import FILES, about_run, other_value, stale_mark

BOOK = ("how_to_read", "how_to_rerun", "ledger", "claims", "scoreboard")


@pytest.fixture(scope="module")
def section():
    return get_section("dsm")


def record_of(section, profile="full", **given):
    facts = {"profile": profile, "params": section.values(profile, given), "device": "cpu"}
    facts |= {"seed": 0, "key": "k" * 16, "commit": "c" * 12, "dirty": False, "seconds": 61.0}
    facts |= {"started": "2026-11-29T08:07:06+00:00", "peak_memory_mib": 1234}
    return facts | {"metrics": {"a": {"value": 1.0}}}


def boxed(record, section, **options):
    return BeautifulSoup(about_run(record, section, **options), "html.parser")


def test_what_a_record_says_is_text_on_the_page():
    section = get_section(section_names()[0])
    bad = "<script>`*x*`{{ y }}</script>\n\n# z"
    record = {"profile": bad, "device": bad, "seed": bad, "key": bad, "commit": bad, "dirty": True}
    record |= {"params": {"points": bad}, "seconds": 61, "peak_memory_mib": 1, "started": bad}
    for more in ({}, {"carried": [{"commit": bad}]}):
        line = about_run(record | more, section)
        assert "<script" not in line and line.count("&lt;script&gt;") >= 5
        assert line.count("\n") == 1  # a blank line would end the block of HTML
    mark = stale_mark([bad])
    assert r"\<script\>\`\*x\*\`\{\{ y \}\}" in mark and "\n# z" not in mark


def test_one_line_says_what_made_the_page_and_the_rest_is_one_click_away(section):
    box = boxed(record_of(section), section).select_one("details.genlab-run")
    first = box.summary.get_text(" ", strip=True)
    assert "full profile" in first and "2026-11-29" in first and "1 min 1 s" in first
    assert "open" not in box.attrs
    rest = box.get_text()
    for fact in ("k" * 16, "c" * 12, "1,234 MiB", "seed 0", "notebooks/dsm.md"):
        assert fact in rest and fact not in first


@pytest.mark.parametrize("name", section_names())
def test_the_command_of_each_page_changes_one_parameter_as_its_rule_allows(name):
    """As the command line reads it; the twin, the published value, would change nothing."""
    section = get_section(name)
    code = boxed(record_of(section), section).select_one("div.highlight pre").get_text()
    run, page = map(shlex.split, code.splitlines())
    assert run[:3] == ["genlab", "run", name] and page[:3] == ["genlab", "page", name]
    assert run[4] == page[4] and run[3] == "-p"
    key, value = run[4].split("=", 1)
    quick = section.values("quick", {key: value})
    assert quick[key] not in (section.values("quick", {})[key], section.values("full", {})[key])
    assert key != "seed"


def test_a_page_without_a_number_to_change_says_its_plain_command(section):
    bare = type(section)(**{**vars(section), "parameters": section.parameters[:1]})
    assert bare.parameters[0].name == "seed" and other_value(bare) is None
    record = record_of(bare)
    assert "genlab run dsm&#10;genlab page dsm --open" in about_run(record, bare)


def test_a_quick_run_says_above_all_that_it_is_no_result(section):
    quick = about_run(record_of(section, "quick"), section)
    assert quick.startswith("```{admonition} A quick run: these numbers are not results")
    assert "\n\n<details" in quick  # the box is not part of the warning
    assert "not results" not in about_run(record_of(section), section)


def test_values_that_were_given_are_seen_at_once_and_quick_ones_on_a_click(section):
    given = boxed(record_of(section, "quick", sigma=0.3), section)
    first, rest = given.summary.get_text(), given.get_text()
    assert "sigma = 0.3" in first and "langevin_steps" not in first
    assert "Not the published values" in rest and "langevin_steps = 200" in rest
    assert "Not the published" not in boxed(record_of(section), section).get_text()


def test_links_are_of_what_is_there(section):
    files = {"dsm.py": 100, "dsm.numbers.csv": 20_000, "dsm.npz": 2_500_000}
    box = boxed(record_of(section), section, files=files, pages=BOOK)
    links = [a["href"] for a in box.select("a")]
    assert [link for link in links if "downloads" in link] == [f"../downloads/{f}" for f in files]
    assert ".npz, 2.5 MB" in box.get_text()
    for page in BOOK:
        assert sum(link.startswith(f"../book/{page}.html") for link in links) == 1
    assert "../book/ledger.html?rows=page:dsm#numbers" in links
    assert boxed(record_of(section), section).select("a") == []
    with pytest.raises(KeyError):  # a file that nobody named
        about_run(record_of(section), section, files={"dsm.exe": 1})


def test_published_runs_have_their_box():
    for name in section_names():
        run = published(name)
        said = html.unescape(about_run(run.record, get_section(name)))
        assert run.record["key"] in said and re.search(r"\d\d\d\d-\d\d-\d\d", said)
    assert set(FILES) >= {"ipynb", "py", "md", "json", "npz"}
