"""What a page says of itself: plain words from its text, an address only if there is one."""

from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from docutils import nodes

from genlab.pipeline.site import head


def page(*paragraphs):
    section = nodes.section("", nodes.title("", "A title"))
    for parts in paragraphs:
        made = [nodes.Text(part) if isinstance(part, str) else part for part in parts]
        section += nodes.paragraph("", "", *made)
    document = nodes.document(None, None)
    document += section
    return document


def formula(tex=r"\mathbb E \log p"):
    return nodes.math(tex, tex)


def described(doctree, **context):
    app = SimpleNamespace(config=SimpleNamespace(html_title="A book"))
    context = {"title": "A <em>title</em> &amp; more", **context}
    head.describe(app, "page", "page.html", context, doctree)
    soup = BeautifulSoup(context["metatags"], "html.parser")
    return {tag.get("name") or tag.get("property"): tag["content"] for tag in soup.find_all("meta")}


def test_the_first_sentences_are_the_description():
    told = described(page(["One sentence is not much. ", "Two are better. ", "Three " * 60]))
    assert told["description"] == "One sentence is not much. Two are better."
    assert told["og:description"] == told["description"]
    assert (told["og:title"], told["og:site_name"]) == ("A title & more", "A book")
    assert "og:url" not in told


def test_markup_and_formulas_are_no_description():
    raw = nodes.raw("", "<p class='genlab-run'>full profile</p>", format="html")
    first = [raw, "The entropy is ", formula(), ", which nobody knows."]
    second = [
        nodes.emphasis("", "What"),
        ' is "known" of it stands here, in <plain> words. ',
        formula(),
    ]
    told = described(page(first, second))
    assert told["description"] == 'What is "known" of it stands here, in <plain> words.'


def test_a_summary_comes_first():
    told = described(page(["Text that is long enough to be told."]), meta={"summary": "how it is"})
    assert told["description"] == "How it is."


@pytest.mark.parametrize("doctree", [None, page(["Short."]), page([formula(), " is all."])])
def test_a_page_without_sentences_has_its_title(doctree):
    assert described(doctree)["description"] == "A title & more: A book."


def test_a_long_sentence_is_cut_between_words():
    told = described(page(["word " * 100]))["description"]
    assert len(told) <= head.LONGEST + 2 and told.endswith("word …")


def test_there_is_a_sitemap_if_the_book_has_an_address(tmp_path):
    def build(address):
        builder = SimpleNamespace(format="html", get_target_uri=lambda name: f"{name}.html")
        config = SimpleNamespace(html_baseurl=address)
        env = SimpleNamespace(found_docs={"b", "notebooks/a"})
        return SimpleNamespace(outdir=tmp_path, builder=builder, config=config, env=env)

    head.write_sitemap(build(""), None)
    assert not (tmp_path / "sitemap.xml").exists()
    head.write_sitemap(build("https://book.example/"), None)
    soup = BeautifulSoup((tmp_path / "sitemap.xml").read_text(), "html.parser")
    assert [loc.get_text() for loc in soup.find_all("loc")] == [
        "https://book.example/b.html",
        "https://book.example/notebooks/a.html",
    ]
