"""What a page says is recorded as it is, or refused in one line that names metric and field; and
what it needs is found outside the runner, too."""

import json
import subprocess
import sys
import types

import numpy as np
import pytest
from pipeline import Project, prepared, run_all

from genlab import section
from genlab.section import Run
from genlab.section.number import Metric


@pytest.fixture
def glued(monkeypatch):
    """{name: metric} of what a page records."""
    found = {}
    fake = types.SimpleNamespace(glue=lambda name, metric, display: found.update({name: metric}))
    monkeypatch.setitem(sys.modules, "myst_nb", fake)
    monkeypatch.setattr(section, "_recorded", set())
    monkeypatch.delenv("GENLAB_NEEDS", raising=False)
    return found


def test_a_number_is_recorded_as_it_is(glued):
    section.metric("double", np.float32(0.1), unit="µm", limit=np.array(2), n=np.int64(3), sd=0.5)
    section.metric("a.b+c-d/e_1/größe", np.array([True]), better="target", limit=None)
    section.metric("w", 3, null=np.array([1.0, 3.0]), limit_is="real")
    assert glued == {
        "double": Metric(float(np.float32(0.1)), unit="µm", limit=2, n=3, sd=0.5),
        "a.b+c-d/e_1/größe": Metric(True, better="target"),
        "w": Metric(3, limit_is="real", null_mean=2.0, null_sd=2**0.5, null_draws=2),
    }
    assert type(glued["double"].n) is int and type(glued["w"].value) is int


NAN, NAME = float("nan"), "a name reads quantity or case/quantity"
NUMBER, NULL = "it must be one number, and finite", "must be two finite draws or more"
WRONG = [
    ({"value": NAN}, f"metric 'a': value is nan: {NUMBER}"),
    ({"value": -float("inf")}, f"metric 'a': value is -inf: {NUMBER}"),
    ({"value": np.float32("nan")}, f"metric 'a': value is nan: {NUMBER}"),
    ({"value": 10**400}, NUMBER),
    ({"value": "1"}, f"metric 'a': value is '1': {NUMBER}"),
    ({"value": None}, f"metric 'a': value is None: {NUMBER}"),
    ({"value": [1.0]}, f"metric 'a': value is [1.0]: {NUMBER}"),
    ({"value": np.arange(2.0)}, f"metric 'a': value is array([0., 1.]): {NUMBER}"),
    ({"value": 1j}, NUMBER),
    ({"limit": NAN}, f"metric 'a': limit is nan: {NUMBER}"),
    ({"limit": "0"}, f"metric 'a': limit is '0': {NUMBER}"),
    ({"sd": NAN}, f"metric 'a': sd is nan: {NUMBER}"),
    ({"sd": float("inf")}, f"metric 'a': sd is inf: {NUMBER}"),
    ({"sd": -1.0}, "metric 'a': sd is -1.0: it must be not negative"),
    ({"n": 0}, "metric 'a': n is 0: it must be a whole number from 1 up"),
    ({"n": -5}, "metric 'a': n is -5"),
    ({"n": 2.5}, "metric 'a': n is 2.5"),
    ({"n": NAN}, "metric 'a': n is nan"),
    ({"n": True}, "metric 'a': n is True"),
    ({"null": [0.5]}, f"metric 'a': null of shape (1,) {NULL}"),
    ({"null": []}, f"metric 'a': null of shape (0,) {NULL}"),
    ({"null": 0.5}, f"metric 'a': null of shape () {NULL}"),
    ({"null": [[0.5, 1.0]]}, f"metric 'a': null of shape (1, 2) {NULL}"),
    ({"null": [0.5, NAN]}, f"metric 'a': null of shape (2,) {NULL}"),
    ({"null": ["x", "y"]}, "metric 'a': null must be numbers, shape (draws,)"),
    ({"null_mean": NAN}, f"metric 'a': null_mean is nan: {NUMBER}"),
    ({"null_sd": -1.0}, "metric 'a': null_sd is -1.0: it must be not negative"),
    ({"null_draws": 1}, "metric 'a': null_draws is 1: it must be a whole number from 2 up"),
    ({"better": "smaller"}, "metric 'a': better is 'smaller': it must be one of lower, higher, ta"),
    ({"unit": 3}, "metric 'a': unit is 3: it must be text"),
    ({"limit_is": None}, "metric 'a': limit_is is None: it must be text"),
    ({"units": "m"}, "metric 'a': there is no 'units': use value, unit, better, limit"),
    ({"name": ""}, f"metric '': {NAME}"),
    ({"name": "a b"}, f"metric 'a b': {NAME}"),
    ({"name": "a/"}, f"metric 'a/': {NAME}"),
    ({"name": "/a"}, f"metric '/a': {NAME}"),
    ({"name": "a//b"}, f"metric 'a//b': {NAME}"),
    ({"name": "a:.2f"}, f"metric 'a:.2f': {NAME}"),
    ({"name": "a`b"}, f"metric 'a`b': {NAME}"),
    ({"name": "<b>"}, f"metric '<b>': {NAME}"),
    ({"name": "a\n"}, f"metric 'a\\n': {NAME}"),
    ({"name": 3}, f"metric 3: {NAME}"),
]


@pytest.mark.parametrize(("about", "told"), WRONG, ids=[str(a) for a, _ in WRONG])
def test_what_is_no_metric_is_refused_when_it_is_recorded(glued, about, told):
    with pytest.raises(ValueError) as error:
        section.metric(**({"name": "a", "value": 1.0} | about))
    assert told in str(error.value) and "\n" not in str(error.value) and not glued


