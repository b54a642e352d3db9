"""What a search finds: entries of a small book built by Sphinx, also when only a part of it is read
again, and the scripts that its pages load."""

import json
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx

from genlab.pipeline.site import assets, search
from genlab.pipeline.site.search import Entry, found, readable, rows
from genlab.section.paths import ROOT
from tests.site_book import sphinx, write

SCRIPT = ROOT / "book" / "_static" / "search.js"
VENDORED = ROOT / "book" / "vendor"

PAGES = {
    "index": """---
keywords: first things
---
# A book

```{toctree}
score
words
```

## Doors

Read *on*.
""",
    "score": """# Scores

The score is a slope, $\\nabla_x \\log p_\\sigma(x)$.

```python
hidden = "in code"
```

## Noise

Add $\\sigma_2^2$ of it {cite}`hinton2002`.

<p class="genlab-run">genlab run score</p>

<p>Said in <b>HTML</b>.</p>

:::{admonition} The parameters
:class: dropdown
sigma: noise level
:::

| symbol | meaning |
|---|---|
| $\\sigma$ | noise level |
""",
    "words": """# Words

```{glossary}
AIS
Annealed sampling
  Walks between models.
```

<table><tr id='A01'><td>A01<br><small>l. 3</small></td><td>It holds.</td>
<td><details>1 of 2</details></td></tr></table>

```{py:function} genlab.toys.energy(x)
The energy of points.
```

```{bibliography}
```
""",
}
WORK = """@article{hinton2002, author = {Geoffrey E. Hinton}, title = {Products of experts},
journal = {Neural Computation}, year = 2002}"""


OURS = [assets.__name__, search.__name__]
SPHINX_SCRIPTS = ("doctools.js", "sphinx_highlight.js", "searchtools.js", "language_data.js")


def build(folder: Path, pages: dict[str, str], *, ours: bool = True) -> Sphinx:
    """The HTML of these pages, of which only the changed ones are read."""
    source = folder / "source"
    source.mkdir(parents=True, exist_ok=True)
    for old in source.glob("*.md"):
        if old.stem not in pages:
            old.unlink()
    (source / "works.bib").write_text(WORK)
    write(source, {f"{name}.md": text for name, text in pages.items()})
    settings = {
        "extensions": ["myst_parser", "sphinxcontrib.bibtex", *(OURS if ours else [])],
        "myst_enable_extensions": ["colon_fence", "dollarmath"],
        "bibtex_bibfiles": ["works.bib"],
        "html_theme": "sphinx_book_theme",
    }
    return sphinx(folder, settings, warning=None)


def index(folder: Path) -> tuple[list[list[str]], list[tuple[str, Entry]]]:
    """Pages and entries, each with its page, as the script of a built book tells them."""
    text = (folder / "html" / search.INDEX).read_text("utf-8")
    told = json.loads(re.fullmatch(r"genlabSearchIndex\((.*)\);\n", text, re.DOTALL)[1])
    pages = told["pages"]
    return pages, [(pages[page][0], Entry(*entry)) for page, *entry in told["entries"]]


def scripts_of_sphinx(html: Path) -> list[str]:
    """Scripts of Sphinx's search that a page loads or the book holds."""
    loaded = [
        script["src"]
        for page in html.glob("*.html")
        for script in BeautifulSoup(page.read_text(), "html.parser").select("script[src]")
    ]
    there = [path.name for path in html.rglob("*.js")]
    old = (*SPHINX_SCRIPTS, "searchindex.js")
    return [name for name in loaded + there if any(script in name for script in old)]


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    build(folder, PAGES)
    return folder


def test_places_of_every_kind_are_found_with_their_anchors(book):
    pages, told = index(book)
    assert ["index.html", "", "A book", "first things"] in pages
    expected = [
        ("index.html", Entry("section", "doors", "Doors", "Read on.")),
        ("score.html", Entry("page", "", "Scores", "The score is a slope, ∇_x log p_σ(x).")),
        ("score.html", Entry("fold", "", "The parameters", "sigma: noise level")),
        ("score.html", Entry("term", "", "σ", "noise level")),
        (
            "words.html",
            Entry("term", "term-AIS", "AIS, Annealed sampling", "Walks between models."),
        ),
        ("words.html", Entry("row", "A01", "", "l. 3 · It holds.")),
        ("words.html", Entry("code", "genlab.toys.energy", "", "The energy of points.")),
    ]
    for entry in expected:
        assert entry in told, entry
    html = {
        path.name: BeautifulSoup(path.read_text(), "html.parser") for path in book.rglob("*.html")
    }
    for page, entry in told:
        assert not entry.anchor or html[page].find(id=entry.anchor), entry


