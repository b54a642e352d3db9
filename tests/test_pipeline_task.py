"""What must be the same where a section is asked for and where it runs."""

import pytest

from genlab.pipeline.execution import Stopped, task
from genlab.pipeline.runs import keys
from genlab.section.paths import UserError


def test_differences_name_the_part():
    here = task.fingerprint()
    there = {**here, "lock": {**here["lock"], "numpy": "1.0"}}
    assert task.differences(here, there) == ["lock: numpy"]
    assert task.differences(here, here) == []


def test_what_makes_a_machine_unfit_is_said(monkeypatch):
    asked = {"lock": {}, "data": {}, "device": "cpu"}
    assert task.unfit(asked) is None
    monkeypatch.setattr(keys, "gpu_name", lambda: None)
    assert task.unfit(asked | {"device": "cuda:A"}) == "device: cuda:A wanted, no GPU here"
    assert "numpy" in task.unfit(asked | {"lock": {"numpy": "0.1"}})


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("the disk is full"), "the disk is full"),
        (KeyError("x"), "the worker failed (KeyError: 'x')"),
    ],
)
def test_what_goes_wrong_around_a_section_is_told_in_one_line(monkeypatch, error, said):
    def fails(*_):
        raise error

    monkeypatch.setattr(task, "_run_in", fails)
    assert task.run({"section": "first"}, print) == {"failed": said, "notebook": None}


def test_to_stop_is_no_failure(monkeypatch):
    def stops(*_):
        raise Stopped

    monkeypatch.setattr(task, "_run_in", stops)
    with pytest.raises(Stopped):
        task.run({"section": "first"}, print)
