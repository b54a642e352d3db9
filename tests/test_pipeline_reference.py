"""The library's reference: complete, true to the docstrings, linked to the right types, and rebuilt
when the code changes."""

import ast
import re
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup
from docutils.core import publish_parts
from myst_parser.docutils_ import Parser
from pipeline import Project
from test_book_html import faults

from genlab.pipeline.views.book import jupyter_book, write_tree
from genlab.pipeline.views.reference import contents, prose, reference
from genlab.section.paths import ROOT

PACKAGE = ROOT / "src" / "genlab"
LIBRARY = {
    ".".join(("genlab", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if "pipeline" not in path.parts
}
del LIBRARY["genlab"]  # one line about the book
TOC = """format: jb-book
root: book/library
chapters:
  - glob: reference/*
"""


def public(module: str) -> set[str]:
    """Full names of what a module defines without a leading underscore, by a rule of this file."""
    found = set()
    for node in ast.parse(LIBRARY[module].read_text()).body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {
                n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)
            }
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{n.name}" for n in node.body if isinstance(n, ast.FunctionDef)}
    return {
        f"{module}.{name}"
        for name in found
        if not any(part.startswith("_") for part in name.split("."))
    }


def meant_by(module: str) -> set[str]:
    """Full names of what a module defines or imports."""
    froms = [
        n for n in ast.parse(LIBRARY[module].read_text()).body if isinstance(n, ast.ImportFrom)
    ]
    imported = {f"{node.module}.{alias.name}" for node in froms for alias in node.names}
    return public(module).union(imported, *(public(name) for name in imported & LIBRARY.keys()))


def docstrings() -> dict[str, str]:
    nodes = (
        (f"{module}.{getattr(node, 'name', '')}", ast.get_docstring(node))
        for module, path in LIBRARY.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))
    )
    return {name: text for name, text in nodes if text}


def shown(markdown: str) -> str:
    """What a reader sees of Markdown, with single spaces."""
    settings = {
        "myst_enable_extensions": [
            "dollarmath",
            "amsmath",
            "deflist",
            "substitution",
            "colon_fence",
        ]
    }
    html = publish_parts(
        markdown,
        parser=Parser(),
        writer_name="html5",
        settings_overrides=settings | {"report_level": 5},
    )
    return " ".join(BeautifulSoup(html["html_body"], "html.parser").get_text().split())


def meant(docstring: str) -> str:
    """The docstring without its backticks and the dashes of its lists, with single spaces."""
    return " ".join(re.sub(r"(?m)^- ", "", docstring.replace("`", "")).split())


@pytest.fixture(scope="module")
def html(tmp_path_factory) -> Path:
    """The reference as the book shows it, alone; strict, so without a warning."""
    folder = tmp_path_factory.mktemp("reference")
    pages = reference(PACKAGE)
    files = [
        p
        for p in (ROOT / "book").rglob("*")
        if p.is_file() and p.suffix != ".md" and "published" not in p.parts
    ]
    tree = {str(p.relative_to(ROOT)): p.read_bytes() for p in files} | {"_toc.yml": TOC.encode()}
    tree["_config.yml"] = (ROOT / "_config.yml").read_bytes()
    tree["book/library.md"] = f"# The library\n\n{contents(pages)}\n".encode()
    tree |= {f"reference/{name}.md": text.encode() for name, text in pages.items()}
    (folder / "source").mkdir()
    write_tree(tree, folder / "source")
    jupyter_book(folder / "source", folder, strict=True)
    return folder / "_build" / "html"


def anchors(html: Path) -> set[str]:
    pages = (
        BeautifulSoup(p.read_text(), "html.parser") for p in (html / "reference").glob("*.html")
    )
    return {dt["id"] for page in pages for dt in page.select("dt.sig[id]")}


@pytest.mark.slow
def test_every_public_definition_has_an_entry_and_nothing_else_has(html):
    wanted = set().union(*map(public, LIBRARY))
    assert len(wanted) > 400
    assert anchors(html) == wanted


@pytest.mark.slow
def test_the_pages_are_sound(html):
    assert faults(html) == []
    listed = {p.stem for p in (html / "reference").glob("*.html")}
    assert {"toys", "transport", "section"} <= listed and not {
        "report",
        "build",
        "run",
        "genlab",
    } & listed


