"""Accepted verdicts: what is kept of them, and which have turned."""

import json

import pytest

from genlab.pipeline.verdicts import accepted
from genlab.pipeline.verdicts.claims import Case, Claim, Verdict
from genlab.pipeline.verdicts.rules import Recorded, comparisons, judged, state
from genlab.section.paths import UserError

NUMBERS = {"p:a": Recorded(1.0, 0.1), "p:b": Recorded(2.0, 0.1), "p:c": Recorded(1.5)}


def verdict(id_, *rules, word="holds"):
    about = {"source": "A", "where": "p. 1", "claim": "It is so.", "kind": "number", "page": "p"}
    nodes = [judged(rule, NUMBERS.__getitem__) for rule in rules]
    cases = [
        Case(rule, state(node, lambda c: True), tuple(comparisons(node)))
        for rule, node in zip(rules, nodes, strict=True)
    ]
    claim = Claim(id=id_, holds_if=rules, **about)
    return Verdict(claim, word, tuple(cases), {"p": "0" * 16})


def test_what_was_accepted_is_read_back(tmp_path):
    file, now = tmp_path / "verdicts.json", {"A01": verdict("A01", "{p:a} < {p:b}")}
    assert accepted.read(file) == {}
    accepted.accept(now, file)
    found = accepted.read(file)["A01"]
    assert found["verdict"] == "holds" and found["keys"] == {"p": "0" * 16} and "was" not in found
    effect, low, high = found["cases"][0]["comparisons"][0]
    assert effect == 1.0 and low < effect < high
    assert accepted.turned(accepted.read(file), now) == []


def test_what_turned_comes_or_goes_is_named(tmp_path):
    before = {"A01": {"verdict": "holds"}, "A02": {"verdict": "open"}}
    now = {
        "A01": verdict("A01", "{p:a} < {p:b}", word="undecided"),
        "A03": verdict("A03", "{p:a} < {p:b}"),
    }
    assert accepted.turned(before, now) == [
        ("A01", "holds", "undecided"),
        ("A02", "open", None),
        ("A03", None, "holds"),
    ]
    assert accepted.said(accepted.turned(before, now)) == [
        "A01: was holds, is undecided",
        "A02: was open, is gone",
        "new: A03",
    ]


def test_a_verdict_remembers_the_one_before_until_the_next(tmp_path):
    file = tmp_path / "verdicts.json"
    for word, was in (
        ("holds", None),
        ("undecided", "holds"),
        ("undecided", "holds"),
        ("in part", "undecided"),
    ):
        accepted.accept({"A01": verdict("A01", "{p:a} < {p:b}", word=word)}, file)
        assert accepted.read(file)["A01"].get("was") == was


def test_the_margin_is_that_of_the_closest_comparison():
    two = verdict("A01", "{p:a} < {p:b}", "{p:a} < 1.05")
    # 0.05 in half widths of 2.576 * 0.1; a bare comparison has none
    assert accepted.margin(two) == pytest.approx(0.05 / 0.2576, rel=1e-3)
    assert accepted.margin(verdict("A02", "{p:c} > 1")) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"A01": {}}', '{"A01": 3}'])
def test_a_file_that_is_broken_is_refused_in_words(tmp_path, text):
    file = tmp_path / "verdicts.json"
    file.write_text(text)
    with pytest.raises(UserError, match=r"verdicts\.json cannot be read"):
        accepted.read(file)


def test_a_full_disk_leaves_what_was_accepted(tmp_path, monkeypatch):
    file, now = tmp_path / "verdicts.json", {"A01": verdict("A01", "{p:a} < {p:b}")}
    accepted.accept(now, file)
    before = json.loads(file.read_text())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(UserError):
        accepted.accept({"A01": verdict("A01", "{p:a} < {p:b}", word="in part")}, file)
    assert json.loads(file.read_text()) == before
