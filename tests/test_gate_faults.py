"""One-line faults planted in copies of genlab: the gate, at the level it has for the whole
book, catches them, and raises no alarm on what is unchanged."""

import json

import gate_sections
import numpy as np
import pytest
from gate_faults import FAULTS, SEEDS, TABLE, book, measure, run, sizes, split_alarms
from planting import text_of

# Adam's first moment does not change what these trainings reach (shift under one standard error):
# nothing there to catch.
WITHOUT_EFFECT = "momentum dropped from Adam"
# One of each experiment that trains nothing for long; `make power` measures all.
MEASURED_HERE = (
    "Langevin noise √h instead of √(2h)",
    "one pixel row shifted",
    "a wrong bandwidth (not squared)",
)
EXPERIMENTS = ("digits", "measures")  # of UNCHANGED, those that take seconds


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED_HERE)
def test_a_planted_fault_is_caught(name):
    (fault,) = (f for f in FAULTS if f.name == name)
    row = measure(fault)
    assert row[f"power_{sizes()[-1]}_{SEEDS}"] == 1.0, row


def test_the_published_table_is_about_these_faults():
    told = json.loads(TABLE.read_text())
    rows = told["faults"]
    assert [r["fault"] for r in rows] == [f.name for f in FAULTS]
    missed = [r["fault"] for r in rows if r[f"power_{sizes()[-1]}_{SEEDS}"] < 1.0]
    assert missed == [WITHOUT_EFFECT]
    # measured as the book is: with as many seeds and quantities
    assert told["baseline_seeds"] == sizes()
    # A new section's few quantities move the level by less than could be measured.
    now = sum(b.tests() for b in book())
    assert abs(told["quantities"] / now - 1) < 0.1, f"{now} quantities now: make power"
    for size in sizes():
        assert sum(r[f"power_{size}_{SEEDS}"] == 1.0 for r in rows) >= 10


def test_faults_in_real_sections_were_found():
    """Seven of eight that are planted for this table alone, and no alarm without them."""
    if not gate_sections.TABLE.is_file():
        pytest.skip("`python tests/gate_faults.py --sections` has not been run")
    told = json.loads(gate_sections.TABLE.read_text())
    found = {r["fault"]: r["alarms"] for r in told["faults"]}
    assert set(found) <= {f.name for f in gate_sections.FAULTS}
    assert not any(told["unchanged"].values())
    own = [f.name for f in gate_sections.FAULTS[: gate_sections.OWN] if f.name in found]
    assert sum(found[name] > 0 for name in own) >= len(own) - 1


def test_every_planted_fault_is_still_one_line_of_its_file():
    for f in gate_sections.FAULTS:
        _, text = text_of(f, gate_sections.ROOT / "src")
        assert text.count(f.right) == 1, f.name


@pytest.mark.slow
def test_fresh_seeds_of_unchanged_code(rng):
    """Sixty-four runs of each experiment, split at random: false alarms as stated, within what
    64 runs can tell."""
    rate = 0.05
    pools = {e: run(e, 64, 501) for e in EXPERIMENTS}
    error = np.sqrt(rate * (1 - rate) / (64 * len(pools)))
    for size in sizes():
        about = {"size": size, "splits": 150, "alarm_rate": rate, "rng": rng}
        found = {e: split_alarms(pool, **about) for e, pool in pools.items()}
        assert np.mean(list(found.values())) < rate + 3 * error, (size, found)
