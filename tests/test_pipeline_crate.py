"""The metadata of a release: every file and every run is described, and nothing is named that is
not there."""

import json
from datetime import UTC, datetime

import pytest
from crates import NAME, faults

from genlab.pipeline.runs.store import content, published
from genlab.pipeline.views.crate import About, Part, crate

ABOUT = About(
    "A book", "Somebody", "What it is", "1.2", "MIT", "0" * 40, datetime(2026, 5, 4, tzinfo=UTC)
)
RUNS = {name: published(name) for name in ("toy_data", "ebm", "dbn")}
COMMIT = RUNS["ebm"].record["commit"]


def write(folder, about=ABOUT, runs=RUNS):
    parts = {"results.zip": Part("runs", b"packed"), "list": Part("checksums")}
    (folder / "results.zip").write_bytes(b"packed")
    (folder / "list").write_bytes(b"")
    (folder / NAME).write_bytes(crate(about, parts, runs, "results.zip"))
    return {e["@id"]: e for e in json.loads((folder / NAME).read_text("utf-8"))["@graph"]}


def test_the_crate_keeps_the_rules_and_says_what_the_records_say(tmp_path):
    known = write(tmp_path)
    assert faults(tmp_path) == []
    record, run = RUNS["ebm"].record, known["#run/ebm"]
    assert run["identifier"] == record["key"] and run["startTime"] == record["started"]
    taken = datetime.fromisoformat(run["endTime"]) - datetime.fromisoformat(run["startTime"])
    assert abs(taken.total_seconds() - record["seconds"]) <= 0.5
    assert record["commit"] in known[run["instrument"]["@id"]]["version"]
    said = {e["name"]: e["value"] for e in known.values() if "#parameter/ebm/" in e["@id"]}
    assert said == {
        name: json.dumps(value) if isinstance(value, list) else value
        for name, value in record["params"].items()
    }
    assert [r["@id"] for r in run["result"]] == [
        f"#results/ebm.{e}" for e in ("ipynb", "json", "npz")
    ]
    same = content(RUNS["toy_data"]) == record["key_parts"]["needs"]["toy_data"]
    assert ({"@id": "#results/toy_data.json"} in run["object"]) == same
    data = [o["@id"] for o in known["#run/dbn"]["object"] if o["@id"].startswith("#data/mnist/")]
    read = RUNS["dbn"].record["key_parts"]["data"]
    assert {known[name]["name"]: known[name]["sha256"] for name in data} == {
        f"data/{file}": checksum for file, checksum in read.items()
    }
    loaded = known[run["instrument"]["@id"]]["softwareRequirements"]
    assert {"@id": f"pkg:pypi/jax@{record['versions']['jax']}"} in loaded


def test_a_needed_run_that_was_another_is_not_named(tmp_path):
    """Of sections that were run with another toy_data than the published one."""
    known = write(tmp_path, runs={"ebm": RUNS["ebm"]})
    assert not any("#results/toy_data" in o["@id"] for o in known["#run/ebm"]["object"])
    assert faults(tmp_path) == []


def test_marks_make_it_a_draft(tmp_path):
    assert "creativeWorkStatus" not in write(tmp_path)["./"]
    marked = About(**vars(ABOUT) | {"marks": ("stale pages: ebm",)})
    assert write(tmp_path, marked)["./"]["creativeWorkStatus"] == "Draft: stale pages: ebm"


def without(entities, name):
    return [e for e in entities if e["@id"] != name]


def changed(entities, name, **values):
    return [e | values if e["@id"] == name else e for e in entities]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda es: without(es, f"#source/ebm@{COMMIT}"), "is named by #run/ebm and not"),
        (lambda es: without(es, "#results/ebm.npz"), "#results/ebm.npz is named by"),
        (lambda es: without(es, "results.zip"), "results.zip is named by ./ and not"),
        (lambda es: changed(es, "results.zip", sha256="0" * 64), "another checksum"),
        (lambda es: changed(es, "results.zip", contentSize="7"), "another size"),
        (lambda es: changed(es, "./", hasPart=[{"@id": "list"}]), "results.zip is not described"),
        (lambda es: changed(es, "./", mentions=[]), "does not mention #run/ebm"),
        (lambda es: changed(es, "./", license=None), "the root has no license"),
        (lambda es: changed(es, NAME, about=None), "the descriptor says"),
        (lambda es: changed(es, "#run/ebm", endTime="2020-01-01T00:00:00+00:00"), "ends before"),
        (lambda es: changed(es, "#run/ebm", result=[]), "#run/ebm has no result"),
        (lambda es: [*es, es[-1]], "twice"),
    ],
)
def test_the_rules_find_what_is_wrong(tmp_path, damage, said):
    write(tmp_path)
    whole = json.loads((tmp_path / NAME).read_text("utf-8"))
    whole["@graph"] = damage(whole["@graph"])
    (tmp_path / NAME).write_text(json.dumps(whole), encoding="utf-8")
    assert any(said in fault for fault in faults(tmp_path)), faults(tmp_path)


def test_a_file_that_is_not_described_or_not_there_is_found(tmp_path):
    write(tmp_path)
    (tmp_path / "more.txt").write_bytes(b"")
    (tmp_path / "list").unlink()
    assert faults(tmp_path) == ["file more.txt is not described", "file list is not there"]
