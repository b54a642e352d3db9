"""Texts that people write: UTF-8, YAML and the Python of cells, or one line that says where they
are not."""

import ast

import pytest

from genlab.pipeline.runs.reading import parsed, read_text, read_yaml
from genlab.section.paths import UserError


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        ("# Größe\n".encode(), "# Größe\n"),
        (b"\xef\xbb\xbf# a\r\nb\rc\n", "# a\nb\nc\n"),  # an editor's mark, and its ends of lines
    ],
)
def test_text_is_read_whatever_editor_wrote_it(tmp_path, content, text):
    (tmp_path / "a.md").write_bytes(content)
    assert read_text(tmp_path / "a.md") == text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("# a\nGröße".encode("latin-1"), "a.md, line 2: byte 0xf6 is no UTF-8: save the file as"),
        ("# a\n".encode("utf-16"), "a.md, line 1: byte 0xff is no UTF-8"),
        (b"# a\nb\x00", r"a.md, line 2: take out the character '\x00'"),
        ("# a\n\u2028b".encode(), r"a.md, line 2: take out the character '\u2028'"),
    ],
)
def test_what_is_no_text_is_refused_with_its_line(tmp_path, content, told):
    (tmp_path / "a.md").write_bytes(content)
    with pytest.raises(UserError) as error:
        read_text(tmp_path / "a.md")
    assert told in str(error.value)


def test_a_folder_and_an_unreadable_file_are_no_text(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="is a folder or a device"):
        read_text(tmp_path)
    file = tmp_path / "a.md"
    file.write_text("# a")

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(file), "read_bytes", refuse)
    with pytest.raises(UserError, match=r"a\.md cannot be read: Permission denied"):
        read_text(file)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1", "front matter is no YAML, line 2"),
        ("a: 1\n b: 2", "front matter is no YAML, line 3"),
        ("a: 1\na: 2", "line 3: key 'a' is given twice"),
        ("a: {b: 1, b: 2}", "line 2: key 'b' is given twice"),
        ("a: &x [*x", "no YAML"),
        ("[" * 5000, "no YAML"),
        ("a: \t1\n\tb: 2", "no YAML"),
        ("a: " + "9" * 5000, "no YAML"),
        ("a: 2026-13-45", "no YAML"),
        ("a: !!python/object:os.system {}", "no YAML"),
        ("a: \x07", "no YAML"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(text, told):
    with pytest.raises(UserError) as error:
        read_yaml(text, "front matter", 2)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_yaml_is_data():
    assert read_yaml("a: [1, x]\nb: {c: 1.5}", "") == {"a": [1, "x"], "b": {"c": 1.5}}


MAGIC = "magics and shell commands of IPython are refused, write the call"


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("x = (1,", "line 1, `x = (1,`: '(' was never closed"),
        ("files = !ls", MAGIC),
        ("%%bash\nls", f"line 1, `%%bash`: invalid syntax; {MAGIC}"),
        ("%time x = 1", MAGIC),
        ("if True:\n    %time 1", MAGIC),
        ("x = %pwd", MAGIC),
        ("x?", MAGIC),
        ("?x", MAGIC),
        ("!ls", MAGIC),
        ("  x = 1", "unexpected indent"),
        ("return 1", "'return' outside function"),
        ("break", "'break' outside loop"),
        (">>> x", "invalid syntax"),
        ("def = 1", "invalid syntax"),
        ("x = 'a\0b'", "no Python"),
        ("(" * 1000, "no Python"),
    ],
)
def test_a_cell_that_is_no_python_is_refused_with_its_line(cell, told):
    with pytest.raises(UserError) as error:
        parsed(cell, "first.md, code cell 2")
    text = str(error.value)
    assert text.startswith("first.md, code cell 2 is no Python: ") and told in text


@pytest.mark.parametrize(
    "cell", ["x = (7\n% 3)", "await f()", "x = 'a\\d'", "", "# a comment?", "x = '''\n%%bash\n'''"]
)
def test_python_is_accepted_whatever_its_lines_begin_with(cell):
    """IPython hands these on unchanged, so that the key and the run are of the same code."""
    from IPython.core.inputtransformer2 import TransformerManager

    ran = TransformerManager().transform_cell(cell)
    assert ast.dump(parsed(cell, "")) == ast.dump(ast.parse(ran))
