"""The index: where each word is used, and no names of the library."""

from tests.site_book import build
from tests.test_pipeline_terms import PAGES

LIBRARY = "# The library\n\n```{py:function} anneal()\nA critic.\n```\n"
LISTED = PAGES | {
    "index.md": PAGES["index.md"].replace("one\n", "one\nreference/library\n"),
    "reference/library.md": LIBRARY,
}


def test_a_word_has_its_pages_below_it_and_the_library_is_left_out(tmp_path):
    pages = build(tmp_path, LISTED, ["terms", "index"])
    entry = pages["genindex"].find("a", href="glossary.html#term-GAN").find_parent("li")
    assert [a["href"] for a in entry.ul.select("a")] == ["one.html#word-gan"]
    assert [a.get_text() for a in entry.ul.select("a")] == ["The critic of AIS"]
    assert "anneal" not in pages["genindex"].get_text()
    assert not pages["reference/library"].select(".genlab-term")


def test_without_the_module_the_library_is_there(tmp_path):
    assert "anneal" in build(tmp_path, LISTED, ["terms"])["genindex"].get_text()
