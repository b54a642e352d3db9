"""Words of the glossary in the text of pages: the first one is a link, if it is in prose."""

import pytest

from genlab.pipeline.site.terms import entries, within, words_below
from tests.site_book import build

GLOSSARY = """# Glossary

```{glossary}
:sorted:

AIS
Annealed importance sampling
  An estimate of a {term}`partition function`; a critic is none.

Partition function
  A number. AIS estimates it.

Critic
  A network.

.. in the text: the score, its score
Score
  A gradient.

GAN
  A game with a critic.
```
"""
INDEX = """# A book

```{toctree}
one
two
glossary
```
"""
ONE = """# The critic of AIS

Two critics and annealed importance
sampling, in `critic` and $critic$. AIS again; [critic](two.md).

## Critic

> A GAN-like model and two GANs.

```python
critic = 1
```

| critic | b |
|---|---|
| a partition function | partition functions |
"""
TWO = """# Another page

We score it, and its score is high. Critically: criticism, subcritic.
"""
PAGES = {"index.md": INDEX, "one.md": ONE, "two.md": TWO, "glossary.md": GLOSSARY}


def words(page):
    """Text and target of each word on a page that leads to the glossary."""
    return [
        (" ".join(mark.get_text().split()), mark.parent["href"].split("#")[-1])
        for mark in page.select("a > .genlab-term")
    ]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    return build(tmp_path_factory.mktemp("book"), PAGES, ["terms", "index"])


def test_the_first_of_each_word_on_a_page_is_a_link(book):
    assert words(book["one"]) == [
        ("critics", "term-Critic"),
        ("annealed importance sampling", "term-AIS"),
        ("GANs", "term-GAN"),
        ("partition function", "term-Partition-function"),
    ]


def test_a_form_given_in_the_glossary_replaces_the_name(book):
    assert words(book["two"]) == [("its score", "term-Score")]  # and not "We score it"


def test_an_entry_leads_to_others_and_not_to_itself(book):
    assert ("AIS", "term-AIS") in words(book["glossary"])  # in the entry "partition function"
    by_id = {mark["id"]: mark for mark in book["glossary"].select(".genlab-term")}
    entry = by_id["word-critic"].find_parent("dd").find_previous_sibling("dt")
    assert entry.get_text().startswith(("AIS", "Annealed"))


def test_an_entry_says_which_pages_use_it(book):
    back = {
        dd.find_previous_sibling("dt")["id"]: [a["href"] for a in dd.select(".genlab-back a")]
        for dd in book["glossary"].select("dd")
    }
    assert back["term-Score"] == ["two.html#word-score"]
    assert back["term-GAN"] == ["one.html#word-gan"]
    assert book["one"].select_one("#word-gan")


def test_the_links_follow_the_glossary(tmp_path):
    before = build(tmp_path, PAGES, ["terms"])
    assert len(words(before["one"])) == 4
    changed = GLOSSARY.replace("GAN\n  A game", "Game\n  A game")
    after = build(tmp_path, PAGES | {"glossary.md": changed}, ["terms"])
    assert ("GANs", "term-GAN") not in words(after["one"]) and len(words(after["one"])) == 3
    gone = TWO.replace("its score", "it")
    last = build(tmp_path, PAGES | {"glossary.md": changed, "two.md": gone}, ["terms"])
    assert "two.html" not in str(last["glossary"].select(".genlab-back"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Two RBMs", ["RBM"]),
        ("an rbm", []),  # an acronym is written as one
        ("two theories, Theory", ["Theory", "Theory"]),
        ("a weak-theory and theory-like", []),
        ("restricted\nmachines", ["RBM"]),
        ("machines", []),
        ("W₁ and W₁₂", ["W₁"]),
    ],
)
def test_whole_words_in_singular_and_plural(text, found):
    known = tuple(
        entries("```{glossary}\nRBM\nRestricted machine\n  A.\n\nTheory\n  B.\n\nW₁\n  C.\n```")
    )
    assert [name for _, _, name in within(text, known)] == found


def test_without_a_glossary_nothing_is_a_word(tmp_path):
    (tmp_path / "page.md").write_text("# None\n\n```{note}\nAIS\n```\n")
    assert words_below(tmp_path) == ()
    assert list(within("AIS", ())) == []
