"""Numbers on the right and words on the left, in tables of Markdown and of pandas."""

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from docutils import nodes

from genlab.pipeline.site.columns import PANDAS, is_number, mark, of_numbers, restyled


@pytest.mark.parametrize(
    "text",
    ["0.5", "−1.2 ± 0.1", "7.3\u202f%", "8 of 8", "2 × 10⁻³", "(3)", "1,000", "± 0.01", "5 min"],
)
def test_numbers_with_what_belongs_to_them(text):
    assert is_number(text)


@pytest.mark.parametrize(
    "text", ["yes", "A3", "—", "500,000 (pinwheel 1,000,000)", "1 of the sets"]
)
def test_words_are_no_numbers(text):
    assert not is_number(text)


def test_a_column_of_numbers_may_have_gaps_but_no_words():
    assert of_numbers(["1", "", " — ", "2.5"])
    assert not of_numbers(["1", "yes"]) and not of_numbers(["", "—"])


def table(*rows: list[str], classes: dict[int, str] | None = None) -> nodes.table:
    def row(texts):
        made = nodes.row()
        for i, text in enumerate(texts):
            kinds = [classes[i]] if classes and i in classes else []
            made += nodes.entry("", nodes.paragraph("", text), classes=kinds)
        return made

    head, *body = map(row, rows)
    group = nodes.tgroup("", nodes.thead("", head), nodes.tbody("", *body), cols=len(rows[0]))
    return nodes.table("", group)


def right(made: nodes.table) -> list[list[bool]]:
    return [["text-right" in cell["classes"] for cell in row] for row in made.findall(nodes.row)]


def test_number_columns_are_marked_with_their_heads_but_the_first_is_none():
    made = table(["n", "a", "b"], ["1", "0.5", "yes"], ["2", "", "no"])
    mark(made)
    assert right(made) == [[False, True, False]] * 3


def test_what_an_author_aligned_stays():
    made = table(["n", "a"], ["1", "0.5"], classes={1: "text-left"})
    mark(made)
    assert right(made) == [[False, False]] * 2


def test_a_table_of_pandas_has_words_at_its_heads():
    frame = pd.DataFrame(
        {"kde_log_density": [1.5, -2.0], "said": ["yes", "no"]}, ["two_spirals", "eight_gaussians"]
    )
    made = BeautifulSoup(restyled(frame.to_html()), "html.parser")
    heads = [th.get_text() for th in made.find_all("th")]
    assert heads == ["", "KDE log density", "said", "two spirals", "eight Gaussians"]
    assert [td.get("class") for td in made.find_all("td")] == [["number"], None] * 2
    assert not made.select("[style], [border]")
    assert [th.get("class") for th in made.select("thead th")] == [None, ["number"], None]


@pytest.mark.parametrize(
    ("name", "said"),
    [("w2", "W₂"), ("sliced_w2", "sliced W₂"), ("mmd2_1p0", "MMD² (1.0)"), ("W_2 x", "W_2 x")],
)
def test_names_of_variables_are_said_in_words(name, said):
    assert f"<th>{said}</th>" in restyled(pd.DataFrame({name: ["a"]}).to_html())


def test_groups_of_columns_keep_their_head():
    frame = pd.DataFrame({("a_b", "x"): [1.0], ("a_b", "y"): [2.0]})
    made = BeautifulSoup(restyled(frame.to_html()), "html.parser")
    top, low = made.select("thead tr")
    assert "number" not in str(top) and str(low).count("number") == 2 and "a b" in top.get_text()


def test_a_styled_table_with_groups_of_rows_is_one_of_pandas():
    rows = pd.MultiIndex.from_product([["one", "two"], ["x", "y"]], names=["set", "model"])
    frame = pd.DataFrame({"n": range(4), "said": list("abcd")}, rows)
    html = frame.style.format({"n": "{:.1f}"}).to_html()
    assert PANDAS.search(html) and not PANDAS.search("<table class='genlab-table'>")
    made = BeautifulSoup(restyled(html), "html.parser")
    assert made.table["class"] == ["dataframe"] and not made.select("style, [id^=T_]:not(th, td)")
    assert [td.get_text() for td in made.select("td.number")] == ["0.0", "1.0", "2.0", "3.0"]
    assert [th.get_text() for th in made.select("thead th.number")] == ["n", ""]
    assert [th["rowspan"] for th in made.select("tbody th[rowspan]")] == ["2", "2"]
