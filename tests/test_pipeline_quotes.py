"""Numbers in prose are those of the records, and prose that quotes what is not there is refused."""

import pytest

from genlab.pipeline.runs.pages import section_names
from genlab.pipeline.views import quotes
from genlab.section.paths import UserError

RECORD = {
    "section": "first",
    "params": {"size": 3, "rate": 0.001},
    "metrics": {"a/w2": {"value": 0.25, "se": 0.0125, "limit": 0.2, "null_mean": 0.21}},
}


@pytest.mark.parametrize(
    ("prose", "said"),
    [
        ("of {glue:text}`params/size` and {glue:text}`params/rate:.0e`", "of 3 and 1e-03"),
        ("± {glue:text}`a/w2.se:.3f`, {glue:text}`a/w2.limit`", "± 0.013, 0.2"),
        ("{glue:text}`a/w2.null_mean:.1f`", "0.2"),
        ("{glue:text}`a/w2:.3f` and {glue:text}`other`", None),  # what the run glued itself
    ],
)
def test_prose_quotes_parameters_and_what_stands_beside_a_number(prose, said):
    assert quotes.of_run(prose, RECORD) == (prose if said is None else said)


@pytest.mark.parametrize("name", ["params/sise", "a/w2.sd", "b.se"])
def test_prose_that_quotes_what_is_not_there_is_refused(name):
    with pytest.raises(UserError, match=r"first quotes .* which its run has not"):
        quotes.of_run(f"{{glue:text}}`{name}:.2f`", RECORD)


NAME = section_names()[0]
OTHER = section_names()[1]


@pytest.mark.parametrize(
    ("quoted", "said"),
    [
        ("a/w2:.3f", "0.250"),
        ("a/w2", "0.25"),
        ("a/w2.se:.3f", "0.013"),
        ("b.c", "−1.5"),
        ("b.c:.0f", "−2"),
        ("params/size", "3"),
    ],
)
def test_pages_of_the_book_quote_any_run(quoted, said):
    record = RECORD | {"metrics": RECORD["metrics"] | {"b.c": {"value": -1.5}}}
    text = f"It is {{glue:text}}`{NAME}:{quoted}`, {{glue:text}}`claim/A01`."
    told = quotes.of_book(text, {NAME: record}, "intro")
    assert told == f"It is {said}, {{glue:text}}`claim/A01`."
    assert quotes.pages(text) == {NAME}


@pytest.mark.parametrize("quoted", ["a/w3:.3f", "a/w2.sd", "a/w2.value", "params/sise"])
def test_a_page_of_the_book_that_quotes_what_no_run_has_is_refused(quoted):
    with pytest.raises(UserError, match=r"intro quotes .* which that run has not"):
        quotes.of_book(f"{{glue:text}}`{NAME}:{quoted}`", {NAME: RECORD}, "intro")


def test_a_page_that_is_not_in_the_book_is_refused_and_one_that_is_not_shown_is_left_out():
    with pytest.raises(UserError, match="of no page of the book"):
        quotes.of_book(f"{{glue:text}}`{NAME[:-1]}:a/w2`", {NAME: RECORD}, "intro")
    assert quotes.of_book(f"{{glue:text}}`{OTHER}:a/w2`", {NAME: RECORD}, "x") == "(not shown)"
