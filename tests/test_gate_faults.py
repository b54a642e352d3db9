"""One-line faults planted in copies of genlab: the gate, at the level it has for the whole
book, catches them, and raises no alarm on what is unchanged."""

import json

import numpy as np
import pytest
from gate_faults import FAULTS, SEEDS, TABLE, UNCHANGED, measure, run, split_alarms

# Adam's first moment does not change what these trainings reach (shift under one standard error):
# nothing there to catch.
WITHOUT_EFFECT = "momentum dropped from Adam"


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_a_planted_fault_is_caught(fault, tmp_path):
    row = measure(fault)
    if fault.name != WITHOUT_EFFECT:
        assert row[f"power_{SEEDS}"] == 1.0, row


def test_the_published_table_is_about_these_faults():
    rows = json.loads(TABLE.read_text())["faults"]
    assert [r["fault"] for r in rows] == [f.name for f in FAULTS]
    assert sum(r[f"power_{SEEDS}"] == 1.0 for r in rows) >= 10


@pytest.mark.slow
def test_fresh_seeds_of_unchanged_code(rng):
    """Sixty-four runs of each experiment, split at random: false alarms as stated, within what
    64 runs can tell."""
    rate = 0.05
    found = [split_alarms(run(e, 64, 501), splits=300, alarm_rate=rate, rng=rng) for e in UNCHANGED]
    error = np.sqrt(rate * (1 - rate) / (64 * len(UNCHANGED)))
    assert np.mean(found) < rate + 3 * error, dict(zip(UNCHANGED, found, strict=True))
