"""Progress goes to the runner's file or to a terminal, never into a cell's output."""

import json

from genlab.training import progress


def test_progress_file_ends_complete(tmp_path, monkeypatch):
    path = tmp_path / "progress.json"
    monkeypatch.setenv("GENLAB_PROGRESS", str(path))
    assert list(progress(7, "training")) == list(range(7))
    assert json.loads(path.read_text()) == {"what": "training", "done": 7, "total": 7}
    assert [p.name for p in tmp_path.iterdir()] == ["progress.json"]


def test_progress_is_silent_without_a_terminal(monkeypatch, capsys):
    monkeypatch.delenv("GENLAB_PROGRESS", raising=False)
    assert list(progress(3, "training")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
