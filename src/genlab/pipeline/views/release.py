"""A release: what others download of the book, made from one commit and from nothing else.

The commit is checked out in a folder of its own and the book is built there anew, so that neither
runs of this machine nor leftovers of earlier builds reach it, and the same commit, in the same
environment, gives the same bytes (but for the PDF, in which the browser writes the time).
"""

import hashlib
import io
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import yaml

from genlab.pipeline.runs import store
from genlab.pipeline.runs.disk import disk_errors, locked, write_all
from genlab.pipeline.runs.trees import environment
from genlab.pipeline.views import crate
from genlab.pipeline.views.crate import About, Part
from genlab.section.paths import BUILD, ROOT, UserError

FOLDER = BUILD / "release"
MANIFEST = "MANIFEST.sha256"
TABLES = {
    "claims.csv": "what the sources claim, with the verdicts and what they rest on",
    "numbers.csv": "every recorded number, with its error and its limit",
}


def release(*, allow_stale: bool = False, pdf: bool = False) -> Path:
    """Make the release of the last commit and return its folder.

    UserError if files of the checkout differ from the commit, or a page is stale; with
    `allow_stale` the release says so instead.  `pdf`: with the book as `genlab pdf` makes it.
    """
    commit, seconds = _git("log", "-1", "--format=%H %ct").split()
    when = datetime.fromtimestamp(int(seconds), UTC)
    marks = [*_changes(commit)]
    _refuse(marks, allow_stale)
    with locked("release"), _checkout(commit) as tree:
        for command in ["build", *(["pdf"] if pdf else [])]:
            _genlab(tree, command)
        marks += _stale(tree)
        _refuse(marks, allow_stale)
        parts = _parts(tree, _about(tree, commit, when, tuple(marks)))
        with disk_errors("the release"):
            before = [file for file in FOLDER.glob("*") if file.is_file()]
            write_all({FOLDER / name: content for name, content in parts.items()}, gone=before)
    return FOLDER


def _git(*words: str) -> str:
    try:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], check=True, capture_output=True, encoding="utf-8"
        ).stdout
    except FileNotFoundError:
        raise UserError("a release is made from a commit, and git is not installed here") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip().splitlines() or ["no reason"])[0]
        raise UserError(f"a release is made from a commit, and git says: {said}") from None


@contextmanager
def _checkout(commit: str) -> Iterator[Path]:
    """A temporary folder with the files of a commit, which git knows to be those."""
    with tempfile.TemporaryDirectory(prefix="genlab-release-") as folder:
        _git("clone", "--quiet", "--shared", "--no-checkout", str(ROOT), folder)
        _git("-C", folder, "checkout", "--quiet", "--detach", commit)
        yield Path(folder)


def _changes(commit: str) -> list[str]:
    """What in the checkout is not as in the commit, in a few words, if anything."""
    files = [line[3:] for line in _git("status", "--porcelain", "--", ".").splitlines()]
    if not files:
        return []
    named = ", ".join(files[:3]) + (", …" if len(files) > 3 else "")
    return [f"files of the checkout differ from commit {commit[:12]}, which is released ({named})"]


def _refuse(marks: list[str], allowed: bool) -> None:
    if marks and not allowed:
        raise UserError(
            f"no release: {'; '.join(marks)}: mend it and commit, or say --allow-stale, and the "
            "release says so"
        )


def _genlab(tree: Path, command: str) -> None:
    """Run a command of the tree's genlab.  UserError with its last words if it fails."""
    called = [sys.executable, "-m", "genlab.pipeline.cli", command]
    result = subprocess.run(
        called, cwd=tree, env=environment(tree), capture_output=True, check=False
    )
    if result.returncode:
        lines = result.stderr.decode(errors="replace").splitlines()
        words = [line for line in lines if re.search(r"\w", line)]
        said = (words or [f"exit code {result.returncode}"])[-1]
        without = "; or say --no-pdf" if command == "pdf" else ""
        raise UserError(f"no release: genlab {command}: {said.removeprefix('genlab: ')}{without}")


def _stale(tree: Path) -> list[str]:
    """Which pages of the built book are marked stale, in a few words, if any."""
    pages = sorted((tree / "_build" / "html" / "notebooks").glob("*.html"))
    stale = [page.stem for page in pages if "genlab-stale" in page.read_text("utf-8")]
    return [f"stale pages: {', '.join(stale)} (see `genlab why`)"] if stale else []


def _about(tree: Path, commit: str, when: datetime, marks: tuple[str, ...]) -> About:
    project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]
    config = yaml.safe_load((tree / "_config.yml").read_text("utf-8"))
    return About(
        title=config["title"],
        author=config.get("author", "unknown"),
        description=project["description"],
        version=project["version"],
        licence=project["license"],
        commit=commit,
        when=when,
        marks=marks,
    )


def _parts(tree: Path, about: About) -> dict[str, bytes]:
    """{name: content} of every file of the release."""
    base, html = f"genlab-{about.version}", tree / "_build" / "html"
    published = tree / "book" / "published"
    results = f"{base}-results.zip"
    parts = {
        f"{base}-html.zip": Part(
            "the book as HTML, to be read without a network: index.html",
            packed(_files(html, f"{base}-html"), about.when),
        ),
        results: Part(
            "the published runs: executed notebooks, records, arrays",
            packed(_files(published, f"{base}-results"), about.when),
        ),
    }
    if (pdf := tree / "_build" / "genlab.pdf").is_file():
        parts[f"{base}.pdf"] = Part("the book as PDF", pdf.read_bytes())
    for name, says in TABLES.items():
        for file in sorted(html.rglob(name))[:1]:
            parts[name] = Part(says, file.read_bytes())
    for name, says in (("LICENSE", "the licence"), ("CITATION.cff", "how to cite it")):
        if (tree / name).is_file():
            parts[name] = Part(says, (tree / name).read_bytes())
    parts[MANIFEST] = Part("SHA-256 of every other file: sha256sum -c MANIFEST.sha256")
    contents = {name: part.content for name, part in parts.items() if part.content is not None}
    names = [file.stem for file in sorted(published.glob("*.json"))]
    runs = {name: store.published(name, published) for name in names}
    contents[crate.NAME] = crate.crate(about, parts, runs, results)
    return contents | {MANIFEST: manifest(contents)}


def _files(folder: Path, name: str) -> dict[str, bytes]:
    """{path below a folder called `name`: content} of a folder's files, without hidden ones: they
    are the builder's notes, and hold where it was built."""
    return {
        f"{name}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def packed(files: Mapping[str, bytes], when: datetime) -> bytes:
    """A zip file of these files, in the order of their names, all of the same time and mode."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (when.year, when.month, when.day, 0, 0, 0))
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3  # as on Unix
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name], compresslevel=9)
    return stream.getvalue()


def manifest(files: Mapping[str, bytes]) -> bytes:
    """Checksums of these files, as `sha256sum -c` reads them."""
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return "".join(lines).encode()
