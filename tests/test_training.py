"""What every training shares: progress goes to the runner's file or to a terminal, never into a
cell's output; lengths that cannot be are refused; a divergence says where."""

import json

import pytest

from genlab.training import Diverged, check_epochs, progress


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


def test_a_divergence_holds_its_step_and_the_last_good_state():
    error = Diverged("VAE", 7, {"w": 1.0})
    assert (error.step, error.state) == (7, {"w": 1.0}) and isinstance(error, FloatingPointError)
    assert "training of the VAE stopped at step 7" in str(error)


@pytest.mark.parametrize(
    ("epochs", "batch_size", "words"),
    [
        (0, 5, "epochs=0 must be at least 1"),
        (-1, 5, "epochs=-1 must be at least 1"),
        (1, 0, "batch_size=0 must be at least 1"),
        (1, 11, "batch_size=11 must be at most 10.*the 10 rows"),
        (1.0, 5, "epochs=1.0 must be one whole number"),
    ],
)
def test_lengths_that_cannot_be_are_refused(epochs, batch_size, words):
    check_epochs(1, 10, 10)
    with pytest.raises(ValueError, match=words):
        check_epochs(epochs, batch_size, 10)
