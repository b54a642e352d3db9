"""Data files: known by their content, packed or not; every broken one refused with the remedy."""

import gzip
import hashlib
import lzma

import pytest

from genlab.data import files
from genlab.data.files import DATA, DataError, checksums, read, stored

CONTENT = bytes(range(200)) * 50
PACKERS = {"": bytes, ".xz": lzma.compress, ".gz": gzip.compress}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(params=PACKERS, ids=lambda suffix: suffix or "plain")
def folder(request, tmp_path):
    """A folder with one file, packed in one of the ways."""
    (tmp_path / "SHA256SUMS").write_text(f"{digest(CONTENT)}  small\n")
    (tmp_path / f"small{request.param}").write_bytes(PACKERS[request.param](CONTENT))
    return tmp_path


def test_a_file_is_its_content_whatever_its_packing(folder):
    assert read("small", folder) == CONTENT


def test_another_content_is_refused(folder):
    """Wrong twin: one byte, well packed; the text says which file, both checksums, what to do."""
    path = stored("small", folder)
    wrong = CONTENT[:-1] + b"x"
    path.write_bytes(PACKERS[path.suffix](wrong))
    with pytest.raises(DataError) as error:
        read("small", folder)
    for word in (f"data/{path.name} is broken", digest(CONTENT), digest(wrong), "git checkout"):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", [lambda b: b[:100], lambda b: b[:-1], lambda b: b"no"])
def test_a_damaged_file_is_named(folder, damage):
    path = stored("small", folder)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=rf"data/{path.name} (is broken|cannot be read).*git"):
        read("small", folder)


def test_missing_files_are_named(folder):
    with pytest.raises(DataError, match="data/other is not listed in data/SHA256SUMS"):
        read("other", folder)
    stored("small", folder).unlink()
    with pytest.raises(
        DataError, match=r"data/small is missing \(expected SHA-256 [0-9a-f]{64}\).*git"
    ):
        read("small", folder)
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(DataError, match="SHA256SUMS is missing"):
        read("small", folder)


def test_lines_of_checksums_are_read_as_sha256sum_writes_them(tmp_path):
    one, two = digest(b"1"), digest(b"2")
    (tmp_path / "SHA256SUMS").write_text(f"{one}  a b\n\n{two} *./c\n")
    assert checksums(tmp_path) == {"a b": one, "c": two}
    for line in (one, f"{one[:9]}  a", "a b c"):
        (tmp_path / "SHA256SUMS").write_text(f"{two}  x\n{line}\n")
        with pytest.raises(DataError, match="SHA256SUMS, line 2"):
            checksums(tmp_path)


def test_every_file_is_listed_by_its_packing_and_by_its_content():
    listed = checksums()
    packed = {str(p.relative_to(DATA)) for p in DATA.rglob("*.xz")}
    assert len(packed) == 8 and listed.keys() == packed | {files.content_name(p) for p in packed}
    assert all(digest((DATA / p).read_bytes()) == listed[p] for p in packed)
