"""From runs to HTML: current prose, stored outputs, Jupyter Book.  Nothing is executed here."""

import hashlib
import html
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat
import yaml

from genlab.pipeline.html import plain
from genlab.pipeline.runs import keys, store
from genlab.pipeline.runs.pages import Section, get_section, section_names
from genlab.pipeline.runs.store import Run
from genlab.pipeline.runs.why import changes
from genlab.pipeline.views.reference import contents, reference
from genlab.pipeline.views.tables import ledger, power_table, runtimes
from genlab.section import code
from genlab.section.paths import BUILD, PACKAGE, PUBLISHED, ROOT, UserError

Tree = dict[str, bytes]  # path in the book's source -> content
Broken = Callable[[str, UserError], None]  # hears of a section that cannot be read


def page_notebook(
    section: Section, run: Run, *, stale: list[str] | None = None
) -> nbformat.NotebookNode:
    """The notebook to render.

    With a current key its prose and layout are the section file's, its outputs the run's, matched
    code cell by code cell: a typo in the prose is mended without a kernel.  With `stale`, what
    changed since, it is the run's notebook under a mark.
    """
    executed = nbformat.read(run.notebook, as_version=4)
    if stale is not None:
        cells = executed.cells
    else:
        ran = (c for c in executed.cells if c.cell_type == "code")
        results = (c for c in ran if "injected-parameters" not in tags(c))
        cells = [
            _with_outputs(cell, next(results)) if cell.cell_type == "code" else cell.copy()
            for cell in section.notebook.cells
        ]
        _show_source(cells, section)
    cells = [c for c in cells if "injected-parameters" not in tags(c)]
    for cell in cells:
        cell.metadata.pop("papermill", None)
        if cell.cell_type == "code" and (
            "image" in cell.metadata.get("mystnb", {}) or cell.source.startswith("plots.animation")
        ):
            # Drawing a figure is one click away, the method stays in sight.
            cell.metadata["tags"] = [*tags(cell), "hide-input"]
    _after_title(
        cells, about_run(run.record, section) + (_stale_mark(stale) if stale is not None else "")
    )
    metadata = {
        "kernelspec": section.notebook.metadata["kernelspec"],
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def _with_outputs(cell, executed):
    """The section's cell with what its execution in the run gave.  A cell that draws does not also
    show the text of its last value: `<matplotlib.legend.Legend at 0x…>` says nothing, and a figure
    has one name only."""
    draws = any("image/png" in output.get("data", {}) for output in executed.outputs)
    outputs = [
        output
        for output in executed.outputs
        if not (
            draws and output.output_type == "execute_result" and set(output.data) == {"text/plain"}
        )
    ]
    return nbformat.from_dict(
        {**cell, "outputs": outputs, "execution_count": executed.execution_count}
    )


def _show_source(cells, section: Section) -> None:
    """Give every cell that shows source the source as it is now; comments may have changed since
    the run."""
    shown = iter(code.arguments(code.library(PACKAGE), keys.trees(section), "show"))
    for cell in cells:
        if cell.cell_type != "code" or "parameters" in tags(cell):
            continue
        if refs := next(shown):
            source = code.listing(code.library(PACKAGE), refs)
            cell.outputs = [
                nbformat.v4.new_output("display_data", data={"text/markdown": source}),
                *(o for o in cell.outputs if "text/markdown" not in o.get("data", {})),
            ]


def _after_title(cells, text: str) -> None:
    """Insert `text` below the first heading of the page."""
    for cell in cells:
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            title, _, rest = cell.source.partition("\n")
            cell.source = f"{title}\n\n{text}\n{rest}"
            return


def about_run(record: Mapping[str, Any], section: Section) -> str:
    """The line below a page's title: what made it, and which parameters are not as published."""
    published = section.values("full", {})
    differ = {k: v for k, v in record["params"].items() if published.get(k) != v}
    minutes, seconds = divmod(round(record["seconds"]), 60)
    facts = [
        f"<b>{_said(record['profile'])}</b> profile",
        _said(record["device"]),
        f"seed {_said(record['seed'])}",
        f"{minutes} min {seconds} s" if minutes else f"{seconds} s",
        f"{record['peak_memory_mib']:,} MiB",
        f"key <code>{_said(record['key'])}</code>",
    ]
    if carried := record.get("carried"):
        facts.append(
            f"computed at commit <code>{_said(record['commit'])}</code>, carried to "
            f"<code>{_said(carried[-1]['commit'])}</code> by an equal quick run"
        )
    elif record["commit"]:
        facts.append(
            f"commit <code>{_said(record['commit'])}</code>"
            f"{' with changes' if record['dirty'] else ''}"
        )
    line = " · ".join(facts)
    if differ:
        values = ", ".join(f"{k} = {v!r}" for k, v in differ.items())
        line += (
            '<br><span class="genlab-differs">Not the published values: '
            f"<code>{_said(values)}</code></span>"
        )
    source = f"source: <code>notebooks/{_said(section.name)}.md</code>"
    return f'<p class="genlab-run">{line}<br>{source}</p>\n'


def _said(value: Any) -> str:
    """What a record says, as text in HTML on one line."""
    return html.escape(" ".join(str(value).split()))


def _stale_mark(changed: list[str]) -> str:
    what = "; ".join(map(plain, changed)) or "the profile"
    return (
        f"\n```{{admonition}} Stale results\n:class: warning genlab-stale\nThese results were "
        "computed before a change of "
        f"{what}. `genlab run --profile full` and `genlab publish` bring them up to date.\n```\n"
    )


def run_to_show(name: str, profile: str) -> tuple[Run, list[str] | None]:
    """The run a page shows, and what has changed since if it is stale.

    quick: the stored run of the current key.  full: the current run if there is one, else the
    published one, marked.
    """
    section = get_section(name)
    params, waiting = section.values(profile, {}), []
    try:
        parts = keys.key_parts(section, params, profile)
        run = store.find(name, store.key_of(parts))
    except keys.Unfinished:  # what it needs is stale, so it has no key of its own yet
        parts, run = keys.own_parts(section, params, profile), None
        waiting = [f"needs: {', '.join(n for n in section.needs if not _is_current(n, profile))}"]
    if run:
        return run, None
    public = store.published(name) if profile == "full" else None
    if public is None:
        raise UserError(
            f"section {name!r} in _toc.yml has no current {profile} run: `genlab run {name} "
            f"--profile {profile}` makes it"
        )
    return public, changes(public.record["key_parts"], parts) + waiting


def _is_current(name: str, profile: str) -> bool:
    """Whether a section has a run of its current key."""
    key = keys.current_key(name, profile)
    return bool(key and store.find(name, key))


def book_tree(profile: str, broken: Broken | None = None) -> Tree:
    """All source files of the book: configuration, hand-written pages, and one notebook per
    section.

    `broken` hears of each section that cannot be read, and why; its page says so, too.  Without it
    the first such section stops everything.
    """
    shown, pages, missing = {}, {}, []
    for name in section_names():
        try:
            keys.check(name)
        except UserError as error:
            if broken is None:
                raise
            broken(name, error)
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
    for name, (run, stale) in shown.items():
        notebook = page_notebook(get_section(name), run, stale=stale)
        tree[f"notebooks/{name}.ipynb"] = nbformat.writes(notebook).encode()
    records = {name: run.record for name, (run, _) in shown.items()}
    fill(tree, "<!-- genlab:ledger -->", ledger(records))
    fill(tree, "<!-- genlab:runtimes -->", runtimes(records))
    fill(tree, "<!-- genlab:power -->", power_table())
    library = reference(ROOT / "src" / PACKAGE.name)
    tree |= {f"reference/{name}.md": text.encode() for name, text in library.items()}
    fill(tree, "<!-- genlab:reference -->", contents(library))
    return tree


def _own_files(wanted: Callable[[Path], bool]) -> Tree:
    """The hand-written files below book/ that are wanted; published runs are none of them."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in sorted((ROOT / "book").rglob("*"))
        if path.is_file() and not path.is_relative_to(PUBLISHED) and wanted(path)
    }


def fill(tree: Tree, marker: str, text: str) -> None:
    """Replace `marker` in every Markdown page."""
    for name, content in tree.items():
        if name.endswith(".md") and marker.encode() in content:
            tree[name] = content.replace(marker.encode(), text.encode())


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
    with store.disk_errors("the book"):
        result = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd=ROOT,
            env=os.environ | {"PYTHONUTF8": "1"},
            check=False,
        )
    if result.returncode:
        text = result.stdout + result.stderr
        told = [
            ln for ln in text.splitlines() if "WARNING" in ln or "ERROR" in ln
        ] or text.splitlines()[-3:]
        shown = "; ".join(line.replace(str(source) + "/", "") for line in told[:8])
        raise UserError(f"Jupyter Book refused the pages ({len(told)} warnings or errors): {shown}")


def build_book(profile: str, broken: Broken | None = None) -> Path:
    """Build the whole book into _build/html and return its first page; a tree that has not changed
    is not built again.  `broken` hears of each section that cannot be read."""
    tree = book_tree(profile, broken)
    digest = hashlib.sha256()
    for name in sorted(tree):
        digest.update(name.encode() + b"\0" + tree[name] + b"\0")
    stamp, first = BUILD / "html.sha256", BUILD / "html" / "index.html"
    with store.locked("book", "html"), store.disk_errors("the book"):
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
    source = BUILD / "source"
    common = [name for name in tree if name == "_toc.yml" or "_static" in name]
    listed = {path.relative_to(source).as_posix() for path in source.glob("reference/*.md")}
    # _toc.yml names them by a pattern, so that only a full build sees a new one.
    return listed != {name for name in tree if name.startswith("reference/")} or any(
        (path := source / name).is_file() and path.read_bytes() != tree[name] for name in common
    )


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
    tree = _own_files(lambda path: path.suffix != ".md")
    tree["_config.yml"] = (ROOT / "_config.yml").read_bytes()
    # Without these every citation on the page would be empty.
    references = ROOT / "book" / "references.md"
    toc: dict[str, Any] = {"format": "jb-book", "root": f"notebooks/{name}"}
    if references.is_file():
        toc["chapters"] = [{"file": "book/references"}]
        tree["book/references.md"] = references.read_bytes()
    tree["_toc.yml"] = yaml.safe_dump(toc).encode()
    tree[f"notebooks/{name}.ipynb"] = nbformat.writes(page_notebook(section, run)).encode()
    folder = BUILD / "pages" / f"{name}-{key}"
    with store.locked(f"page-{name}", key), store.disk_errors("the page"):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "source").mkdir(parents=True)
        write_tree(tree, folder / "source")
        jupyter_book(folder / "source", folder, strict=False)
    return folder / "_build" / "html" / "notebooks" / f"{name}.html"
