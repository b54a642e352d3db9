"""Baselines: what the seeds gave, in files that people can read."""

import json

import pytest
from gate_faults import leave_one_out
from pipeline import prepared, with_baselines

from genlab.pipeline.gate import LEAST_SEEDS, baseline, noise
from genlab.section.paths import ROOT, UserError


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """A miniature project with baselines of both sections."""
    return prepared(tmp_path_factory, "checked", with_baselines)


@pytest.mark.slow
def test_baselines_read_well_and_hold_eight_seeds(checked):
    text = (checked.root / "tests/baselines/quick-cpu/first.json").read_text()
    (line,) = [ln for ln in text.splitlines() if '"double"' in ln]
    assert (
        len(json.loads(text)["metrics"]["double"]["values"]) == 8 and '"better": "higher"' in line
    )
    assert len(json.loads(text)["figures"]["figure_01/likeness"]["values"]) == 7
    assert (checked.root / "tests/baselines/quick-cpu/first/figure_01.png").stat().st_size < 15_000


def test_the_book_itself_raises_no_alarm_when_its_seeds_judge_each_other():
    book = baseline.read_all("quick", "cpu")
    assert book and all(len(b.seeds) >= LEAST_SEEDS for b in book)
    # two of twenty seeds at 1 % would be a 2 % event
    assert len({a.split(":")[0] for a in leave_one_out(book)}) <= 1


def test_what_shares_the_level_and_what_is_compared_exactly():
    b = baseline.read("toy_data", "quick", "cpu")
    exact = [m for m, told in b.quantities().items() if noise.exact(m, *told)]
    assert "checkerboard/entropy" in exact and b.tests() == len(b.quantities()) - len(exact)
    assert len(b.quantities()) == len(b.metrics) + len(b.figures)


def test_a_damaged_baseline_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(baseline, "FOLDER", ROOT / "tests" / "baselines" / "nowhere")
    assert baseline.read("ebm", "quick", "cpu") is None
    monkeypatch.setattr(baseline, "FOLDER", tmp_path)
    monkeypatch.setattr(baseline, "ROOT", tmp_path)
    (tmp_path / "quick-cpu").mkdir()
    (tmp_path / "quick-cpu" / "ebm.json").write_text("{")
    with pytest.raises(UserError, match="damaged baseline"):
        baseline.read("ebm", "quick", "cpu")
