"""Parameters parse as they are written, and every value has the declared type and keeps the rule,
or is refused in one line."""

import os

import numpy as np
import pytest
from PIL import Image

from genlab.pipeline.runs import parameters
from genlab.pipeline.runs.parameters import file_checksum, from_text, parse_parameters
from genlab.section.paths import UserError


def refusal(call, *args) -> str:
    with pytest.raises(UserError) as error:
        call(*args)
    assert "\n" not in str(error.value)
    return str(error.value)


def declared(line: str) -> parameters.Parameter:
    return parse_parameters(line, "first.md, parameters cell")[0]


def test_parameters_parse_with_unit_and_rule():
    source = (
        "# a comment of its own [with] {brackets}\n"
        "a = 1  # count of things [things] {1 .. 2_000}\n"
        "b = 'x'  # choice {x | y}\n"
        "c = [\n    0.5,\n    1.0,\n]  # levels [nats] {> 0}\n"
        "d = True\n"
        "e = -2  # below zero {< 0}"
    )
    a, b, c, d, e = parse_parameters(source, "test")
    assert (a.meaning, a.unit, a.rule, a.type_name) == (
        "count of things",
        "things",
        "1 .. 2_000",
        "int",
    )
    assert (b.rule, c.unit, c.type_name, d.meaning) == ("x | y", "nats", "list of float", "")
    assert (c.default, d.default, e.default) == ([0.5, 1.0], True, -2)


WHERE = "first.md, parameters cell, line 1: "
LITERAL = "must be a literal, papermill cannot derive it"
KINDS = "must be a literal of type int, float, bool or str, or a list of one of them, and not of "
DECLARATIONS = {
    "a = b": LITERAL,
    "a = np.pi": LITERAL,
    "a = 2 ** 3": LITERAL,
    "a = len('x')": LITERAL,
    "a = f'{1}'": LITERAL,
    "a = [x for x in (1, 2)]": LITERAL,
    "a = None": f"{KINDS}NoneType",
    "a = {'b': 1}": f"{KINDS}dict",
    "a = (1, 2)": f"{KINDS}tuple",
    "a = {1}": f"{KINDS}set",
    "a = b'x'": f"{KINDS}bytes",
    "a = 1j": f"{KINDS}complex",
    "a = ...": f"{KINDS}ellipsis",
    "a = [[1], [2]]": f"{KINDS}list",
    "a = [1, 2.0]": f"{KINDS}float and int",
    "a = [True, 1]": f"{KINDS}bool and int",
    "a = ['x', None]": f"{KINDS}NoneType and str",
    "a = []  # x": "parameter 'a' is an empty list, of no type: give one value",
    "a = 1e999": "parameter a=inf is refused: input should be a finite number",
    "a, b = 1, 2": "a parameter is declared on a line of its own, `name = literal",
    "a = b = 1": "a parameter is declared on a line of its own",
    "a = 1; b = 2": "a parameter is declared on a line of its own",
    "a: int = 1": "a parameter is declared on a line of its own",
    "a += 1": "a parameter is declared on a line of its own",
    "a[0] = 1": "a parameter is declared on a line of its own",
    "import os": "a parameter is declared on a line of its own",
    "print(1)": "a parameter is declared on a line of its own",
    "len = 1": "parameter 'len' has the name of a function of Python: take another name",
    "a = 5  # x {> 0": "the comment of parameter 'a', '# x {> 0', must read `# meaning [unit]",
    "a = 5  # x {1 .. 100} [numbers]": "with these brackets and in this order",
    "a = 5  # x > 0}": "the comment of parameter 'a'",
    "a = 5  # x [m] [s]": "the comment of parameter 'a'",
    "a = 5  # x {}": "the comment of parameter 'a'",
    "a = 5  # x {> 0} {< 9}": "the comment of parameter 'a'",
    "a = 5  # x {> 0}, more": "the comment of parameter 'a'",
    "a = 5  # x {a .. b}": "rule {a .. b}: 'a' is no value of type int",
    "a = 5  # x {5 .. 1}": "rule {5 .. 1} allows nothing: its first number is the larger one",
    "a = 5  # x {1 .. 2 .. 9}": "rule {1 .. 2 .. 9} is none for a value of type int",
    "a = 5  # x {1 ..}": "rule {1 ..} is none",
    "a = 5  # x {positive}": "rule {positive} is none for a value of type int: use '> a'",
    "a = 5  # x {> zero}": "rule {> zero}: 'zero' is no value of type int",
    "a = 5  # x {0.5 .. 9}": "rule {0.5 .. 9}: '0.5' is no value of type int",
    "a = 5.0  # x {> nan}": "rule {> nan}: 'nan' is no value of type float",
    "a = 5.0  # x {0 .. inf}": "rule {0 .. inf}: 'inf' is no value of type float",
    "a = 5  # x {5 | x}": "rule {5 | x}: 'x' is no value of type int",
    "a = 'x'  # x {x | }": "rule {x |}: '' is no value of type str",
    "a = 'x'  # x {> 0}": "rule {> 0} is none for a value of type str",
    "a = True  # x {True | False}": "says nothing about true and false: leave it out",
    "a = 1  # x {1 | file}": "rule {1 | file}: 'file' is no value of type int",
    "a = 5  # x {6 .. 9}": "the default: parameter a=5 is refused: input should be greater than or",
    "a = 'z'  # x {x | y}": "the default: parameter a='z' is refused: input should be 'x' or 'y'",
    "a = [1.0, -1.0]  # x {> 0}": "the default: parameter a=[1.0, -1.0] is refused",
    "a = 'none'  # x {file}": "the default: parameter a='none' is refused: there is no such file",
}


