"""Claims and their verdicts: what the file may say, what each verdict means, and how often chance
decides."""

import numpy as np
import pytest

from genlab.pipeline.verdicts import claims
from genlab.pipeline.verdicts.rules import comparisons
from genlab.section.paths import UserError

SOURCE = """
sources:
  A: {title: A report}
spreads:
- {names: "old:*_over_seeds", sd_is: sd, repeats: 4}
- {names: "old:*_error", sd_is: se}
claims:
- id: A01
  source: A
  where: Table 1
  claim: The first is less than the second.
  kind: comparison
  page: new
"""
RULED = SOURCE + "  holds_if:\n  - '{new:a} < {new:b}'\n"
METRICS = {
    "new": {
        "a": {"value": 1.0, "over": "seeds", "repeats": 5, "sd": 0.2, "se": 0.1},
        "b": {"value": 2.0, "over": "seeds", "repeats": 5, "sd": 0.2, "se": 0.1},
        "close": {"value": 1.1, "over": "seeds", "repeats": 5, "sd": 0.2, "se": 0.1},
        "one_run": {"value": 3.0},
        "judged": {"value": 0.5, "limit": 0.4, "null_mean": 0.4, "null_sd": 0.01, "null_draws": 20},
    },
    "old": {
        "x_over_seeds": {"value": 1.0, "sd": 0.4},
        "x_error": {"value": 1.0, "sd": 0.4, "n": 100},
        "null_over_seeds": {"value": 1.0, "null_sd": 0.3, "null_draws": 10},
    },
}
RECORDS = {page: {"key": f"key of {page}", "metrics": about} for page, about in METRICS.items()}


def read(tmp_path, text):
    file = tmp_path / "claims.yaml"
    file.write_text(text)
    return claims.read(file)


def verdict(tmp_path, *rules, each="", records=RECORDS, **about):
    text = SOURCE + each + "  holds_if:\n" + "".join(f"  - '{rule}'\n" for rule in rules)
    return claims.verdicts(read(tmp_path, text), records, **about)["A01"]


@pytest.mark.parametrize(
    ("rules", "word"),
    [
        (["{new:a} < {new:b}"], "holds"),
        (["{new:a} > {new:b}"], "does not hold"),
        (["{new:a} < {new:close}"], "undecided"),
        (["{new:a} < {new:b}", "{new:b} < {new:a}"], "in part"),
        (["{new:a} < {new:b}", "{new:a} < {new:close}"], "in part"),
        (["{new:a} > {new:b}", "{new:a} < {new:close}"], "undecided"),
    ],
)
def test_what_a_verdict_means(tmp_path, rules, word):
    assert verdict(tmp_path, *rules).word == word


def test_claims_without_rules_say_why(tmp_path):
    found = (
        SOURCE
        + "  open: An experiment.\n"
        + SOURCE.partition("claims:")[2].replace("A01", "A02")
        + "  untestable: No faces here.\n  instead: A01\n"
    )
    words = {id_: v.word for id_, v in claims.verdicts(read(tmp_path, found), RECORDS).items()}
    assert words == {"A01": "open", "A02": "could not be tested"}


def test_each_value_is_a_case(tmp_path):
    each = "  each: {which: [a, close], than: [b]}\n"
    found = verdict(tmp_path, "{new:[which]} < {new:[than]}", each=each)
    assert [case.rule for case in found.cases] == ["{new:a} < {new:b}", "{new:close} < {new:b}"]


def test_what_weakens_a_verdict_is_said(tmp_path):
    assert verdict(tmp_path, "{new:one_run} > 2").unsure == ("one run, no error is known",)
    assert "errors are partly known" in verdict(tmp_path, "{new:one_run} > {new:a}").unsure
    stale = verdict(tmp_path, "{new:a} < {new:b}", stale=frozenset({"new"}))
    assert "stale: new" in stale.unsure and stale.keys == {"new": "key of new"}
    gone = verdict(tmp_path, "{new:a} < {new:b}", records={})
    assert gone.word == "undecided" and gone.unsure == ("no run of new is shown",)


