"""What is kept of sources is what they give now: it follows every change, and no damage."""

import json

import pytest

from genlab.pipeline.runs import derived as module
from genlab.pipeline.runs.derived import derived, text_of


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FOLDER", tmp_path / "derived")
    return tmp_path / "derived"


class Maker:
    """Counts how often it is asked."""

    def __init__(self, value):
        self.value, self.asked = value, 0

    def __call__(self):
        self.asked += 1
        return self.value


def test_it_is_worked_out_once():
    make = Maker({"a": [1, 2.5, "x"]})
    assert [derived("a", ["text"], make) for _ in range(3)] == [make.value] * 3
    assert make.asked == 1


@pytest.mark.parametrize("changed", [["text "], ["te", "xt"], ["text", ""], []])
def test_it_follows_the_sources(changed):
    derived("a", ["text"], Maker(1))
    assert derived("a", changed, Maker(2)) == 2
    assert derived("a", ["text"], Maker(3)) == 3


def test_it_follows_genlab_and_python(monkeypatch):
    derived("a", ["text"], Maker(1))
    with monkeypatch.context() as patch:
        patch.setattr(module, "text_of", lambda package: "another")
        assert derived("a", ["text"], Maker(2)) == 2
    with monkeypatch.context() as patch:
        patch.setattr(module.platform, "python_version", lambda: "3.99.0")
        assert derived("a", ["text"], Maker(3)) == 3


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"value": 9}', b"\xff", b"null"])
def test_a_damaged_file_counts_for_nothing(folder, damage):
    derived("a", ["text"], Maker(1))
    (folder / "a.json").write_bytes(damage)
    assert derived("a", ["text"], Maker(2)) == 2
    assert json.loads((folder / "a.json").read_text())["value"] == 2


def test_what_cannot_be_written_is_worked_out_again(folder):
    folder.write_text("no folder")
    assert [derived("a", ["text"], Maker(i)) for i in (1, 2)] == [1, 2]


def test_an_error_is_not_kept():
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError):
        derived("a", ["text"], fail)
    assert derived("a", ["text"], Maker(1)) == 1


def test_the_text_of_a_package_is_names_and_contents(tmp_path):
    told = []
    for name, content in (("a.py", "x"), ("a.py", "y"), ("b.py", "x")):
        package = tmp_path / str(len(told))
        package.mkdir()
        (package / name).write_text(content)
        (package / "notes.txt").write_text(str(len(told)))
        told.append(text_of(package))
    assert len(set(told)) == 3
