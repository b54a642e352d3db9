"""From runs to HTML: current prose, stored outputs, Jupyter Book.  Nothing is executed here."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import yaml

from genlab.pipeline import site
from genlab.pipeline.html import plain
from genlab.pipeline.options import tell_broken
from genlab.pipeline.runs import keys, store
from genlab.pipeline.runs.derived import derived, text_of
from genlab.pipeline.runs.disk import disk_errors, locked
from genlab.pipeline.runs.pages import get_section, section_names
from genlab.pipeline.runs.store import Run
from genlab.pipeline.runs.why import changes
from genlab.pipeline.verdicts.shown import NOT_JUDGED, Judged
from genlab.pipeline.views import home, quotes
from genlab.pipeline.views.about import about_run
from genlab.pipeline.views.citation import citation
from genlab.pipeline.views.downloads import FOLDER, downloads, numbers
from genlab.pipeline.views.notebook import page_notebook
from genlab.pipeline.views.reference import contents, reference
from genlab.pipeline.views.scoreboard import scoreboard
from genlab.pipeline.views.tables import faults_table, ledger, power_table, runtimes, sight_table
from genlab.section.paths import BUILD, PACKAGE, PUBLISHED, ROOT, UserError

Tree = dict[str, bytes]  # path in the book's source -> content


def run_to_show(name: str, profile: str) -> tuple[Run, list[str] | None]:
    """The run a page shows, and what has changed since if it is stale.

    quick: the stored run of the current key.  full: the current run if there is one, else the
    published one, marked.
    """
    if run := keys.current(name, profile):
        return run, None
    section, waiting = get_section(name), []
    public, params = store.published(name), section.values(profile, {})
    public = public if profile == "full" else None
    device = public.record["device"] if public and public.sound else None
    try:
        parts = keys.key_parts(section, params, profile, device)
    except keys.Unfinished:  # what it needs is stale, so it has no key of its own yet
        parts = keys.own_parts(section, params, profile, device=device)
        stale = [need for need in section.needs if not keys.current(need, profile)]
        waiting = [f"needs: {', '.join(stale)}"]
    if public is None:
        raise UserError(
            f"section {name!r} in _toc.yml has no current {profile} run: `genlab run {name} "
            f"--profile {profile}` makes it"
        )
    return public, changes(public.record["key_parts"], parts) + waiting


def book_tree(profile: str) -> Tree:
    """All source files of the book: configuration, hand-written pages, and one notebook per
    section; of a section that cannot be read, a page that says why."""
    shown, pages, missing = {}, {}, []
    for name in section_names():
        try:
            keys.check(name)
        except UserError as error:
            tell_broken(name, error)
            pages[name] = f"# {plain(name)}\n\nThis section cannot be read: {plain(error)}\n"
            continue
        try:
            shown[name] = run_to_show(name, profile)
        except UserError as error:
            missing.append(str(error))
    if missing:
        raise UserError("; ".join(missing))
    tree = {name: (ROOT / name).read_bytes() for name in ("_config.yml", "_toc.yml")}
    tree |= _own_files(lambda path: True)
    tree |= {f"notebooks/{name}.md": text.encode() for name, text in pages.items()}
    records = {name: run.record for name, (run, _) in shown.items()}
    old = frozenset(name for name, (_, stale) in shown.items() if stale is not None)
    judged = Judged.of(records, old) if profile == "full" else Judged.of()
    beside = {path.removeprefix("book/").removesuffix(".md") for path in tree}
    notebooks = {}
    for name, (run, stale) in shown.items():
        notebooks[name] = _page(tree, name, run, judged, stale=stale, beside=beside)
    for path, content in tree.items():
        if path.startswith("book/") and _is_prose(path):
            text = quotes.of_book(judged.filled(content.decode(), path), records, path)
            tree[path] = text.encode()
    front = home.Shown(home.read(), records, notebooks, judged)
    tree |= front.files()
    for name, notebook in notebooks.items():
        notebook.cells[0].source += front.brief(name)
        tree[f"notebooks/{name}.ipynb"] = nbformat.writes(notebook).encode()
    for marker in ("hero", "findings", "cards"):
        fill(tree, f"<!-- genlab:{marker} -->", getattr(front, marker))
    fill(tree, "<!-- genlab:claims-ledger -->", judged.ledger)
    fill(tree, "<!-- genlab:claims-summary -->", judged.summary)
    results = scoreboard(records) if profile == "full" else f"*{NOT_JUDGED.capitalize()}.*"
    fill(tree, "<!-- genlab:scoreboard -->", results)
    tree["book/vendor/claims.csv"] = judged.csv().encode()
    tree["book/vendor/numbers.csv"] = numbers(records).encode()
    fill(tree, "<!-- genlab:ledger -->", ledger(records))
    fill(tree, "<!-- genlab:runtimes -->", runtimes(records))
    fill(tree, "<!-- genlab:citation -->", citation)
    for marker, table in (("power", power_table), ("sight", sight_table), ("faults", faults_table)):
        fill(tree, f"<!-- genlab:{marker} -->", table)
    package = ROOT / "src" / PACKAGE.name
    library = derived("reference", [text_of(package)], lambda: reference(package))
    tree |= {f"reference/{name}.md": text.encode() for name, text in library.items()}
    fill(tree, "<!-- genlab:reference -->", contents(library))
    tree["genindex.md"] = b"# Index\n"  # its place in the contents; Sphinx writes the page
    # _toc.yml names the pages of the library by a pattern, so that only a full build sees a new one
    every_page = site.sources() + repr(list(library)).encode()
    tree["site.sha256"] = hashlib.sha256(every_page).hexdigest().encode()
    return tree


def _page(
    tree: Tree,
    name: str,
    run: Run,
    judged: Judged,
    *,
    stale: list[str] | None = None,
    beside: Collection[str] = (),
) -> nbformat.NotebookNode:
    """The page of a run; what readers may take away of it is added to `tree`.  `beside`:
    hand-written pages that it may point to."""
    section = get_section(name)
    files = downloads(section, run)
    tree |= {f"{FOLDER}/{file}": content for file, content in files.items()}
    sizes = {file: len(content) for file, content in files.items()}
    about = about_run(run.record, section, files=sizes, pages=beside)
    prose = partial(judged.filled, page=name)
    return page_notebook(section, run, about=about, stale=stale, prose=prose)


def _own_files(wanted: Callable[[Path], bool]) -> Tree:
    """The hand-written files below book/ that are wanted; published runs are none of them."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in sorted((ROOT / "book").rglob("*"))
        if path.is_file() and not path.is_relative_to(PUBLISHED) and wanted(path)
    }


