"""The gate on a miniature project: unchanged code passes, planted faults and missing runs do
not."""

import json

import pytest
from pipeline import one_line, prepared, with_baselines


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """A miniature project with baselines of both sections."""
    return prepared(tmp_path_factory, "checked", with_baselines)


@pytest.mark.slow
def test_unchanged_code_passes_and_a_planted_fault_does_not(checked):
    result = checked.genlab("check")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "first" in result.stdout and "ok" in result.stdout
    assert "half show a shift of" in " ".join(result.stdout.split())
    report = (checked.root / "_build/check/index.html").read_text()
    assert "passed" in report and "visible [sd]" in report
    for right, wrong, said, verdict in (
        ("scale * size + 0.01", "scale * size - 1.0 + 0.01", "double", "worse"),
        ("size=(2, 300)), s=9", "size=(2, 2)), s=9", "figure_01/ink", "changed"),
        (
            'color="k")',
            'color="k")\nax.set_position([0.3, 0.3, 0.2, 0.2])',
            "figure_01/likeness",
            "worse",
        ),
    ):
        checked.edit("notebooks/first.md", right, wrong)
        stale = checked.genlab("check", "first")
        assert stale.returncode == 1 and "no current quick run at seed 0" in " ".join(
            stale.stdout.split()
        )
        assert checked.genlab("run", "first").returncode == 0
        result = checked.genlab("check", "first")
        checked.edit("notebooks/first.md", wrong, right)
        assert result.returncode == 1 and said in result.stdout and verdict in result.stdout, (
            result.stdout
        )
        assert "the gate did not pass: first" in one_line(result.stderr)


@pytest.mark.slow
def test_several_seeds_and_a_seed_that_is_ignored(checked):
    assert checked.genlab("check", "first", "--seeds", "3").returncode == 0
    checked.edit("notebooks/first.md", "default_rng(seed).normal()", "default_rng(7).normal()")
    result = checked.genlab("check", "first", "--seeds", "2")
    checked.edit("notebooks/first.md", "default_rng(7).normal()", "default_rng(seed).normal()")
    assert result.returncode == 1 and "seed ignored" in result.stdout


@pytest.mark.slow
def test_a_metric_that_is_gone_or_new_is_said(checked):
    checked.edit("notebooks/first.md", 'section.metric("double"', 'section.metric("twofold"')
    checked.genlab("run", "first")
    result = checked.genlab("check", "first")
    checked.edit("notebooks/first.md", 'section.metric("twofold"', 'section.metric("double"')
    assert result.returncode == 1 and "missing" in result.stdout and "1 new" in result.stdout


@pytest.mark.slow
def test_a_damaged_record_is_named_and_the_rest_is_checked(checked):
    for record in (checked.root / "runs/second").glob("*/record.json"):
        if json.loads(record.read_text())["seed"] == 0:
            break
    whole = record.read_text()
    record.write_text(whole[:40])
    result = checked.genlab("check")
    text = " ".join(result.stdout.split())
    assert (
        result.returncode == 1 and "damaged quick run at seed 0" in text and "not checked" in text
    )
    assert "first" in text and "3 quantities" in text
    record.write_text(whole)
    notebook = record.with_name("notebook.ipynb")
    kept = notebook.read_bytes()
    notebook.unlink()
    assert "notebook.ipynb is missing" in " ".join(checked.genlab("check").stdout.split())
    assert checked.genlab("run", "second").returncode == 0  # made anew
    assert notebook.is_file() or kept


@pytest.mark.slow
def test_a_device_without_a_baseline_is_judged_against_the_processors(checked):
    """With a GPU (a name in the environment stands for one) and the section's leave to use it."""
    checked.edit("notebooks/first.md", "data: [numbers.txt]", "data: [numbers.txt]\n  device: any")
    checked.env["GENLAB_GPU"] = "Test 1"
    assert checked.genlab("run", "first").returncode == 0
    result = checked.genlab("check", "first")
    del checked.env["GENLAB_GPU"]
    checked.edit("notebooks/first.md", "data: [numbers.txt]\n  device: any", "data: [numbers.txt]")
    said = " ".join(result.stdout.split())
    assert result.returncode == 0 and "runs on cuda:Test 1 against the baseline of cpu" in said
    report = (checked.root / "_build/check/index.html").read_text()
    assert "judged against the baseline of cpu" in report