@pytest.mark.parametrize("line", DECLARATIONS)
def test_what_declares_no_parameter_is_refused_with_its_line(line):
    told = refusal(parse_parameters, line, "first.md, parameters cell")
    assert told.startswith(WHERE.removesuffix(": ")) and DECLARATIONS[line] in told


def test_a_name_is_declared_once_and_the_cell_is_python():
    told = refusal(parse_parameters, "a = 1\nb = 2\na = 3", "first.md, parameters cell")
    assert "line 3: parameter 'a' is declared twice" in told
    told = refusal(parse_parameters, "a = (1", "first.md, parameters cell")
    assert "first.md, parameters cell is no Python: line 1, `a = (1`" in told


INT, FLOAT, TEXTS = "a = 5  # x {>= -5}", "a = 5.0  # x", "a = ['x']  # x {x | y}"
VALUES = [
    (INT, "1_0", 10),  # as Python reads it
    (INT, " 7 ", 7),
    (INT, "-0", 0),
    (INT, "9" * 400, int("9" * 400)),
    (FLOAT, "1e3", 1000.0),
    (FLOAT, "2", 2.0),
    (FLOAT, 2, 2.0),
    (FLOAT, "-0.0", 0.0),
    (TEXTS, "x, y", ["x", "y"]),
    ("a = [0.5]  # x", "1,1e-3", [1.0, 0.001]),
    ("a = [0.5]  # x", ["1e-3", 2], [0.001, 2.0]),  # YAML reads 1e-3 as text
    ("a = False  # x", "TRUE", True),
    ("a = 0.5  # x {0.5 | 1}", "1", 1.0),
    ("a = 'x'  # x", "größe = {b} [bold]", "größe = {b} [bold]"),
    ("a = 'x'  # x", "", ""),
]


@pytest.mark.parametrize(("line", "given", "value"), VALUES)
def test_a_value_is_what_it_says(line, given, value):
    found = declared(line).checked(given, "first")
    assert found == value and type(found) is type(value) and repr(found) == repr(value)


REFUSED = [
    (INT, "1e3", "valid integer"),
    (INT, "0x10", "valid integer"),
    (INT, "1__0", "valid integer"),
    (INT, "_1", "valid integer"),
    (INT, "2.0", "valid integer"),
    (INT, "٣", "valid integer"),
    (INT, "", "parameter a='' is refused"),
    (INT, True, "valid integer"),
    (INT, None, "valid integer"),
    (INT, "-6", "greater than or equal to -5"),
    (INT, "9" * 5000, "..."),
    (FLOAT, "nan", "finite number"),
    (FLOAT, "-inf", "finite number"),
    (FLOAT, "1e999", "finite number"),
    (FLOAT, "1,5", "valid number"),
    (TEXTS, "", "at least 1 item"),
    (TEXTS, "x,,y", "'x' or 'y'"),
    (TEXTS, "x,z", "parameter a='x,z' is refused"),
    (TEXTS, 3, "valid list"),
    ("a = False  # x", "1", "valid boolean"),
    ("a = 'x'  # x", 3, "valid string"),
    ("a = 'x'  # x", "\udce9", "it is no UTF-8"),
    ("a = 1  # x {1 | 2}", "3", "1 or 2"),
]


