"""Records: whatever is cut off, exchanged or edited is noticed, and said in a few words."""

import pytest

from genlab.pipeline.runs import record as records
from genlab.pipeline.runs.record import Damaged, key_of, sealed

PARTS = {"code": "c0de", "params": {"seed": 0}}
RECORD = {
    "section": "first",
    "profile": "quick",
    "params": {"seed": 0},
    "seed": 0,
    "key": key_of(PARTS),
    "key_parts": PARTS,
    "device": "cpu",
    "seconds": 1.5,
    "dirty": False,
    "metrics": {"double": {"value": 10.0, "better": "higher"}},
}
FILES = {"notebook": b"{}", "arrays": b"PK"}


@pytest.fixture
def stored(tmp_path):
    """Paths of a record and of its files."""
    paths = {name: tmp_path / name for name in FILES}
    for name, content in FILES.items():
        paths[name].write_bytes(content)
    (tmp_path / "record.json").write_bytes(sealed(RECORD, FILES))
    return tmp_path / "record.json", paths


def test_a_record_is_read_as_it_was_written(stored):
    file, paths = stored
    found = records.read(file)
    records.verify_files(found, paths)
    assert {name: found[name] for name in RECORD} == RECORD
    assert found["files"]["arrays"]["bytes"] == 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"value": 10.0', '"value": 10.5', "changed after it was written"),
        ('"value": 10.0', '"value": NaN', "metrics.double.value"),
        ('"value": 10.0', '"value": "ten"', "metrics.double.value"),
        ('"section": "first"', '"section": "../../../escaped"', "section: String should match"),
        ('"section": "first"', '"section": ["first"]', "section: Input should be"),
        ('"key": "', '"key": "/', "key: String should match"),
        ('"profile": "quick"', '"profile": "fast"', "profile: Input should be"),
        ('"seed": 0,\n "key"', '"key"', "seed: Field required"),
        ('"bytes": 2', '"bytes": -2', "files"),
        ('"notebook": {', '"note": {', "files.notebook: Field required"),
    ],
)
def test_an_edited_record_is_damaged(stored, old, new, words):
    file, _ = stored
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(Damaged, match=words):
        records.read(file)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"section": 1}',
        b"NaN",
        b"\x00" * 9,
    ],
)
def test_what_is_no_record_is_damaged(stored, content):
    file, _ = stored
    file.write_bytes(content)
    with pytest.raises(Damaged) as error:
        records.read(file)
    assert "\n" not in str(error.value) and str(error.value)


def test_an_endless_file_is_not_read(stored):
    file, _ = stored
    with file.open("wb") as stream:
        stream.truncate(100 * 2**30)  # 100 GiB of nothing
    with pytest.raises(Damaged, match="larger than"):
        records.read(file)


def test_a_key_must_be_that_of_its_parts(stored):
    file, _ = stored
    file.write_bytes(sealed(RECORD | {"key": "0" * 16}, FILES))
    with pytest.raises(Damaged, match="not that of its parts"):
        records.read(file)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "arrays is missing"), (b"P", "1 bytes of 2"), (b"KP", "not the file that was stored")],
)
def test_another_file_is_noticed(stored, content, words):
    file, paths = stored
    records.verify_files(records.read(file), paths)
    paths["arrays"].unlink() if content is None else paths["arrays"].write_bytes(content)
    with pytest.raises(Damaged, match=words):
        records.verify_files(records.read(file), paths)