def _is_prose(path: str) -> bool:
    """Whether a file of the tree is a page in Markdown, and not one for readers to take away."""
    return path.endswith(".md") and not path.startswith("book/vendor/")


def fill(tree: Tree, marker: str, text: str | Callable[[], str]) -> None:
    """Replace `marker` in every Markdown page; a function is asked only if there is one."""
    for name, content in tree.items():
        if _is_prose(name) and marker.encode() in content:
            told = text if isinstance(text, str) else text()
            tree[name] = content.replace(marker.encode(), told.encode())


def write_tree(tree: Tree, folder: Path) -> None:
    """Make `folder` hold exactly `tree`, touching only files that differ, so that Sphinx re-reads
    only those."""
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in tree:
            path.unlink()
    for name, content in tree.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def jupyter_book(source: Path, target: Path, *, strict: bool, every_page: bool = False) -> None:
    """Run Jupyter Book on what changed, or on `every_page`.  UserError if it fails, or with its
    warnings if `strict` and there are any."""
    program = Path(sys.executable).with_name("jupyter-book")
    flags = (["-W", "-n", "--keep-going"] if strict else []) + (["--all"] if every_page else [])
    command = [str(program), "build", str(source), "--path-output", str(target), "-q", *flags]
    utf8 = os.environ | {"PYTHONUTF8": "1"}
    with disk_errors("the book"):
        result = subprocess.run(command, capture_output=True, cwd=ROOT, env=utf8, check=False)
    if result.returncode:
        lines = (result.stdout + result.stderr).decode(errors="replace").splitlines()
        told = [line for line in lines if re.search("WARNING|ERROR", line)] or lines[-3:]
        shown = "; ".join(line.replace(str(source) + "/", "") for line in told[:8])
        raise UserError(f"Jupyter Book refused the pages ({len(told)} warnings or errors): {shown}")


def build_book(profile: str) -> Path:
    """Build the whole book into _build/html and return its first page; a tree that has not changed
    is not built again."""
    tree = book_tree(profile)
    digest = hashlib.sha256()
    for name in sorted(tree):
        digest.update(name.encode() + b"\0" + tree[name] + b"\0")
    stamp, first = BUILD / "html.sha256", BUILD / "html" / "index.html"
    with locked("book-html"), disk_errors("the book"):
        if first.is_file() and stamp.is_file() and stamp.read_text("utf-8") == digest.hexdigest():
            return first
        stamp.unlink(missing_ok=True)
        moved = _reaches_every_page(tree)
        (BUILD / "source").mkdir(parents=True, exist_ok=True)
        write_tree(tree, BUILD / "source")
        # What refers to a place in a section that cannot be read would be a warning.
        whole = all(f"notebooks/{name}.ipynb" in tree for name in section_names())
        jupyter_book(BUILD / "source", ROOT, strict=whole, every_page=moved)
        stamp.write_text(digest.hexdigest(), "utf-8")
    return first


def _reaches_every_page(tree: Tree) -> bool:
    """Whether something that every page shows is not as in the last build."""
    common = [name for name in tree if name in ("_toc.yml", "site.sha256") or "_static" in name]
    built = {name: BUILD / "source" / name for name in common}
    return any(path.is_file() and path.read_bytes() != tree[n] for n, path in built.items())


def build_page(name: str, given: Mapping[str, Any], profile: str) -> Path:
    """Build the page of one stored run into _build/pages/ and return it.  UserError if there is no
    such run."""
    section = get_section(name)
    params = section.values(profile, given)
    key = store.key_of(keys.key_parts(section, params, profile))
    run = store.find(name, key)
    if run is None:
        words = "".join(f" -p {shlex.quote(f'{k}={v}')}" for k, v in given.items())
        raise UserError(
            f"{name} has no run with these values: `genlab run {name} --profile {profile}{words}` "
            "makes it"
        )
    # without the references every citation on the page would be empty
    tree = _own_files(lambda path: path.suffix != ".md" or path.name == "references.md")
    tree["_config.yml"] = (ROOT / "_config.yml").read_bytes()
    toc: dict[str, Any] = {"format": "jb-book", "root": f"notebooks/{name}"}
    if "book/references.md" in tree:
        toc["chapters"] = [{"file": "book/references"}]
    tree["_toc.yml"] = yaml.safe_dump(toc).encode()
    tree[f"notebooks/{name}.ipynb"] = nbformat.writes(_page(tree, name, run, Judged.of())).encode()
    folder = BUILD / "pages" / f"{name}-{key}"
    with locked(f"page-{name}-{key}"), disk_errors("the page"):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "source").mkdir(parents=True)
        write_tree(tree, folder / "source")
        jupyter_book(folder / "source", folder, strict=False)
    return folder / "_build" / "html" / "notebooks" / f"{name}.html"