@pytest.mark.slow
def test_a_type_is_linked_to_the_class_its_module_means(html):
    """Sphinx alone links a bare name to any class of that name: the `State` of toys to that of
    boltzmann."""
    seen = 0
    for page in (html / "reference").glob("*.html"):
        for signature in BeautifulSoup(page.read_text(), "html.parser").select("dt.sig[id]"):
            module = max((m for m in LIBRARY if signature["id"].startswith(m + ".")), key=len)
            for link in signature.select("a.reference"):
                seen += 1
                assert link["title"] in meant_by(module), (signature["id"], link["title"])
    assert seen > 50


def test_every_docstring_reads_as_it_was_written():
    """Every sign of it, but for backticks; as bare Markdown some would not."""
    texts = docstrings()
    assert {name: shown(prose(text, "", set())) for name, text in texts.items()} == {
        name: meant(text) for name, text in texts.items()
    }


@pytest.mark.parametrize(
    "text",
    [
        "p*q*r and |x|² of W_a_ and __v__",
        "E[x](y), <b>, <https://a.example>, &lt; and $x$ \\(y\\) {{z}}",
        "a sum:\n- log Z\n- E(x)",
        "# of steps",
        "1. e4 for all\n> 3",
        "f:\n    a     b\n    c     d",
        "one of \"cd\" or `pcd`, ``{'a': 1}``",
    ],
)
def test_signs_stand_for_themselves(text):
    raw = " ".join(text.replace("`", "").split())
    assert shown(prose(text, "", set())) == raw
    if "`" not in text and "\n    " not in text:
        assert shown(text) != raw, "bare Markdown shows it too: the test sees nothing"


@pytest.mark.slow
def test_code_links_to_what_it_names_but_an_argument_does_not(tmp_path):
    one = [
        "SIZE = 10_000  # points",
        "def f(size: int = SIZE, *, tiny=1e-4):",
        '    """Of `SIZE`."""',
        "def g(f):",
    ]
    two = [
        "from genlab.one import f",
        "class C:",
        '    """A class."""',
        "def h(c: C):",
        '    """`f`"""',
    ]
    tree = {"one.py": [*one, '    """`f`, `two.h`."""'], "two.py": two}
    write_tree(
        {name: "\n".join(lines).encode() for name, lines in tree.items()}, tmp_path / "genlab"
    )
    pages = reference(tmp_path / "genlab")
    assert list(pages) == ["one", "two"]
    assert '{py:data} SIZE\n:value: "10_000"\n\npoints' in pages["one"]
    assert (
        "f(size: int=SIZE, *, tiny=1e-4)" in pages["one"]
        and "Of {py:obj}`SIZE <genlab.one.SIZE>`" in pages["one"]
    )
    assert "\n`f`\\, {py:obj}`two.h <genlab.two.h>`" in pages["one"]  # g's own f
    assert "h(c: ~genlab.two.C)" in pages["two"] and "\n`f`\n" in pages["two"]
    assert reference(tmp_path / "nowhere") == {}


@pytest.mark.slow
def test_a_changed_docstring_and_a_new_module_reach_the_book(tmp_path):
    project = Project(tmp_path)
    config = yaml.safe_load((tmp_path / "_config.yml").read_text())
    ours = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]
    config["sphinx"]["config"] |= {
        k: v for k, v in ours.items() if k.startswith(("python_", "nitpick", "add_module", "toc_"))
    }
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(config))
    project.edit(
        "_toc.yml",
        "  - file: book/ledger\n",
        "  - file: book/ledger\n    sections:\n      - glob: reference/*\n",
    )
    library = tmp_path / "src" / "genlab"
    library.mkdir(parents=True)
    (library / "one.py").write_text('"""One."""\n\ndef f(x: "np.ndarray"):\n    """Twice |x|."""\n')
    assert project.genlab("run", "--all", "--profile", "quick").returncode == 0
    result = project.genlab("build", "--profile", "quick")
    assert result.returncode == 0, result.stderr
    page = tmp_path / "_build/html/reference/one.html"
    assert "Twice |x|." in page.read_text()
    project.edit("src/genlab/one.py", "Twice", "Thrice")
    (library / "two.py").write_text('"""Two."""\n')
    assert project.genlab("build", "--profile", "quick").returncode == 0
    assert "Thrice |x|." in page.read_text()
    for name in ("book/intro", "book/ledger", "notebooks/first", "reference/one"):
        assert "genlab.two" in (tmp_path / f"_build/html/{name}.html").read_text(), name