def test_code_commands_and_labels_of_citations_are_no_text(book):
    _, told = index(book)
    (noise,) = [entry for _, entry in told if entry.anchor == "noise"]
    assert noise.text.startswith("Add σ₂² of it. Said in HTML.")
    everything = " ".join(entry.heading + entry.text for _, entry in told)
    for word in ("hidden", "genlab run", "hinton2002", "1 of 2", "\\", "<"):
        assert word not in everything
    assert "It holds" in everything  # else the check above would see nothing


def test_pages_that_are_not_read_again_stay_and_removed_ones_go(tmp_path):
    build(tmp_path, PAGES)
    changed = PAGES | {"score": PAGES["score"].replace("slope", "gradient")}
    app = build(tmp_path, changed)
    _, told = index(tmp_path)
    texts = " ".join(entry.text for _, entry in told)
    assert "gradient" in texts and "slope" not in texts
    assert any(page == "words.html" for page, _ in told)
    assert set(found(app.env)) == set(PAGES)
    del changed["words"]
    app = build(tmp_path, changed)
    assert set(found(app.env)) == {"index", "score"}
    assert not any(page == "words.html" for page, _ in index(tmp_path)[1])


def test_pages_load_nothing_of_the_search_of_sphinx(book, tmp_path):
    assert scripts_of_sphinx(book / "html") == []
    build(tmp_path, PAGES, ours=False)
    assert len(scripts_of_sphinx(tmp_path / "html")) > len(PAGES)


def test_search_page_and_dialog_have_a_field_and_the_button_no_label_that_hides_its_text(book):
    page = BeautifulSoup((book / "html" / "search.html").read_text(), "html.parser")
    assert page.select_one("article form.bd-search input[type=search][name=q]")
    assert page.select_one("dialog form.bd-search input")
    for button in page.select(".search-button__button"):
        text = button.get_text(strip=True)
        assert not text or text.startswith(button.get("aria-label", text))


def test_cited_works_are_rows_of_the_page_that_lists_them(book):
    _, told = index(book)
    (page, entry) = next(one for one in told if "Products of experts" in one[1].text)
    assert (page, entry.kind, entry.heading) == ("words.html", "row", "Geoffrey E. Hinton")


def test_a_row_says_what_its_name_does_not():
    html = (
        "<tr id='dsm:ring/w2'><td><a href='dsm.html'>dsm</a></td><td>ring/<wbr>w2</td><td>2</td>"
        '<td><div class="genlab-why">why</div></td></tr><tr><td>no anchor</td></tr>'
    )
    assert list(rows(html)) == [Entry("number", "dsm:ring/w2", "dsm:ring/w2", "2")]


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\sigma", "σ"),
        (r"\varepsilon \sim \mathcal N(0, I)", "ε ~ N(0, I)"),
        (r"W_2^2 \le \Delta", "W₂² ≤ Δ"),
        (r"\lambda\,\|x\|", "λ x"),
        (r"\log p(x)", "log p(x)"),
    ],
)
def test_formulas_are_read_as_plain_text(latex, text):
    assert readable(latex) == text


def faults(script: str) -> list[str]:
    """What a script does that needs a server or another host, and files it loads that are not in
    the book."""
    found = re.findall(r"\bfetch\(|XMLHttpRequest|\bimport\b|https?://", script)
    loaded = re.findall(r'load\("([^"]+)"\)', script)
    there = [search.INDEX, *(p.relative_to(VENDORED).as_posix() for p in VENDORED.rglob("*.js"))]
    return found + [f"{file} is not there" for file in loaded if file not in there]


def test_the_script_needs_no_server():
    script = SCRIPT.read_text("utf-8")
    assert faults(script) == []
    assert len(re.findall(r'load\("', script)) == 2
    assert "genlabSearchIndex" in script
    assert faults(script + 'fetch("x.html"); load("gone.js")') == ["fetch(", "gone.js is not there"]
    assert (VENDORED / "minisearch" / "LICENSE.txt").is_file()
