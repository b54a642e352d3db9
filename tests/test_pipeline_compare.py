"""Comparisons of runs show what differs."""

import json

import numpy as np
import pytest
from pipeline import one_line, prepared, with_baselines
from scipy import stats

from genlab.pipeline.views import compare


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """A miniature project with baselines of both sections."""
    return prepared(tmp_path_factory, "checked", with_baselines)


@pytest.mark.slow
def test_compare_shows_parameters_metrics_and_pictures(checked):
    assert checked.genlab("run", "first", "-p", "size=7").returncode == 0
    runs = [f.parent for f in (checked.root / "runs/first").glob("*/record.json")]
    params = {str(f): json.loads((f / "record.json").read_text())["params"] for f in runs}
    seven = next(f for f, p in params.items() if p["size"] == 7)
    plain = next(
        f for f, p in params.items() if p["size"] == 3 and p["seed"] == 0 and p["mode"] == "plain"
    )
    result = checked.genlab("compare", plain.rsplit("/", 1)[1], seven)
    assert result.returncode == 0, result.stderr
    assert (
        "size" in result.stdout
        and "double" in result.stdout
        and "better" in result.stdout
        and "±" in result.stdout
    )
    page = next((checked.root / "_build/compare").glob("*.html")).read_text()
    assert (
        page.count("<img") == 2 and "<code>scale</code>" not in page and "<code>size</code>" in page
    )
    for words, said in (
        (("first",), "two runs or more"),
        (("first", "secnd"), "did you mean 'second'"),
        (("first", "second"), "different sections"),
        (("first", "published"), "no published run"),
    ):
        wrong = checked.genlab("compare", *words)
        assert wrong.returncode == 2 and said in one_line(wrong.stderr)


SEED, OTHER = {"seed": 0}, {"seed": 100}


def repeated(values, over="seeds"):
    values = np.asarray(values, float)
    sd = values.std(ddof=1)
    return {
        "value": values.mean(), "over": over, "repeats": len(values),
        "values": values.tolist(), "sd": sd, "se": sd / len(values) ** 0.5,
    }  # fmt: skip


def test_repetitions_at_the_same_seeds_are_compared_in_pairs():
    """What the seeds share cancels; a difference of other seeds has both errors in it."""
    shared, own = np.array([0.0, 10.0, 20.0, 30.0]), np.array([1.0, 1.1, 0.9, 1.0])
    a, b = repeated(shared), repeated(shared + own)
    paired = stats.ttest_rel(b["values"], a["values"])
    error = compare._error(a, b, SEED, SEED, None)
    assert (b["value"] - a["value"]) / error == pytest.approx(paired.statistic)
    welch = stats.ttest_ind(b["values"], a["values"], equal_var=False)
    for one, other in ((SEED, OTHER), (SEED, SEED)):
        c = b if one != other else b | {"over": "draws"}
        error = compare._error(a, c, one, other, None)
        assert (b["value"] - a["value"]) / error == pytest.approx(welch.statistic)


def test_a_spread_is_not_taken_for_an_error():
    """Of the mean of four the error is half the spread; one training scatters as over seeds."""
    a = repeated([0.0, 1.0, 2.0, 3.0], over="draws")
    assert compare._error(a, a, SEED, SEED, 9.0) == pytest.approx(2**0.5 * a["sd"] / 2)
    one = {"value": 1.0, "null_sd": 0.3}
    assert compare._error(one, one, SEED, SEED, 2.0) == pytest.approx(8**0.5)
    assert compare._error(one, one, SEED, SEED, None) == pytest.approx(0.3 * 2**0.5)
    assert compare._error({"value": 1.0}, one, SEED, SEED, None) is None