@pytest.mark.parametrize(("line", "given", "told"), REFUSED)
def test_another_value_is_refused_by_name(line, given, told):
    text = refusal(declared(line).checked, given, "first")
    assert text.startswith("first: parameter a=") and told in text and len(text) < 300


def test_text_without_a_number_stays_text():
    assert [from_text("x", 1), from_text("1.5", 1), from_text(None, 1)] == ["x", "1.5", None]


# --- files ---


def picture(path, mode="RGB", size=(120, 100), **options):
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (*size[::-1], len(Image.new(mode, (1, 1)).getbands())), np.uint8)
    Image.fromarray(levels.squeeze(), mode).save(path, **options)
    return path


def test_a_file_is_given_by_its_path_and_counts_by_its_content(tmp_path, monkeypatch):
    one = declared("a = 'none'  # x {none | file}")
    (tmp_path / "mine é.txt").write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for word in ("mine é.txt", "./mine é.txt", "~/mine é.txt", str(tmp_path / "mine é.txt")):
        assert one.checked(word, "first") == str(tmp_path / "mine é.txt")
    before = file_checksum(tmp_path / "mine é.txt")
    (tmp_path / "mine é.txt").write_bytes(b"22")
    assert one.checked("none", "first") == "none"
    assert file_checksum(tmp_path / "mine é.txt") != before
    assert "given as a parameter" in refusal(file_checksum, tmp_path / "gone.txt")


def test_what_is_no_file_is_refused_at_once(tmp_path, monkeypatch):
    """Nothing here may be read to its end: some of it has none."""
    one = declared("a = 'none'  # x {none | file}")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "circle").symlink_to("circle")
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(10**12)  # a hole
    monkeypatch.chdir(tmp_path)
    for word, told in {
        "gone": "there is no such file",
        "x" * 300: "it names no file (File name too long)",
        "a\0b": "it names no file",
        "circle": "it names no file",
        "~nobody_of_that_name/x": "it names no file",
        ".": "it is a folder or a device, and no file",
        "/dev/zero": "it is a folder or a device",
        "pipe": "it is a folder or a device",
        "empty": "it has 0 bytes: give a file of 1 to 200,000,000",
        "/proc/self/status": "it has 0 bytes",
        "huge": "it has 1,000,000,000,000 bytes",
        "": "it is a folder",
    }.items():
        assert told in refusal(one.checked, word, "first"), word

    def refuse(path, mode):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "secret").write_bytes(b"1")
    monkeypatch.setattr("builtins.open", refuse)
    assert "it cannot be read (Permission denied)" in refusal(one.checked, "secret", "first")


def test_a_picture_is_looked_at_before_anything_starts(tmp_path, monkeypatch):
    one = declared("a = 'none'  # x {none | picture}")
    monkeypatch.chdir(tmp_path)
    for name, mode in (("a.png", "RGB"), ("a.jpg", "RGB"), ("b.png", "RGBA"), ("a.bmp", "RGB")):
        picture(tmp_path / name, mode)
        assert one.checked(name, "first") == str(tmp_path / name) and one.is_file
    picture(tmp_path / "gray.png", "L")
    picture(tmp_path / "print.jpg", "CMYK")
    picture(tmp_path / "small.png", size=(9, 9))
    Image.new("RGB", (200, 200), "red").save(tmp_path / "plain.png")
    Image.new("1", (8_000, 8_000)).save(tmp_path / "large.png")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture")
    for word, told in {
        "gray.png": "it has bands L: give an RGB picture",
        "print.jpg": "it has bands CMYK",
        "small.png": "it has 81 pixels: give a picture of 10,000 to 50,000,000",
        "large.png": "it has 64,000,000 pixels",
        "plain.png": "it has one colour only",
        "cut.jpg": "it is no picture that can be read (image file is truncated",
        "text.png": "it is no picture that can be read (cannot identify image file 'text.png')",
        "gone.png": "there is no such file",
    }.items():
        assert told in refusal(one.checked, word, "first"), word
    picture(tmp_path / "a.png", "L")  # another one under the same name
    assert "it has bands L" in refusal(one.checked, "a.png", "first")
