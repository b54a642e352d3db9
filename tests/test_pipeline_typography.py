"""Numbers are set as they are printed; names, ranges, code and attributes stay as they are."""

from types import SimpleNamespace

import pytest
from docutils import nodes
from docutils.utils import new_document

from genlab.pipeline.site.typography import in_html, on_page, printed

THIN = "\u202f"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("from -143 to -.5 nats", "from −143 to −.5 nats"),
        ("(-1.39, -1.2) [-21.5] ±-3", "(−1.39, −1.2) [−21.5] ±−3"),
        ("7.30% and 1.83 %, 5\u00a0%", f"7.30{THIN}% and 1.83{THIN}%, 5{THIN}%"),
        ("at 1e-3, -2e+17.", f"at 10⁻³, −2{THIN}×{THIN}10¹⁷."),
        ("1.1e-04", f"1.1{THIN}×{THIN}10⁻⁴"),
        # no negative numbers, no per cents, no powers
        *((same, same) for same in (
            "2-D", "pages 3-5", "A-1", "2026-11-29", "top-1", "x-1", "f(x)-1", "--2", "100%s",
            "83e3332a", "e-3", "v1e3x", "-x", "per cent",
        )),
    ],
)  # fmt: skip
def test_numbers_are_set(typed, shown):
    assert printed(typed) == shown
    assert printed(shown) == shown


def test_only_the_texts_of_html_change():
    html = "<td data-value='-5' class='a'>-5 <code>-5 %</code><svg><text>-5</text></svg></td>-5 %"
    shown = "<td data-value='-5' class='a'>−5 <code>-5 %</code><svg><text>-5</text></svg></td>−5"
    assert in_html(html) == f"{shown}{THIN}%"
    assert printed(html) != in_html(html)  # without care attributes and code change


def page(*inside: nodes.Node) -> str:
    document = new_document("page")
    document += nodes.paragraph("", "", *inside)
    on_page(SimpleNamespace(builder=SimpleNamespace(format="html")), document, "page")
    return document.astext()


def test_a_bound_number_and_the_sign_after_it_are_one():
    bound = nodes.inline("", "-7.3", classes=["pasted-text"])
    assert page(bound, nodes.Text(" % of it")) == f"−7.3{THIN}% of it"
    assert page(nodes.inline("", "x"), nodes.Text(" % of it")) == "x % of it"


@pytest.mark.parametrize("kind", [nodes.literal, nodes.math, nodes.comment])
def test_code_and_formulas_are_left_alone(kind):
    assert page(kind("", "-1 %")) == "-1 %"


def test_html_is_set_and_no_other_raw_text():
    table = "<table><tr><td>-1</td></tr></table><script>x = -1</script>"
    shown = table.replace("<td>-", "<td>−")
    assert page(nodes.raw("", table, format="html")) == shown
    assert page(nodes.raw("", table, format="latex")) == table
