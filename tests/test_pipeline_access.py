"""Markup of the theme and the extensions that is mended for keyboards and screen readers."""

import pytest
from bs4 import BeautifulSoup

from genlab.pipeline.site import access


def mended(body):
    context = {"body": body}
    access.mend(None, "page", "page.html", context, None)
    return context["body"]


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        (
            '<summary aria-label="Toggle hidden content">\n<p>Show the code</p>',
            "<summary>\n<p>Show the code</p>",
        ),
        ('<th class="head"><p></p></th>', "<td><p></p></td>"),
        ("<tr><th></th><th>a</th></tr>", "<tr><td></td><th>a</th></tr>"),
        ('<th class="blank level0">&nbsp;</th>', "<td>&nbsp;</td>"),
        (
            "<dt>f(<dl>\n<dd><em>a</em>,</dd>\n<dd>b</dd>\n</dl>)</dt>",
            '<dt>f(<div class="genlab-lines"><div><em>a</em>,</div>\n<div>b</div>\n</div>)</dt>',
        ),
    ],
)
def test_what_is_mended(found, meant):
    assert mended(found) == meant


@pytest.mark.parametrize(
    "sound",
    [
        "<thead><tr><td>a</td></tr></thead>",
        '<th class="head"><p>n</p></th>',
        "<th>a</th><td></td><th>b</th>",
        '<summary aria-label="More">x</summary>',
        "<dl>\n<dt>a term</dt><dd>means</dd>\n</dl>",
    ],
)
def test_what_is_sound_stays(sound):
    assert mended(sound) == sound


def test_an_arrow_in_the_list_of_pages_has_a_name():
    arrow = '<details><summary><span class="toctree-toggle"></span></summary></details>'
    soup = BeautifulSoup(f"{arrow}<details><summary>A part</summary></details>", "html.parser")
    context = {"generate_toctree_html": lambda kind: soup if kind == "sidebar" else None}
    access.mend(None, "page", "page.html", context, None)
    unnamed, named = context["generate_toctree_html"]("sidebar").select("summary")
    assert unnamed["aria-label"] and not named.get("aria-label")
    assert context["generate_toctree_html"]("raw") is None
