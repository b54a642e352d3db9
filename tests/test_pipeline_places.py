"""Links back: in the order of the book, named by number and title."""

from types import SimpleNamespace

from docutils import nodes

from genlab.pipeline.site.places import Place, back_links, page_name

ENV = SimpleNamespace(
    toc_secnumbers={"b": {"": (7,)}, "a": {}},
    titles={"a": nodes.title("", "First"), "b": nodes.title("", "Second")},
    collect_relations=lambda: {"b": [], "a": []},
)
APP = SimpleNamespace(
    env=ENV, builder=SimpleNamespace(get_relative_uri=lambda here, there: f"../{there}.html")
)


def test_places_stand_in_the_order_of_the_book():
    (line,) = back_links(APP, "x/y", "Used in", [Place("a", "one"), Place("b", "two")])
    assert line.astext() == "Used in 7 Second · First"
    assert [link["refuri"] for link in line.findall(nodes.reference)] == [
        "../b.html#two",
        "../a.html#one",
    ]


def test_nowhere_is_no_line():
    assert back_links(APP, "x/y", "Used in", []) == []


def test_a_page_without_a_number_is_named_by_its_title():
    assert page_name(ENV, "a") == "First"
