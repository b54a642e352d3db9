"""What a card shows: every entry of glossary and references, with links that work from anywhere."""

import json

from genlab.pipeline.site.cards import FILE, cards
from tests.site_book import build
from tests.test_pipeline_citations import BIB
from tests.test_pipeline_terms import PAGES

GLOSSARY = PAGES["glossary.md"].replace("A network.", "A network {cite:p}`ho`.")
BOOK = PAGES | {
    "index.md": PAGES["index.md"].replace("glossary\n", "back/words\nback/refs\n"),
    "back/words.md": GLOSSARY,
    "back/refs.md": "# References\n\n```{bibliography}\n:cited:\n```\n",
    "references.bib": BIB,
}
del BOOK["glossary.md"]


def test_there_is_a_card_for_every_target_of_a_word_or_a_citation(tmp_path):
    pages = build(tmp_path, BOOK, ["terms", "citations", "cards"])
    script = (tmp_path / "html" / FILE).read_text()
    found = json.loads(script.removeprefix("window.genlabCards = ").removesuffix(";\n"))
    for name, page in pages.items():
        for link in page.select("a:has(> .genlab-term), .bibtex-citation a"):
            address = link["href"]
            address = f"{name}.html{address}" if address[0] == "#" else address
            assert address.replace("../", "") in found or f"back/{address}" in found
    critic = found["back/words.html#term-Critic"]
    assert "A network" in critic and 'href="back/refs.html#cite-ho"' in critic
    assert "Used in" not in critic and "headerlink" not in critic and "id=" not in critic
    assert found["back/words.html#term-AIS"].startswith(
        "<p><strong>AIS · Annealed importance sampling</strong></p>"
    )
    assert "arxiv.org" in found["back/refs.html#cite-ho"]


def test_links_are_told_from_the_root():
    page = (
        '<article><ul class="genlab-references"><li id="a"><a href="../x.html#b">x</a>'
        '<a href="#c">y</a><a href="https://doi.org/1">z</a></li></ul></article>'
    )
    assert cards("book/refs.html", page) == {
        "book/refs.html#a": '<a href="x.html#b">x</a><a href="book/refs.html#c">y</a>'
        '<a href="https://doi.org/1">z</a>'
    }
