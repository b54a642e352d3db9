"""One-line faults planted in copies of genlab: the gate, at the level it has for the whole
book, catches them."""

import json

import pytest
from gate_faults import FAULTS, SEEDS, TABLE, measure

# Adam's first moment does not change what these trainings reach (shift under one standard error):
# nothing there to catch.
WITHOUT_EFFECT = "momentum dropped from Adam"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_a_planted_fault_is_caught(fault, tmp_path):
    row = measure(fault)
    if fault.name != WITHOUT_EFFECT:
        assert row[f"power_{SEEDS}"] == 1.0, row


def test_the_published_table_is_about_these_faults():
    rows = json.loads(TABLE.read_text())["faults"]
    assert [r["fault"] for r in rows] == [f.name for f in FAULTS]
    assert sum(r[f"power_{SEEDS}"] == 1.0 for r in rows) >= 10
