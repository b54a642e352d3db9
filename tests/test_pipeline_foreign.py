"""Markdown and outputs that somebody else may have written: prose is shown as it is, whatever could
be a command is shown as text."""

import nbformat
import pytest

from genlab.pipeline.runs import store
from genlab.pipeline.runs.pages import section_names
from genlab.pipeline.views.foreign import as_text, disarmed, harmless

COMMANDS = [
    "```{include} /etc/passwd\n```",
    ":::{raw} html\nx\n:::",
    "> ```{literalinclude} /etc/passwd\n> ```",
    "- item\n\n  ```{include} /etc/passwd\n  ```",
    "```{eval-rst}\n.. raw:: html\n```",
    "<script>alert(1)</script>",
    "text <img src=x onerror=alert(1)>",
    "![a picture](../../../home/photo.png)",
    "[a link](/etc/passwd)",
    "[a link][there]\n\n[there]: ../../secret.txt",
    "{download}`../secret.txt`",
    "`code` and $x$ <b>bold</b>",
    "<!-- genlab:claims --><script>alert(1)</script>",
    "<!-- genlab:claims\n--><b>",
]
PROSE = [
    "# Title\n\nIt is {glue:text}`case/w2:.3f`, see {cite:p}`ho2020` and {doc}`next <ddpm>`.",
    "$p < q$ and\n\n```{math}\n:label: eq\nx <y\n```\n\n- a\n- **b**",
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n> quoted",
    "before\n\n<!-- genlab:claims -->\n\nafter",
    "`<b>` is code, as is\n\n```html\n<b>\n```\n\nand <https://example.org> a [link](#here).",
]


@pytest.mark.parametrize("text", COMMANDS)
def test_commands_are_seen(text):
    assert not harmless(text)
    (cell,) = disarmed([nbformat.v4.new_markdown_cell(text)], own=())
    assert cell.source == as_text(text) and harmless(cell.source)
    (mine,) = disarmed([nbformat.v4.new_markdown_cell(text)], own=[text])
    assert mine.source == text


@pytest.mark.parametrize("text", PROSE)
def test_prose_is_prose(text):
    assert harmless(text)


def test_every_published_page_is_prose():
    for name in section_names():
        cells = nbformat.read(store.published(name).notebook, as_version=4).cells
        texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
        assert texts and all(map(harmless, texts)), name


def test_a_text_with_fences_cannot_leave_its_block():
    assert as_text("`````\n```{include} x\n```").startswith("``````text\n")


def test_cells_keep_what_they_show_and_lose_what_they_command():
    outputs = [
        nbformat.v4.new_output("stream", text="printed"),
        nbformat.v4.new_output("display_data", data={"text/markdown": "```{include} x\n```"}),
        nbformat.v4.new_output("display_data", data={"text/markdown": "```python\nx = 1\n```"}),
        nbformat.v4.new_output("display_data", data={"application/javascript": "x()"}),
        nbformat.v4.new_output("display_data", data={"image/png": "AA", "text/x-evil": "x"}),
    ]
    shows = {"image": {"alt": "a"}, "figure": {"name": "fig-a", "caption": "Of {glue:text}`b`."}}
    about = {"tags": ["hide-input"], "mystnb": {"markdown_format": "myst", **shows}}
    cell = nbformat.v4.new_code_cell("1", metadata=about, outputs=outputs, execution_count=3)
    (shown, *more) = disarmed([cell, nbformat.v4.new_raw_cell("<b>")], own=())
    assert not more and shown.execution_count == 3
    assert shown.metadata == {"tags": ["hide-input"], "mystnb": shows}
    printed, first, second, script, picture = shown.outputs
    assert printed.text == "printed" and picture.data == {"image/png": "AA"}
    assert first.data["text/markdown"] == as_text("```{include} x\n```")
    assert second.data["text/markdown"] == "```python\nx = 1\n```"
    assert script.data == {}


def test_a_caption_is_prose_and_a_name_a_label():
    about = {"figure": {"name": "a) b", "caption": "![x](/etc/passwd)"}, "image": {"width": "9"}}
    cell = nbformat.v4.new_code_cell("1", metadata={"mystnb": about})
    (shown,) = disarmed([cell], own=())
    caption = shown.metadata["mystnb"].pop("figure")["caption"]
    assert harmless(caption) and "/etc/passwd" in caption and shown.metadata["mystnb"] == {}


def test_every_published_page_keeps_the_names_of_its_figures():
    for name in section_names():
        cells = nbformat.read(store.published(name).notebook, as_version=4).cells
        for cell, shown in zip(cells, disarmed(cells, own=()), strict=True):
            assert cell.metadata.get("mystnb") == shown.metadata.get("mystnb"), name
