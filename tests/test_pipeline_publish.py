"""Published runs hold no path of the machine; their figures are lighter and look the same,
or stay as they are."""

import errno
import io
import os
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from PIL import Image
from pipeline import Project, one_line

from genlab.pipeline.runs import disk, publish, store
from genlab.pipeline.runs import record as records
from genlab.pipeline.runs.publish import LOSS, lighter
from genlab.section.paths import UserError


def png(picture) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def chart() -> bytes:
    fig, ax = plt.subplots(figsize=(3, 2), facecolor="white")
    for i, color in enumerate(("#1f5fa8", "#e08a1e", "#2f8f4e")):
        ax.plot(np.sin(np.arange(60) / 9 + i), color=color)
        ax.fill_between(np.arange(60), i, i + 0.5, color=color, alpha=0.3)
    file = io.BytesIO()
    fig.savefig(file, format="png")
    plt.close(fig)
    return file.getvalue()


def test_a_chart_gets_much_lighter_and_looks_the_same():
    before = chart()
    after = lighter(before)
    a, b = (np.asarray(Image.open(io.BytesIO(x)).convert("RGB"), float) for x in (before, after))
    assert (
        len(after) < 0.7 * len(before)
        and a.shape == b.shape
        and np.sqrt(((a - b) ** 2).mean()) <= LOSS
    )
    assert lighter(after) == after  # publishing what was published changes nothing


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_what_a_palette_would_spoil_stays_as_it_is(mode):
    """A picture of more colours than a palette has, and one that the page shines through."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 64, len(mode)), dtype=np.uint8)
    if mode == "RGBA":
        pixels[:, :, :3] = 200
    before = png(Image.fromarray(pixels, mode))
    assert lighter(before) == before


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def seal(folder: Path, section: str, value: float) -> store.Run:
    """A stored run whose notebook and arrays hold the value."""
    parts = {"value": value}
    notebook = nbformat.writes(nbformat.v4.new_notebook(cells=[], metadata={"value": value}))
    record = {
        "section": section, "profile": "full", "params": {}, "seed": 0, "device": "cpu",
        "key": records.key_of(parts), "key_parts": parts, "seconds": 1.0, "metrics": {},
    }  # fmt: skip
    file = io.BytesIO()
    np.savez(file, value=value)
    target = folder / section / record["key"]
    target.mkdir(parents=True)
    files = {"notebook": notebook.encode(), "arrays": file.getvalue()}
    (target / "notebook.ipynb").write_bytes(files["notebook"])
    (target / "arrays.npz").write_bytes(files["arrays"])
    (target / "record.json").write_bytes(records.sealed(record, files))
    return store.at(target)


@pytest.mark.parametrize("moment", range(6))
def test_publishing_on_a_disk_that_gets_full_changes_nothing(tmp_path, monkeypatch, moment):
    """At whichever of three writes and three renames the disk is full, the old run stands."""
    for module in (store, publish, disk):
        monkeypatch.setattr(module, "RUNS", tmp_path / "runs", raising=False)
        monkeypatch.setattr(module, "PUBLISHED", tmp_path / "published", raising=False)
    old, new = (seal(tmp_path / "runs", "first", value) for value in (1.0, 2.0))
    publish.publish(old)
    before = {f.name: f.read_bytes() for f in (tmp_path / "published").iterdir()}
    calls = []

    def failing(real):
        def call(path, *args):
            calls.append(path)
            if len(calls) == moment + 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(path, *args)

        return call

    monkeypatch.setattr(Path, "write_bytes", failing(Path.write_bytes))
    monkeypatch.setattr(os, "replace", failing(os.replace))
    with pytest.raises(UserError, match="disk full while writing the published run"):
        publish.publish(new)
    assert {f.name: f.read_bytes() for f in (tmp_path / "published").iterdir()} == before
    assert store.published("first").record["key"] == old.record["key"]
    publish.publish(new)
    assert store.published("first").record["key"] == new.record["key"]


def test_half_a_published_run_is_damaged(tmp_path, monkeypatch):
    """What a kill between two renames could leave: arrays of another run."""
    for module in (store, publish, disk):
        monkeypatch.setattr(module, "RUNS", tmp_path / "runs", raising=False)
        monkeypatch.setattr(module, "PUBLISHED", tmp_path / "published", raising=False)
    old, new = (seal(tmp_path / "runs", "first", value) for value in (1.0, 2.0))
    publish.publish(old)
    assert store.find("first", old.record["key"]).sound
    (tmp_path / "published/first.npz").write_bytes(new.arrays.read_bytes())
    assert not store.published("first").sound


@pytest.mark.slow
def test_publish_refuses_absolute_paths(project):
    root = "from genlab.section.paths import ROOT\nprint(ROOT)\n"
    project.edit("notebooks/second.md", "first = section", f"{root}first = section")
    assert project.genlab("run", "second", "--profile", "full").returncode == 0
    result = project.genlab("publish", "second")
    assert result.returncode == 2 and "absolute path" in one_line(result.stderr)
