"""Rules that cannot be followed, and what games of one program may differ in."""

from dataclasses import replace

import pytest

from genlab.toys import rules

PLAIN = rules.Rules(hidden=(4,), penalty=0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "least_squares"}, "loss='least_squares' must be one of"),
        ({"packing": 3}, "packing=3 must divide"),
        ({"batch_norm": (True, False)}, "set penalty=0"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        rules.Rules(hidden=(4,), **options).check()


def test_rules_of_one_program_differ_in_arms_only():
    with pytest.raises(ValueError, match="may differ in loss"):
        rules.side_by_side([PLAIN, replace(PLAIN, lr=1.0)], 2)
    with pytest.raises(ValueError, match="rules of 1 games for 2 data sets"):
        rules.side_by_side([PLAIN], 2)


def test_arms_hold_only_what_some_game_has():
    plain, names, shared = rules.side_by_side(PLAIN, 3)
    assert plain.penalty is plain.spectral is plain.normed is None and shared == PLAIN
    assert plain.loss.tolist() == [0, 0, 0] and names == ("relativistic",)
    mixed = [replace(PLAIN, loss="hinge"), replace(PLAIN, penalty=0.4, final_penalty=0.1)]
    arm, names, _ = rules.side_by_side([*mixed, PLAIN], 3)
    assert arm.loss.tolist() == [0, 1, 1] and names == ("hinge", "relativistic")
    assert arm.penalty.tolist() == [[0, 1], [pytest.approx(0.4), pytest.approx(0.25)], [0, 1]]
