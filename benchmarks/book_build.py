"""How long a book takes to build: this one, and one of two hundred made-up pages beside what plain
Jupyter Book needs for the same sources.

    .venv/bin/python benchmarks/book_build.py [--pages 200]

Each line has seconds on the clock, which tell something only on a machine that does nothing else,
and seconds of processor time.
"""

import argparse
import base64
import io
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import numpy as np
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

ROOT = Path(__file__).parents[1]
NOT_COPIED = {"_build", "runs", ".git", ".venv"}
SECTIONS = 6  # of a made-up page


def spent(command: list[str], **options) -> tuple[float, float]:
    """Seconds on the clock, and of processor time, that a command takes."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    start, before = time.perf_counter(), used()
    subprocess.run(command, check=True, capture_output=True, **options)
    return time.perf_counter() - start, used() - before


def tell(what: str, times: tuple[float, float]) -> float:
    print(f"{what:55} {times[0]:7.1f} s {times[1]:7.1f} s of processor", flush=True)
    return times[1]


def this_book(folder: Path) -> None:
    """The published book: from nothing, unchanged, and after a change in one page's prose."""
    folder.mkdir()
    for place in ROOT.iterdir():
        if place.name not in NOT_COPIED:
            (shutil.copytree if place.is_dir() else shutil.copy)(place, folder / place.name)
    env = os.environ | {"GENLAB_ROOT": str(folder), "PYTHONPATH": str(folder / "src")}
    build = [sys.executable, "-m", "genlab.pipeline.cli", "build"]
    tell("this book, from nothing", spent(build, env=env))
    tell("unchanged", spent(build, env=env))
    page = folder / "book" / "how_to_rerun.md"
    page.write_text(page.read_text() + "\nOne more sentence.\n")
    tell("one page of prose changed", spent(build, env=env))


def made_up(pages: int) -> dict[str, bytes]:
    """The sources of a book: notebooks with headings, prose, formulas, citations, code and
    pictures."""
    draw = random.Random(0)
    references = (ROOT / "book" / "references.bib").read_bytes()
    keys = re.findall(r"^@\w+\{([^,\s]+),", references.decode(), re.MULTILINE)
    words = (ROOT / "README.md").read_text().split()
    words = [word for word in words if word.isalpha()]

    def prose(count: int) -> str:
        return " ".join(draw.choices(words, k=count)).capitalize() + "."

    def picture() -> str:
        shades = np.random.default_rng(draw.randrange(2**32)).integers(
            0, 255, (60, 90, 3), np.uint8
        )
        file = io.BytesIO()
        Image.fromarray(shades).resize((900, 600)).save(file, "png")
        return base64.b64encode(file.getvalue()).decode()

    pictures = [picture() for _ in range(12)]  # to draw them takes longer than to build the book

    def page(number: int) -> bytes:
        cells = [new_markdown_cell(f"# Page {number}\n\n{prose(60)}")]
        for section in range(SECTIONS):
            cite = f"{{cite:p}}`{draw.choice(keys)}`"
            formula = rf"$\int_0^{{{number}}} x^{section}\,dx$"
            text = f"## Section {section}\n\n{prose(80)} {formula} {cite}\n\n{prose(80)}"
            code = "\n".join(f"value_{i} = sum(range({i}))  # {prose(5)}" for i in range(12))
            shown = {"text/plain": "<Figure>", "image/png": draw.choice(pictures)}
            outputs = [new_output("display_data", data=shown)] if section % 2 else []
            outputs.append(new_output("stream", name="stdout", text=prose(8)))
            cells += [new_markdown_cell(text), new_code_cell(code, outputs=outputs)]
        for i, cell in enumerate(cells):
            cell["id"] = f"cell-{i}"
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        return nbformat.writes(new_notebook(cells=cells, metadata={"kernelspec": kernel})).encode()

    names = [f"page{number:03d}" for number in range(pages)]
    files = [{"file": name} for name in [*names, "references"]]
    toc = {"format": "jb-book", "root": "index", "chapters": files}
    return {
        "index.md": f"# A made-up book\n\n{prose(100)}\n".encode(),
        "references.md": b"# References\n\n```{bibliography}\n```\n",
        "_toc.yml": yaml.safe_dump(toc).encode(),
        "book/references.bib": references,
    } | {f"{name}.ipynb": page(number) for number, name in enumerate(names)}


def plain_config() -> str:
    """What Jupyter Book needs to render the same sources."""
    ours = yaml.safe_load((ROOT / "_config.yml").read_text())
    kept = ("title", "author", "only_build_toc_files", "execute", "parse", "bibtex_bibfiles")
    return yaml.safe_dump({key: ours[key] for key in kept} | {"repository": {"url": ""}})


def write(folder: Path, sources: dict[str, bytes], config: str) -> None:
    for name, content in (sources | {"_config.yml": config.encode()}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def beside_plain(folder: Path, pages: int) -> None:
    """The made-up book with this book's theme, styles and extension, and without."""
    sources = made_up(pages)
    ours, plain = folder / "ours", folder / "plain"
    write(ours, sources, (ROOT / "_config.yml").read_text())
    for part in ("_static", "vendor"):
        shutil.copytree(ROOT / "book" / part, ours / "book" / part)
    write(plain, sources, plain_config())
    env = os.environ | {"GENLAB_ROOT": str(ROOT), "PYTHONPATH": str(ROOT / "src")}
    program = str(Path(sys.executable).with_name("jupyter-book"))

    def both(what: str) -> None:
        took = []
        for told, book in (("this book's configuration", ours), ("plain Jupyter Book", plain)):
            command = [program, "build", str(book), "-q"]
            took.append(tell(f"{pages} pages, {what}, {told}", spent(command, env=env)))
        print(f"  ours is {took[1] / took[0]:.2f} times as fast, by processor time")

    both("from nothing")
    for book in (ours, plain):
        page = book / "page001.ipynb"
        page.write_text(page.read_text().replace("# Page 1", "# A page"))
    both("one changed")
    weight = [
        sum(p.stat().st_size for p in book.rglob("_build/html/**/*") if p.is_file())
        for book in (ours, plain)
    ]
    print(f"built: {weight[0] / 1e6:.0f} MB, plain {weight[1] / 1e6:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=200)
    pages = parser.parse_args().pages
    with tempfile.TemporaryDirectory() as folder:
        this_book(Path(folder) / "book")
        beside_plain(Path(folder), pages)
