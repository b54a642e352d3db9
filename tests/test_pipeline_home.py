"""The first page: a card for each chapter, numbers of the runs, no sentence that they do not bear
out."""

import copy
import re
from collections import Counter

import nbformat
import pytest
from bs4 import BeautifulSoup

from genlab.pipeline.runs.pages import get_section, section_names
from genlab.pipeline.verdicts import accepted
from genlab.pipeline.verdicts.shown import NOT_JUDGED, Judged
from genlab.pipeline.views import home
from genlab.pipeline.views.home import UNBACKED, Card, Finding, Home, Shown
from genlab.section.paths import PUBLISHED, ROOT, UserError

NUMBER = re.compile(r"(?<![\w{}:/.])\d+\.\d+")  # as a result is written


@pytest.fixture(scope="module")
def shown():
    records, stale = accepted.published()
    notebooks = {n: nbformat.read(PUBLISHED / f"{n}.ipynb", as_version=4) for n in section_names()}
    return Shown(home.read(), records, notebooks, Judged.of(records, stale))


def sentences(shown):
    return [*shown.home.cards.items(), *((f.title, f) for f in shown.home.findings)]


def test_every_chapter_has_a_card_with_question_answer_and_picture(shown):
    assert list(shown.home.cards) == list(section_names())
    page = BeautifulSoup(shown.cards(), "html.parser")
    cards = page.select("ul.genlab-cards > li.genlab-home-card")
    assert len(cards) == len(section_names())
    for number, (name, card) in enumerate(zip(section_names(), cards, strict=True), start=1):
        assert card.h4.a["href"] == f"../notebooks/{name}.html"
        assert card.h4.get_text(strip=True) == f"{number}{get_section(name).title}"
        assert card.img["alt"].strip() and card.img["src"] == f"../home/{name}.webp"
        question, answer = (p.get_text() for p in card.select("div > p")[:2])
        assert question.endswith("?") and answer.endswith((".", "%")) and len(answer) < 330


def test_cards_stand_under_the_parts_of_the_book(shown):
    heads = [ln.removeprefix("### ") for ln in shown.cards().splitlines() if ln.startswith("### ")]
    assert heads == [part for part, _ in home.parts()] and len(heads) > 1
    assert [name for _, names in home.parts() for name in names] == list(section_names())


def test_every_sentence_is_borne_out_by_the_published_numbers(shown):
    for name, sentence in sentences(shown):
        assert sentence.answer and shown.said(sentence, name) not in ("", UNBACKED), name


def test_results_are_quoted_and_never_typed(shown):
    """0.5 is the chance of two kinds of points; the twin, a typed result, is seen."""
    for name, sentence in sentences(shown):
        prose = re.sub(r"\{glue:text\}`[^`]*`", "", sentence.answer)
        assert set(NUMBER.findall(prose)) <= {"0.5"}, name
        assert "{glue:text}`" in sentence.answer, name
    assert NUMBER.findall("accuracy 0.656, or −85.2 nats") == ["0.656", "85.2"]
    intro = (ROOT / "book/intro.md").read_text()
    assert not NUMBER.findall(intro)


def test_a_sentence_that_numbers_no_longer_bear_out_is_not_said(shown):
    """For each rule, numbers that turn it: every metric that it names is planted."""
    for name, sentence in sentences(shown):
        for rule in sentence.holds_if:
            turned = []
            for quoted in home.rules.parsed(rule)[1]:
                page, _, metric = quoted.partition(":")
                if metric not in shown.records[page]["metrics"]:
                    continue
                for value in (1e6, -1e6):
                    records = dict(shown.records)
                    records[page] = copy.deepcopy(dict(records[page]))
                    records[page]["metrics"][metric]["value"] = value
                    other = Shown(shown.home, records, {}, shown.judged)
                    turned.append(other.said(sentence, name) == UNBACKED)
            assert any(turned), f"{name}: {rule} holds whatever the numbers are"


def test_a_finding_without_its_numbers_has_no_title(shown):
    """A title is a result in words."""
    for rule, said in (("{dsm:params} < 1", None), ("1 < 0", False), ("0 < 1", True)):
        finding = Finding(title="All is well", page="dsm", answer="So.", holds_if=[rule])
        one = Shown(Home(findings=[finding]), shown.records, {}, shown.judged)
        if said is None:
            with pytest.raises(UserError, match=r"All is well.*recorded no such number"):
                one.findings()
        else:
            assert ("All is well" in one.findings()) == said != (UNBACKED in one.findings())