def test_a_run_records_a_name_once(glued, monkeypatch):
    """Outside the runner a person may execute a cell again."""
    section.metric("a", 1.0)
    section.metric("a", 2.0)
    assert glued["a"].value == 2.0
    monkeypatch.setenv("GENLAB_NEEDS", "{}")
    with pytest.raises(ValueError, match="metric 'a' is recorded already"):
        section.metric("a", 3.0)


def test_repetitions_are_a_mean_its_error_and_their_spread(glued):
    values = np.array([1.0, 2.0, 4.0, 5.0])
    section.record("a", values, over="seeds", unit="nats", better="higher")
    about = glued["a"]
    assert (about.value, about.over, about.repeats, about.unit) == (3.0, "seeds", 4, "nats")
    assert about.values == values.tolist()
    # a spread by hand, with the divisor n - 1: (4 + 1 + 1 + 4) / 3
    assert about.sd == pytest.approx((10 / 3) ** 0.5) and about.se == pytest.approx(about.sd / 2)


def test_many_repetitions_are_not_kept_each(glued):
    section.record("a", np.arange(1000) % 2, over="images", n=1000)
    assert glued["a"].values is None and glued["a"].se == pytest.approx((0.25 / 999) ** 0.5)


def test_one_training_has_no_spread(glued):
    section.record("a", 3.0, limit=1.0)
    section.record("b", np.float32(2.0), se=0.25)
    assert (glued["a"].sd, glued["a"].se, glued["a"].repeats) == (None, None, None)
    assert (glued["b"].se, glued["b"].sd) == (0.25, None)


@pytest.mark.parametrize(
    ("values", "about", "said"),
    [
        ([1.0, 2.0], {}, r"values of shape \(2,\) over None"),
        ([1.0], {"over": "seeds"}, r"values of shape \(1,\) over seeds"),
        ([[1.0, 2.0], [3.0, 4.0]], {"over": "seeds"}, r"shape \(2, 2\)"),
        (1.0, {"over": "seeds"}, "one number has not been repeated over seeds"),
        ([1.0, 2.0], {"over": "moons"}, "over is 'moons'"),
        ([1.0, np.nan], {"over": "seeds"}, "value is nan"),
        ([1.0, 2.0], {"over": "seeds", "sd": 1.0}, "sd is computed"),
        (1.0, {"se": -1.0}, "se is -1.0"),
    ],
)
def test_what_is_no_measurement_is_refused_in_words(glued, values, about, said):
    with pytest.raises(ValueError, match=f"metric 'a': .*{said}|metric 'a': {said}"):
        section.record("a", values, **about)
    assert not glued


def test_a_quoted_value_is_no_metric(glued):
    section.quote("a", np.float64(2.5))
    assert glued == {"a": 2.5}
    with pytest.raises(ValueError, match="metric 'b': value is nan"):
        section.quote("b", np.nan)


def test_the_runner_says_what_is_needed(tmp_path, monkeypatch):
    (tmp_path / "record.json").write_text(json.dumps({"metrics": {"é": {"value": 1}}}), "utf-8")
    files = {"first": {"record": str(tmp_path / "record.json"), "arrays": None}}
    monkeypatch.setenv("GENLAB_NEEDS", json.dumps(files))
    assert section.needed("first") == Run({"é": {"value": 1}}, {})
    with pytest.raises(KeyError, match=r"'second' is not among the needed runs \['first'\]"):
        section.needed("second")


def test_outside_the_runner_a_missing_run_says_how_to_make_it(tmp_path, monkeypatch):
    project = Project(tmp_path)
    monkeypatch.delenv("GENLAB_NEEDS", raising=False)
    monkeypatch.setenv("GENLAB_ROOT", str(project.root))
    for name, told in {
        "first": "genlab: first has no current run: `genlab run first` makes one",
        "frist": "unknown section 'frist' (did you mean 'first'?)",
        "--all": "unknown section '--all'",
    }.items():
        with pytest.raises(RuntimeError) as error:
            section.needed(name)
        assert told in str(error.value) and "\n" not in str(error.value)


@pytest.mark.slow
def test_outside_the_runner_the_current_run_is_read(tmp_path_factory, capfd, monkeypatch):
    """By plain Jupyter, for instance; a stale one is not."""
    project = prepared(tmp_path_factory, "ran", run_all)
    monkeypatch.delenv("GENLAB_NEEDS", raising=False)
    monkeypatch.setenv("GENLAB_ROOT", str(project.root))
    run = section.needed("first")
    assert run.value("double") == 6.0 and run.arrays["numbers"].tolist() == [0.0, 2.0, 4.0]
    assert capfd.readouterr().err == "genlab: first: reads the quick run\n"
    notebook = ["--to", "ipynb", "--output", "second.ipynb", "notebooks/second.md"]
    for words in (["jupytext", *notebook], ["jupyter", "execute", "second.ipynb"]):
        module = [sys.executable, "-m", *words]
        subprocess.run(module, cwd=project.root, env=project.env, check=True, capture_output=True)
    project.edit("notebooks/first.md", "scale * size", "1 + scale * size")
    with pytest.raises(RuntimeError, match="`genlab run first` makes one"):
        section.needed("first")


def test_only_numbers_and_text_are_saved(monkeypatch, tmp_path):
    monkeypatch.setenv("GENLAB_RUN_DIR", str(tmp_path))
    section.save(x=[1, 2], name="text")
    with pytest.raises(ValueError, match="array 'made' holds Python objects"):
        section.save(y=[3.0], made=[{"an": "object"}, None])
    with np.load(tmp_path / "arrays.npz") as stored:
        assert sorted(stored) == ["name", "x"] and stored["x"].tolist() == [1, 2]
