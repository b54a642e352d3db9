"""Links back: in the order of the book, named by number and title."""

from types import SimpleNamespace

from docutils import nodes

from genlab.pipeline.site.places import around, back_links, page_name

ENV = SimpleNamespace(
    toc_secnumbers={"b": {"": (7,)}, "a": {}},
    titles={"a": nodes.title("", "First"), "b": nodes.title("", "Second")},
    collect_relations=lambda: {"b": [], "a": []},
)
APP = SimpleNamespace(
    env=ENV, builder=SimpleNamespace(get_relative_uri=lambda here, there: f"../{there}.html")
)


def test_places_stand_in_the_order_of_the_book():
    (line,) = back_links(APP, "x/y", "Used in", {"a": "one", "b": "two"})
    assert line.astext() == "Used in 7 Second · First"
    assert [link["refuri"] for link in line.findall(nodes.reference)] == [
        "../b.html#two",
        "../a.html#one",
    ]


def test_nowhere_is_no_line():
    assert back_links(APP, "x/y", "Used in", {}) == []


def test_a_page_without_a_number_is_named_by_its_title():
    assert page_name(ENV, "a") == "First"


def test_what_a_node_stands_in_is_the_nearest_of_its_kind():
    text = nodes.Text("a")
    inner = nodes.section("", nodes.paragraph("", "", text))
    nodes.section("", inner)
    assert around(text, nodes.section) is inner
    assert around(text, (nodes.section, nodes.paragraph)) is text.parent
    assert around(text, nodes.table) is None
