"""A release: of one commit, the same bytes each time, whole; refused where it would not be what the
commit says."""

import hashlib
import shutil
import subprocess
import zipfile
from datetime import UTC, datetime

import pytest
from crates import faults
from pipeline import Project, one_line, succeed

from genlab.pipeline.views import release
from genlab.pipeline.views.release import MANIFEST, manifest, packed
from genlab.section.paths import UserError

WHEN = datetime(2026, 5, 4, 12, tzinfo=UTC)
PROJECT = (
    '[project]\nname = "miniature"\nversion = "1.2"\nlicense = "MIT"\ndescription = "Two pages"\n'
)


def git(project, *words):
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    result = subprocess.run(
        ["git", "-C", str(project.root), *who, *words], capture_output=True, text=True, check=True
    )
    return result.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The miniature book in a repository of its own, published, and with other runs beside."""
    project = Project(tmp_path_factory.mktemp("released"))
    (project.root / "pyproject.toml").write_text(PROJECT)
    (project.root / ".gitignore").write_text("/runs/\n/_build/\n")
    (project.root / "LICENSE").write_text("Free\n")
    succeed(project, "run", "--all", "--profile", "full")
    succeed(project, "publish", "--all")
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "All")
    return project


def released(project, *words):
    succeed(project, "release", "--no-pdf", *words)
    return project.root / "_build" / "release"


def sha256sum(folder):
    command = ["sha256sum", "--check", "--strict", MANIFEST]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_release_is_whole_described_and_checked(project, tmp_path):
    folder = released(project)
    base = "genlab-1.2"
    names = {
        "LICENSE",
        MANIFEST,
        "claims.csv",
        "numbers.csv",
        "ro-crate-metadata.json",
        f"{base}-html.zip",
        f"{base}-results.zip",
    }
    assert {p.name for p in folder.iterdir()} == names and faults(folder) == []
    checked = sha256sum(folder)
    assert checked.returncode == 0 and checked.stdout.count(": OK") == len(names) - 1
    with zipfile.ZipFile(folder / f"{base}-html.zip") as archive:
        page = archive.read(f"{base}-html/notebooks/first.html").decode()
        assert "size is positive: True" in page and f"{base}-html/index.html" in archive.namelist()
        assert not any("/." in name for name in archive.namelist())
    with zipfile.ZipFile(folder / f"{base}-results.zip") as archive:
        files = {p.name for p in (project.root / "book/published").iterdir()}
        assert {n.removeprefix(f"{base}-results/") for n in archive.namelist()} == files
    metadata = (folder / "ro-crate-metadata.json").read_text()
    assert git(project, "rev-parse", "HEAD").strip() in metadata and "Draft" not in metadata
    for name, damage in (("LICENSE", b"Fref\n"), (f"{base}-results.zip", None)):
        copy = shutil.copytree(folder, tmp_path / name)
        copy.joinpath(name).unlink()
        if damage:
            copy.joinpath(name).write_bytes(damage)
        assert sha256sum(copy).returncode == 1 and faults(copy), "the wrong twin is found"


@pytest.mark.slow
def test_the_same_commit_gives_the_same_bytes_whatever_lies_beside(project):
    """Runs of this machine and leftovers of a build are not of the commit."""
    before = {p.name: p.read_bytes() for p in released(project).iterdir()}
    shutil.rmtree(project.root / "runs")
    (project.root / "_build" / "html" / "notebooks").mkdir(parents=True, exist_ok=True)
    (project.root / "_build" / "html" / "notebooks" / "old.html").write_text("genlab-stale")
    assert {p.name: p.read_bytes() for p in released(project).iterdir()} == before


@pytest.mark.slow
def test_changed_files_and_stale_pages_are_refused_or_said(project):
    project.edit("notebooks/first.md", "scale = 2.0", "scale = 2.5")
    try:
        result = project.genlab("release", "--no-pdf")
        told = one_line(result.stderr)
        assert result.returncode == 2 and "(notebooks/first.md)" in told and "--allow-stale" in told
        folder = released(project, "--allow-stale")
        metadata = (folder / "ro-crate-metadata.json").read_text()
        assert "Draft: files of the checkout differ from commit" in metadata
        assert "stale pages" not in metadata, "the commit's own pages are current"
        git(project, "commit", "-qam", "Another default")
        result = project.genlab("release", "--no-pdf")
        assert result.returncode == 2 and "stale pages: first, second" in one_line(result.stderr)
        folder = released(project, "--allow-stale")
        assert (
            "Draft: stale pages: first, second" in (folder / "ro-crate-metadata.json").read_text()
        )
        assert faults(folder) == []
    finally:
        project.edit("notebooks/first.md", "scale = 2.5", "scale = 2.0")
        git(project, "commit", "-qam", "The default again")


@pytest.mark.slow
def test_a_page_without_results_is_refused(project):
    file = project.root / "book" / "published" / "second.json"
    content = file.read_bytes()
    git(project, "rm", "-q", "book/published/second.json")
    git(project, "commit", "-qm", "One less")
    try:
        result = project.genlab("release", "--no-pdf", "--allow-stale")
        assert result.returncode == 2 and "'second'" in one_line(result.stderr)
    finally:
        file.write_bytes(content)
        git(project, "add", "-A")
        git(project, "commit", "-qm", "All again")


def test_there_is_no_release_without_a_commit(tmp_path):
    result = Project(tmp_path / "plain").genlab("release")
    assert result.returncode == 2 and "made from a commit" in one_line(result.stderr)


def test_a_pdf_that_cannot_be_made_may_be_left_out(tmp_path):
    for command, remedy in (("pdf", True), ("build", False)):
        with pytest.raises(UserError, match=f"no release: genlab {command}: ") as refusal:
            release._genlab(tmp_path, command)
        assert str(refusal.value).endswith("or say --no-pdf") == remedy


def test_archives_are_the_same_whenever_they_are_packed():
    files = {"b/2.txt": b"two" * 99, "a.txt": b"one"}
    archive = packed(files, WHEN)
    assert archive == packed(dict(reversed(files.items())), WHEN)
    assert archive != packed(files | {"a.txt": b"One"}, WHEN)


def test_the_list_of_checksums_is_what_sha256sum_reads():
    assert manifest({"b": b"2", "a": b""}).decode().splitlines() == [
        f"{hashlib.sha256(b'').hexdigest()}  a",
        f"{hashlib.sha256(b'2').hexdigest()}  b",
    ]
    assert release.TABLES.keys() == {"claims.csv", "numbers.csv"}
