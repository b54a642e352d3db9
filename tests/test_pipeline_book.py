"""The miniature book end to end: pages, run lines, prose without a kernel, stale
marks, refusals."""

import json
import re

import pytest
from bs4 import BeautifulSoup
from pipeline import Project, one_line

from genlab.pipeline.views import book
from genlab.pipeline.views.book import _own_files


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("book"))
    assert project.genlab("run", "--all", "--profile", "full").returncode == 0
    assert project.genlab("publish", "--all").returncode == 0
    return project


def page(project, name):
    return (project.root / f"_build/html/{name}.html").read_text()


@pytest.mark.slow
def test_a_book_without_runs_is_refused_by_name(project):
    result = project.genlab("build", "--profile", "quick")
    assert result.returncode == 2
    assert "'first'" in one_line(result.stderr) and "'second'" in one_line(result.stderr)


@pytest.mark.slow
def test_the_book_shows_numbers_outputs_and_where_they_come_from(project):
    result = project.genlab("build")
    assert result.returncode == 0, result.stderr
    first = page(project, "notebooks/first")
    assert "It uses" in first and re.search(r"10\.0", first) and "size is positive: True" in first
    record = json.loads((project.root / "book/published/first.json").read_text())
    assert record["key"] in first and "<b>full</b> profile" in first and "injected" not in first
    assert "total" in page(project, "book/ledger") and "second" in page(project, "book/ledger")


@pytest.mark.slow
def test_prose_is_mended_without_a_kernel_and_an_unchanged_book_is_not_built_again(project):
    project.genlab("build")
    stamp = (project.root / "_build/html/notebooks/first.html").stat().st_mtime_ns
    assert project.genlab("build").returncode == 0
    assert (project.root / "_build/html/notebooks/first.html").stat().st_mtime_ns == stamp
    runs = project.snapshot()
    project.edit("notebooks/first.md", "It uses", "It consumes")
    try:
        assert project.genlab("build").returncode == 0
        first = page(project, "notebooks/first")
        assert "It consumes" in first and "size is positive: True" in first
        assert project.snapshot() == runs
    finally:
        project.edit("notebooks/first.md", "It consumes", "It uses")


@pytest.mark.slow
def test_a_new_name_in_the_list_of_pages_reaches_every_page(project):
    """Sphinx alone would build the pages whose own text changed."""
    assert project.genlab("build").returncode == 0
    plain, titled = (
        "  - file: notebooks/second\n",
        "  - file: notebooks/second\n    title: Another name\n",
    )
    project.edit("_toc.yml", plain, titled)
    try:
        assert project.genlab("build").returncode == 0
        assert all(
            "Another name" in page(project, name)
            for name in ("notebooks/first", "book/ledger", "book/intro")
        )
    finally:
        project.edit("_toc.yml", titled, plain)


@pytest.mark.slow
def test_a_change_of_the_styles_alone_reaches_the_pages(project):
    """Sphinx alone finds no page out of date, and copies nothing."""
    assert project.genlab("build").returncode == 0
    project.edit("book/_static/miniature.css", "bold", "lighter")
    try:
        assert project.genlab("build").returncode == 0
        assert "lighter" in (project.root / "_build/html/_static/miniature.css").read_text()
    finally:
        project.edit("book/_static/miniature.css", "lighter", "bold")


@pytest.mark.slow
def test_a_changed_default_marks_the_published_page_stale(project):
    project.edit("notebooks/first.md", "scale = 2.0", "scale = 2.5")
    try:
        assert project.genlab("build").returncode == 0
        assert "Stale results" in page(project, "notebooks/first") and "params: scale" in page(
            project, "notebooks/first"
        )
        assert "needs: first" in page(project, "notebooks/second")
        assert "stale" in project.genlab("list").stdout
    finally:
        project.edit("notebooks/first.md", "scale = 2.5", "scale = 2.0")


@pytest.mark.slow
def test_the_page_of_one_run_says_what_differs(project):
    assert project.genlab("build").returncode == 0
    assert project.genlab("run", "first", "-p", "size=8").returncode == 0
    result = project.genlab("page", "first", "-p", "size=8")
    assert result.returncode == 0, result.stderr
    html = (project.root / result.stdout.split()[-1]).read_text()
    assert "Not the published values" in html and "size = 8" in html and "16.0" in html
    soup = BeautifulSoup(html, "html.parser")
    assert "not results" in soup.select_one(".genlab-quick").get_text()
    assert "size = 8" in soup.select_one(".genlab-run > summary").get_text()
    assert "size = 8  #" in soup.select_one("div.cell pre").get_text()  # where it is declared
    address = (project.root / result.stdout.split()[-1]).parent
    taken = [address / a["href"] for a in soup.select(".genlab-run a[download]")]
    assert len(taken) >= 5 and all(file.is_file() for file in taken)
    assert "not results" not in page(project, "notebooks/first")


@pytest.mark.slow
def test_a_warning_stops_the_book(project):
    project.edit("book/intro.md", "Two pages", "{ref}`nowhere` Two pages")
    try:
        result = project.genlab("build")
        assert result.returncode == 2 and "Jupyter Book refused the pages" in one_line(
            result.stderr
        )
    finally:
        project.edit("book/intro.md", "{ref}`nowhere` Two pages", "Two pages")


def test_a_folder_above_the_book_may_have_any_name(tmp_path, monkeypatch):
    root = tmp_path / "published" / "a {x} b"
    monkeypatch.setattr(book, "ROOT", root)
    monkeypatch.setattr(book, "PUBLISHED", root / "book" / "published")
    for name in ("intro.md", "_static/a.css", "published/first.ipynb"):
        (root / "book" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "book" / name).write_text(name)
    assert _own_files(lambda path: True) == {
        "book/_static/a.css": b"_static/a.css",
        "book/intro.md": b"intro.md",
    }
    assert list(_own_files(lambda path: path.suffix == ".md")) == ["book/intro.md"]
