"""What a page loads: what it uses, and nothing that it does not."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from genlab.pipeline.site import assets

SCRIPTS = [
    ("../mathjax/startup.js", '<span class="math notranslate">x</span>', "<p>mathematics</p>"),
    ("copybutton.js", '<div class="highlight-python highlight">', "<p>a highlight</p>"),
    ("clipboard.min.js", '<div class="highlight">', ""),
    ("togglebutton.css", '<div class="admonition dropdown">', '<div class="admonition">'),
    ("sphinx-design.min.css", '<div class="sd-card">', '<div class="wisdom">'),
    ("tables.js", "<table class='genlab-table genlab-sortable'>", "<table class='genlab-table'>"),
    ("player.js", '<div class="genlab-player">', "<p>a player</p>"),
    ("hovermap.js", "<div class='genlab-hover'>", '<div class="genlab-hovercard">'),
    ("panels.css", '<script class="genlab-cuts">', '<div class="genlab-parts">'),
    ("lightbox.js", '<figure class="align-default">', "<figcaption>"),
    ("mystnb.0123.css", '<div class="cell docutils container">', "<p>a cell</p>"),
]


@pytest.mark.parametrize(("name", "uses", "lacks"), SCRIPTS)
def test_a_file_is_loaded_where_something_needs_it(name, uses, lacks):
    assert assets.is_used(name, uses)
    assert not assets.is_used(name, lacks)


@pytest.mark.parametrize(("name", "uses", "lacks"), SCRIPTS)
def test_a_script_comes_with_the_one_that_it_takes_its_functions_from(name, uses, lacks):
    source = Path(__file__).parents[1] / "book/_static" / name
    if source.suffix == ".js" and source.is_file():
        for needed in re.findall(r"window\.genlab;  // (\S+\.js)", source.read_text()):
            assert assets.is_used(needed, uses), f"{name} needs {needed}"


@pytest.mark.parametrize(
    "name", ["genlab.css", "documentation_options.js", "styles/sphinx-book-theme.css"]
)
def test_a_file_of_which_nothing_is_known_stays(name):
    assert assets.is_used(name, "")


def test_a_script_in_the_page_counts_by_its_text():
    def script(**about):
        return SimpleNamespace(filename=about.get("filename"), attributes=about)

    inline = script(body="let toggleHintShow = 'Click to show';")
    settings = script(body='window.MathJax = {"options": {}}')
    own = script(body="DOCUMENTATION_OPTIONS.pagename = 'x';")
    context = {
        "body": '<div class="admonition dropdown">',
        "css_files": [script(filename="_static/copybutton.css")],
        "script_files": [inline, settings, own, script(filename="_static/togglebutton.js")],
    }
    assets.load_what_is_used(None, "page", "page.html", context, None)
    assert [assets.named(file) for file in context["script_files"]] == [
        inline.attributes["body"],
        own.attributes["body"],
        "_static/togglebutton.js",
    ]
    assert context["css_files"] == []


def test_what_no_page_loads_is_taken_out_and_the_rest_stays(tmp_path):
    gone = ["scripts/fontawesome.js", "scripts/bootstrap.js.map", "webpack-macros.html"]
    gone += ["locales/de/x.mo", "vendor/fontawesome/webfonts/fa-solid-900.woff2"]
    kept = ["scripts/bootstrap.js", "cover.png", "genlab.css"]
    for name in gone + kept:
        path = tmp_path / "_static" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a{color:red}")
    style = tmp_path / "_static/styles/theme.css"
    style.parent.mkdir()
    rules = [
        "@font-face{font-family:A;src:url(../vendor/fontawesome/a.woff2)}",
        ".fa-bars:before,.fa-navicon:before{content:'x'}",
        "a:before{content:'y'}",
    ]
    style.write_text("".join(rules) + "\n/*# sourceMappingURL=theme.css.map*/")
    app = SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format="html"))
    assets.tidy(app, None)
    left = {p.relative_to(tmp_path / "_static").as_posix() for p in tmp_path.rglob("*.*")}
    assert left >= set(kept) and not left & set(gone)
    assert style.read_text() == rules[-1]


def test_a_build_that_failed_is_left_as_it_is(tmp_path):
    path = tmp_path / "_static" / "webpack-macros.html"
    path.parent.mkdir()
    path.touch()
    app = SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format="html"))
    assets.tidy(app, RuntimeError())
    assert path.exists()


def test_the_icons_of_the_theme_are_drawn():
    """An icon without a picture would be a blank square."""
    style = (Path(__file__).parents[1] / "book/_static/assets.css").read_text()
    shown = "magnifying-glass bars list outdent sun moon circle-half-stroke arrow-up angle-left"
    shown += " angle-right chevron-down download"
    assert all(f".fa-{name}" in style for name in shown.split())
    assert "fa-microscope" not in style
