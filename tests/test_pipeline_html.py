"""Reports outside the book: numbers as people read them, pictures inside, strips to scale."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from markdown_it import MarkdownIt
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

from genlab.pipeline import html


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (0.123456, "0.1235"),
        (12345.678, "1.235e+04"),
        (True, "True"),
        (None, ""),
        (10**400, str(10**400)),
        (1e300, "1e+300"),
        (-np.inf, "-inf"),
    ],
)
def test_numbers_have_four_digits_and_whole_ones_none_too_many(value, text):
    assert str(html.number(value)) == text


HOSTILE = "<script>alert(1)</script>&\"'{{ 7 * 7 }}{% raw %}"


@pytest.mark.parametrize("template", ["sweep", "compare", "check"])
def test_a_page_escapes_what_it_is_given(tmp_path, monkeypatch, template):
    """Names of metrics, sections, parameters and figures, values, and messages."""
    monkeypatch.setattr(html, "BUILD", tmp_path)
    record = {"key": HOSTILE, "seconds": 1.0, "peak_memory_mib": 2, "commit": HOSTILE, "dirty": 1}
    run = SimpleNamespace(name=HOSTILE, record=record)
    row = SimpleNamespace(
        name=HOSTILE, better=HOSTILE, deltas=[None], errors=[None], sign=lambda i: ""
    )
    row.values = [1.0]
    judgement = SimpleNamespace(
        name=(HOSTILE, HOSTILE),
        better=HOSTILE,
        verdict="worse",
        alarm=True,
        shift=1.0,
        baseline=[1.0, 2.0],
        fresh=[9.0],
        low=0.0,
        high=3.0,
    )
    result = SimpleNamespace(
        section=HOSTILE,
        passed=False,
        problem=HOSTILE,
        device=HOSTILE,
        missing=[HOSTILE],
        new=[HOSTILE],
        judgements=[judgement],
        baseline=SimpleNamespace(seeds=[101, 102], device="cpu"),
        seeds=[0],
        visible=3.0,
    )
    page = html.write(
        f"{template}.html",
        f"{template}.html",
        title=HOSTILE,
        count=1,
        seeds=1,
        confidence=0.95,
        plots={HOSTILE: b"png"},
        header=[HOSTILE],
        rows=[row] if template == "compare" else [{HOSTILE: HOSTILE}],
        runs=[run, run],
        figures={HOSTILE: [b"png", None]},
        parameters={HOSTILE: [HOSTILE, [HOSTILE]]},
        code=[(HOSTILE, [HOSTILE])],
        profile=HOSTILE,
        passed=0,
        results=[result],
        alarms=[],
        alarm_rate=0.01,
        mean_and_sd=str,
        interval_text=lambda j: HOSTILE,
        strip=html.strip,
    ).read_text("utf-8")
    assert "<script" not in page and page.count("&lt;script&gt;") > 5 and "49" not in page
    assert "data:image/png;base64," in page or template == "check"


@pytest.mark.parametrize(
    "text",
    [
        "plain words, 1,234 of 5.6e-7 (a): 2026-11-22",
        "<b>bold</b> & <script>",
        "*a* _b_ **c** ~~d~~ `e` $f$ [g](h) ![i](j) {ref}`k` {{ l }} \\ | m",
        "[^1] [[n]] <https://o> &amp;",
    ],
)
def test_text_in_markdown_means_only_itself(text):
    """Read by the parser of the book, in a cell of a table and in a paragraph."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.use(dollarmath_plugin).use(myst_role_plugin)
    for shown, tokens in (
        (html.plain(text), {"text"}),
        (html.literal(text), {"text", "code_inline"}),
    ):
        cell = f"| x |\n|---|\n| x {shown} y |"
        content = [t for t in parser.parse(cell) if t.type == "inline"][-1].children
        assert {token.type for token in content} <= tokens | {"text_special"}
        assert "".join(token.content for token in content) == f"x {text} y"
    (paragraph,) = [t for t in parser.parse(f"x {html.plain(text)} y") if t.type == "inline"]
    assert "".join(token.content for token in paragraph.children) == f"x {text} y"


def test_a_strip_puts_values_where_they_are():
    """The interval from 0 to 10 on 150 pixels, ten of them left free on each side."""
    strip = html.strip([0.0, 5.0, 10.0], [7.5, np.nan], 0.0, 10.0)
    assert re.findall(r'class="tick" x1="([\d.]+)"', strip) == ["10.0", "75.0", "140.0"]
    assert re.findall(r'cx="([\d.]+)"', strip) == ["107.5"]
    open_below = html.strip([0.0, 10.0], [5.0], -np.inf, 10.0)
    assert 'class="interval" x="0"' in open_below and 'width="140.0"' in open_below


def test_a_table_in_markdown_has_its_numbers_on_the_right():
    table = html.markdown(("a", "b"), [("x", "1"), ("y", "")], right=("b",))
    assert table.splitlines() == ["| a | b |", "|---|--:|", "| x | 1 |", "| y |  |"]
    assert html.markdown(("a",), []).splitlines() == ["| a |", "|---|"]


def test_a_table_says_text_as_text_and_numbers_as_they_sort():
    table = html.sortable(
        ("a", "b<"), [("<i>\n\n# x", 1234.5678), (Markup("<b>y</b>"), None)], ids=("A", "B")
    )
    assert "<th scope='col'>b&lt;</th>" in table and "<td>&lt;i&gt; # x</td>" in table
    assert "<td class='number' data-value='1234.5678'>1235</td>" in table
    assert "<tr id='B'><td><b>y</b></td><td></td></tr>" in table and "\n" not in table
    assert "genlab-sortable" in table
    assert "genlab-sortable" not in html.sortable(("a",), [("x",)], plain=True)