@pytest.mark.parametrize(
    ("name", "value", "se", "freedom"),
    [
        ("new:a", 1.0, 0.1, 4),
        ("new:one_run", 3.0, None, np.inf),
        ("new:judged", 0.5, 0.01, 19),  # of one sample: as real samples of that size scatter
        ("new:judged.limit", 0.4, 0.0, np.inf),
        ("new:judged.null_sd", 0.01, 0.0, np.inf),
        ("new:judged.null_mean", 0.4, 0.01 / np.sqrt(20), 19),
        ("old:x_over_seeds", 1.0, 0.2, 3),
        ("old:x_error", 1.0, 0.4, 99),
        ("old:null_over_seeds", 1.0, 0.3, 9),  # without a spread of its own
    ],
)
def test_errors_as_the_records_tell_them(tmp_path, name, value, se, freedom):
    found = claims.recorded(RECORDS, read(tmp_path, RULED).spreads, name)
    assert (found.value, found.se, found.freedom) == pytest.approx((value, se, freedom))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SOURCE, "needs one of holds_if, open and untestable"),
        (RULED + "  open: also\n", "needs one of"),
        (RULED.replace("kind: comparison", "kind: opinion"), "kind"),
        (RULED.replace("source: A", "source: B"), "source 'B', not listed"),
        (RULED + RULED.partition("claims:\n")[2], "A01 stands there 2 times"),
        (RULED + "  instead: A09\n", "A09, not there"),
        (RULED + "  where_from: x\n", "where_from"),
        (RULED.replace("id: A01", "id: first"), "id"),
        ("claims: [", "cannot be read"),
        ("", "claims.yaml"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_words(tmp_path, text, said):
    with pytest.raises(UserError, match=said):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{new:aa} < 1", "claim A01: {new:aa}: new recorded no such number"),
        ("{new:a.limit} < 1", "recorded no such number"),
        ("{new:a} = 1", "claim A01: rule .* cannot be read"),
    ],
)
def test_a_rule_about_nothing_is_refused_by_the_claims_name(tmp_path, rule, said):
    with pytest.raises(UserError, match=said):
        verdict(tmp_path, rule)


def test_no_file_is_no_claim(tmp_path):
    assert claims.read(tmp_path / "none.yaml").claims == ()


def drawn(rng, n, seeds=5, shift=0.0):
    """Records of n numbers over seeds, all of one distribution but for `shift` of the first."""
    values = rng.normal(size=(n, seeds))
    values[0] += shift
    return {
        f"m{i}": {"value": v.mean(), "repeats": seeds, "se": v.std(ddof=1) / np.sqrt(seeds)}
        for i, v in enumerate(values)
    }


def test_chance_decides_one_comparison_in_a_hundred_and_hardly_one_book(tmp_path):
    """Independent comparisons of equal things: 1 % are decided; by Holm 1 % of whole books."""
    rng, books, size = np.random.default_rng(0), 300, 20
    rules = [f"{{new:m{2 * i}}} < {{new:m{2 * i + 1}}}" for i in range(size)]
    found = read(tmp_path, SOURCE + "  holds_if:\n" + "".join(f"  - '{r}'\n" for r in rules))
    alone = whole = 0
    for _ in range(books):
        records = {"new": {"key": "k", "metrics": drawn(rng, 2 * size)}}
        judged = claims.verdicts(found, records)["A01"]
        compared = [c for case in judged.cases for c in case.comparisons]
        sure = claims.holm(compared)
        alone += sum(map(claims.decided, compared))
        whole += any(c.text in sure for c in compared)
    # Welch's test of five against five keeps its level or less (Best & Rayner 1987)
    expected, sd = 0.01 * books * size, np.sqrt(0.01 * 0.99 * books * size)
    assert 0.3 * expected < alone < expected + 4 * sd
    assert whole < 0.01 * books + 4 * np.sqrt(0.01 * books)


def test_holm_finds_what_is_there():
    rng = np.random.default_rng(1)
    numbers = drawn(rng, 40, shift=20.0)
    records = {"new": {"key": "k", "metrics": numbers}}
    asked = lambda name: claims.recorded(records, (), name)  # noqa: E731
    compared = [
        c
        for i in range(1, 40)
        for c in comparisons(claims.rules.judged(f"{{new:m0}} > {{new:m{i}}}", asked))
    ]
    assert claims.holm(compared) == {c.text for c in compared}
