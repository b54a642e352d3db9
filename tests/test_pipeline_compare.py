"""Comparisons of runs show what differs."""

import json

import pytest
from pipeline import one_line, prepared, with_baselines


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