def test_numbers_of_quick_runs_are_no_answers(shown):
    quick = Shown(shown.home, shown.records, {}, Judged.of())
    answers = BeautifulSoup(quick.cards(), "html.parser").select("div > p:nth-of-type(2)")
    assert {a.get_text().lower().strip(".") for a in answers} == {NOT_JUDGED}
    assert NOT_JUDGED[1:] in quick.findings() and "nats" not in quick.findings() + quick.cards()


def test_counts_are_those_of_the_ledger(shown):
    page = BeautifulSoup(shown.cards(), "html.parser")
    told = Counter()
    for link in page.select(".genlab-counts a"):
        for count, word in re.findall(r"(\d+) ([a-z ]+)", link.get_text()):
            told[word] += int(count)
    words = Counter(v.word for v in shown.judged.verdicts.values())
    listed = Counter(
        shown.judged.verdicts[c.id].word
        for c in shown.judged.found.claims
        if c.page in section_names()
    )
    assert told["held"] == listed["holds"] == words["holds"]
    assert told["in part"] == listed["in part"] and told["did not hold"] == listed["does not hold"]
    assert told.total() == listed.total()


def test_named_figures_are_on_their_pages_and_pictures_are_light(shown):
    for name, card in shown.home.cards.items():
        cells = shown.notebooks[name].cells
        names = [c.metadata.get("mystnb", {}).get("figure", {}).get("name") for c in cells]
        assert card.figure in names, name
    files = shown.files()
    small = [content for path, content in files.items() if "hero" not in path]
    assert len(small) == len(section_names()) and max(map(len, small)) < 25_000
    assert sum(map(len, files.values())) < 600_000
    assert "../home/hero.webp" in shown.hero() and "prefers-reduced-motion" in shown.hero()


def test_a_section_that_cannot_be_shown_leaves_a_card_without_answer(shown):
    names = section_names()
    records = {name: shown.records[name] for name in names[1:]}
    left = Shown(shown.home, records, {n: shown.notebooks[n] for n in names[1:]}, shown.judged)
    card = BeautifulSoup(left.cards(), "html.parser").select_one(".genlab-home-card")
    assert card.img is None and card.h4.get_text(strip=True) == f"1{names[0]}"
    assert card.select("div > p")[1].get_text() == ""
    assert "cover.png" in Shown(Home(), {}, {}, shown.judged).hero()


def test_words_for_a_page_that_is_not_there_are_refused(tmp_path):
    path = tmp_path / "cards.yaml"
    for text in ("cards: {dsn: {question: x}}", "hero: dsn", "cards: {dsm: {questoin: x}}"):
        path.write_text(text)
        with pytest.raises(UserError, match=r"cards\.yaml"):
            home.read(path)
    path.write_text("cards: {dsm: {question: x}}")
    assert home.read(path).cards["dsm"] == Card(question="x")
    assert home.read(tmp_path / "none.yaml") == Home()


def test_what_is_said_is_text(shown):
    bad = Card(question="<script>x</script>", answer="<b>y</b>")
    page = Shown(Home(cards={"dsm": bad}), shown.records, {}, shown.judged).cards()
    assert "<script" not in page and "&lt;b&gt;y" in page


def test_a_page_begins_with_its_answer_and_the_way_to_a_figure(shown):
    """But one that has an answer of its own; and nothing is said that is not judged or borne
    out."""
    for name in section_names():
        brief = BeautifulSoup(shown.brief(name), "html.parser")
        if "**The answer.**" in shown.notebooks[name].cells[0].source:
            assert not brief.get_text(strip=True)
            continue
        assert brief.p.get_text().startswith("In brief. ") and "glue" not in brief.get_text()
        named = [
            cell.metadata["mystnb"]["figure"]["name"]
            for cell in shown.notebooks[name].cells
            if "figure" in cell.metadata.get("mystnb", {})
        ]
        assert brief.a["href"].removeprefix("#") in named and brief.img["alt"].strip()
    quick = Shown(shown.home, shown.records, shown.notebooks, Judged.of())
    assert quick.brief("rbm") == ""
    records = dict(shown.records) | {"rbm": copy.deepcopy(dict(shown.records["rbm"]))}
    for metric in records["rbm"]["metrics"].values():
        metric["value"] = 0.0
    assert Shown(shown.home, records, shown.notebooks, shown.judged).brief("rbm") == ""
