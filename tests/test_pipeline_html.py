"""Reports outside the book: numbers as people read them, pictures inside, strips to scale."""

import base64
import re

import numpy as np
import pytest

from genlab.pipeline import html


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.0, "3"), (0.123456, "0.1235"), (12345.678, "1.235e+04"), (True, "True"), (None, "")],
)
def test_numbers_have_four_digits_and_whole_ones_none_too_many(value, text):
    assert str(html.number(value)) == text


def test_a_page_escapes_what_it_is_given_and_holds_its_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(html, "BUILD", tmp_path)
    about = {"section": "<b>", "rows": []}
    page = html.Environment(autoescape=True).from_string("{{ section }} {{ picture }}")
    shown = page.render(picture=html.picture(b"png"), **about)
    assert shown == f"&lt;b&gt; data:image/png;base64,{base64.b64encode(b'png').decode()}"


def test_a_strip_puts_values_where_they_are():
    """The interval from 0 to 10 on 150 pixels, ten of them left free on each side."""
    strip = html.strip([0.0, 5.0, 10.0], [7.5, np.nan], 0.0, 10.0)
    assert re.findall(r'class="tick" x1="([\d.]+)"', strip) == ["10.0", "75.0", "140.0"]
    assert re.findall(r'cx="([\d.]+)"', strip) == ["107.5"]
    open_below = html.strip([0.0, 10.0], [5.0], -np.inf, 10.0)
    assert 'class="interval" x="0"' in open_below and 'width="140.0"' in open_below
