"""Links to the repository: all from one address, none without it."""

from types import SimpleNamespace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml

from genlab.pipeline.site.repository import add_buttons, launch, repository, source
from genlab.section.paths import ROOT, UserError

WHERE = "some-one/a.book"
URL = f"https://github.com/{WHERE}"


def buttons(page, **options):
    context = {"header_buttons": [{"label": "of the theme"}]}
    app = SimpleNamespace(config=SimpleNamespace(html_theme_options=options))
    add_buttons(app, page, "page.html", context, None)
    assert context["header_buttons"][0] == {"label": "of the theme"}
    return {group["label"]: group["buttons"] for group in context["header_buttons"][1:]}


def test_without_an_address_there_is_no_link():
    for options in ({}, {"repository_url": ""}):
        assert buttons("notebooks/dsm", **options) == {}


def test_a_chapter_is_launched_edited_and_reported():
    groups = buttons("notebooks/dsm", repository_url=URL + "/", repository_branch="new/things")
    binder, colab = (b["url"] for b in groups["launch-buttons"])
    edit, issue, home = (b["url"] for b in groups["repository-buttons"])
    asked = parse_qs(urlsplit(binder).query)
    assert asked == {"urlpath": ["lab/tree/notebooks/dsm.md"]}
    assert urlsplit(binder).path == "/v2/gh/some-one/a.book/new%2Fthings"
    assert colab.endswith("/github/some-one/a.book/blob/new/things/book/published/dsm.ipynb")
    assert edit == f"{URL}/edit/new/things/notebooks/dsm.md" and home == URL
    assert unquote(issue).startswith(f"{URL}/issues/new?title=notebooks/dsm: &")
    assert all(b["text"] and b["tooltip"] for g in groups.values() for b in g)


def test_links_point_at_files_that_are_there():
    """The twin: a page that the build makes has no source to edit."""
    for page in ("notebooks/dsm", "book/intro"):
        edit = source(WHERE, "main", page)[0][2]
        assert (ROOT / edit.removeprefix(f"{URL}/edit/main/")).is_file()
    colab = launch(WHERE, "main", "notebooks/dsm")[1][2]
    assert (ROOT / colab.partition("/blob/main/")[2]).is_file()
    for page in ("genindex", "search", "reference/genlab.data"):
        assert source(WHERE, "main", page) == [] and launch(WHERE, "main", page) == []
    assert launch(WHERE, "main", "book/intro") == []


@pytest.mark.parametrize(
    "url",
    ["http://github.com/a/b", "https://github.com/a", "https://gitlab.com/a/b", "javascript:x",
     "https://github.com/a/b/tree/main", "git@github.com:a/b.git"],
)  # fmt: skip
def test_an_address_that_is_no_repository_is_refused(url):
    with pytest.raises(UserError, match=r"https://github\.com/OWNER/NAME"):
        repository(url)


def test_an_address_may_be_that_of_a_clone():
    assert repository(f"{URL}.git") == repository(f"{URL}/") == WHERE


def test_the_address_of_the_book_reaches_the_extension():
    """Options of the theme in _config.yml replace those that Jupyter Book makes of `repository`."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    options = config["sphinx"]["config"]["html_theme_options"]
    told = config["repository"]
    assert (options["repository_url"], options["repository_branch"]) == tuple(told.values())
    repository(told["url"])
