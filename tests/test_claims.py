"""The claims of the book: each has a page and a rule over numbers that are recorded, and no verdict
turns unseen."""

import copy

import pytest

from genlab.pipeline.runs.pages import section_names
from genlab.pipeline.verdicts import accepted, claims


@pytest.fixture(scope="module")
def found():
    return claims.read()


@pytest.fixture(scope="module")
def now(found):
    records, stale = accepted.published()
    return claims.verdicts(found, records, stale)


def test_every_claim_has_a_page(found):
    pages = set(section_names())
    lost = [c.id for c in found.claims if c.page not in pages]
    assert not lost, f"claims without a page: {', '.join(lost)}"


def test_a_claim_is_one_plain_sentence_of_ours(found):
    long = [c.id for c in found.claims if len(c.claim) > 260 or not c.claim.endswith(".")]
    assert not long, f"claims that are no short sentence: {', '.join(long)}"
    assert len({c.claim for c in found.claims}) == len(found.claims)


def test_no_verdict_turned_unseen(now):
    turned = accepted.turned(accepted.read(), now)
    assert not turned, "; ".join([*accepted.said(turned), "`genlab claims --accept` accepts it"])


def test_a_planted_number_turns_a_verdict(found, now):
    """The opposite of what one claim rests on."""
    records, _ = accepted.published()
    holding = next(v for v in now.values() if v.word == "holds" and not v.unsure)
    name = next(iter(claims.rules.parsed(holding.cases[0].rule)[1]))
    page, _, number = name.partition(":")
    metric, _, field = number.partition(".")  # METRIC, or what stands beside it: METRIC.FIELD
    for value in (1e9, -1e9):
        planted = copy.deepcopy(dict(records))
        planted[page]["metrics"][metric][field or "value"] = value
        turned = accepted.turned(accepted.read(), claims.verdicts(found, planted))
        if holding.claim.id in {t.id for t in turned}:
            return
    pytest.fail(f"{holding.claim.id} holds whatever {name} is")
