"""The parameters of a section: how a cell declares them, and which values they take; every value is
checked before a kernel starts."""

import ast
import builtins
import difflib
import io
import math
import re
import stat
import tokenize
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from genlab.pipeline.runs.disk import checksum
from genlab.pipeline.runs.reading import parsed
from genlab.section.paths import UserError

FORM = "`name = literal  # meaning [unit] {rule}`"
RULES = "'> a', 'a .. b', 'x | y', 'x | file' or 'x | picture'"
COMMENT = re.compile(
    r"#\s*(?P<meaning>[^\[\]{}]*?)\s*(\[(?P<unit>[^\[\]{}]*)\])?\s*(\{(?P<rule>[^\[\]{}]+)\})?\s*"
)
BOUND = re.compile(r"(>=|>|<=|<)\s*(\S+)")
BETWEEN = re.compile(r"(\S+)\s*\.\.\s*(\S+)")
NAMES = {">=": "ge", ">": "gt", "<=": "le", "<": "lt"}  # of the bounds, as pydantic has them
KINDS = (bool, int, float, str)  # types that a value may have
FILES = ("file", "picture")  # the last word of a rule that takes a path
MOST_BYTES = 200_000_000  # of a file that is given as a parameter
PIXELS = 10_000, 50_000_000  # of a picture: the least and the most


@dataclass(frozen=True)
class Parameter:
    """One line of the parameters cell: `name = default  # meaning [unit] {rule}`."""

    name: str
    default: Any
    meaning: str
    unit: str
    rule: str

    @property
    def element(self) -> bool | int | float | str:
        """The default, or the first of several: its type is that of every value."""
        return self.default[0] if isinstance(self.default, list) else self.default

    @property
    def type_name(self) -> str:
        name = type(self.element).__name__
        return f"list of {name}" if isinstance(self.default, list) else name

    @property
    def is_file(self) -> bool:
        """Whether the value may be a path, by a rule whose last choice is `file` or `picture`; what
        is in the file then counts in the key."""
        return isinstance(self.element, str) and self.rule.split("|")[-1].strip() in FILES

    @cached_property
    def adapter(self) -> TypeAdapter:
        """The default's own type, with the rule as a bound or as a choice.  UserError for a rule
        that is none."""
        one = allowed(type(self.element), self.rule)
        many = Annotated[list[one], Field(min_length=1)]
        return TypeAdapter(many if isinstance(self.default, list) else one)

    def checked(self, value: Any, where: str) -> Any:
        """The value with the declared type, a word of the command line too.  UserError for another
        type, or a value against the rule."""
        try:
            return self.adapter.validate_python(self._typed(value), strict=True)
        except ValidationError as error:
            told = error.errors()[0]["msg"].removeprefix("Value error, ")
        about = ", ".join(filter(None, (self.type_name, self.rule)))
        raise UserError(
            f"{where}: parameter {self.name}={short(value)} is refused: "
            f"{told[:1].lower()}{told[1:]} ({self.meaning}; {about})"
        )

    def _typed(self, value: Any) -> Any:
        """Text as what it says, alone or in a list."""
        if isinstance(self.default, list):
            if isinstance(value, str):
                value = [word.strip() for word in value.split(",")] if value.strip() else []
            many = isinstance(value, list)
            return [from_text(word, self.element) for word in value] if many else value
        return from_text(value, self.element)


def from_text(word: Any, like: Any) -> Any:
    """A word as a value of the type of `like`, as Python reads it; left as text where it cannot be,
    for pydantic to refuse."""
    if not isinstance(word, str):
        return word
    if isinstance(like, bool):
        return {"true": True, "false": False}.get(word.strip().lower(), word)
    if isinstance(like, (int, float)) and word.isascii():
        with suppress(ValueError):
            return type(like)(word)
    return word


def short(value: Any) -> str:
    """The value as Python writes it, cut off where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def nearest(name: str, known) -> str:
    """ " (did you mean 'x'?)" for the nearest known name, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def allowed(kind: type, rule: str) -> Any:
    """The pydantic type of one value of this kind under a rule.  UserError for a rule that is
    none."""
    words = [word.strip() for word in rule.split("|")]
    if kind is str and words[-1] in FILES:
        return Annotated[str, AfterValidator(partial(_choice_or_file, words[:-1], words[-1]))]
    if rule and kind is bool:
        raise UserError(f"rule {{{rule}}} says nothing about true and false: leave it out")
    if len(words) > 1:
        return Literal[tuple(_word(word, kind, rule) for word in words)]
    bounds = _bounds(kind, rule) if rule else {}
    if kind is str:
        return Annotated[str, AfterValidator(_utf8)]
    if kind is not float:
        return Annotated[kind, Field(**bounds)]
    return Annotated[  # negative zero is zero: two keys would stand for one run
        float, Field(allow_inf_nan=False, **bounds), AfterValidator(lambda value: value + 0.0)
    ]


def _bounds(kind: type, rule: str) -> dict[str, int | float]:
    """The bounds of a rule `> a` or `a .. b` as pydantic's arguments."""
    if kind is not str and (match := BETWEEN.fullmatch(rule)):
        low, high = (_word(word, kind, rule) for word in match.groups())
        if low > high:
            raise UserError(f"rule {{{rule}}} allows nothing: its first number is the larger one")
        return {"ge": low, "le": high}
    if kind is not str and (match := BOUND.fullmatch(rule)):
        return {NAMES[match[1]]: _word(match[2], kind, rule)}
    raise UserError(f"rule {{{rule}}} is none for a value of type {kind.__name__}: use {RULES}")


def _word(word: str, kind: type, rule: str) -> Any:
    """A word of a rule as a value of this kind."""
    value = from_text(word, kind())
    if word and isinstance(value, kind) and (kind is str or math.isfinite(value)):
        return value
    raise UserError(f"rule {{{rule}}}: {word!r} is no value of type {kind.__name__}")


def _choice_or_file(choices: list[str], kind: str, text: str) -> str:
    """A choice, or the absolute path of a file that can be read: the kernel runs in another
    folder."""
    if text in choices:
        return text
    try:
        path = Path(text).expanduser().resolve()
        about = path.stat()
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"it names no file ({why[:80]})") from None
    if not stat.S_ISREG(about.st_mode):
        raise ValueError("it is a folder or a device, and no file")
    if not 0 < about.st_size <= MOST_BYTES:
        raise ValueError(f"it has {about.st_size:,} bytes: give a file of 1 to {MOST_BYTES:,}")
    if kind == "picture":
        _refuse_no_picture(path, about.st_mtime_ns)
    try:
        checksum(path)  # it can be read
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from None
    return _utf8(str(path))


def _utf8(text: str) -> str:
    """The text, if it can be written as UTF-8: a word in another encoding cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it is no UTF-8") from None
    return text


@cache
def _refuse_no_picture(path: Path, changed: int) -> None:
    """ValueError for a file that holds no RGB picture; `changed` tells one state of it from
    another."""
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            bands, pixels, colours = image.getbands(), image.width * image.height, []
            if PIXELS[0] <= pixels <= PIXELS[1] and bands[:3] == ("R", "G", "B"):
                colours = image.getextrema()[:3]
    except Exception as error:  # Pillow's readers raise nearly everything
        told = str(error).replace(str(path), path.name)
        raise ValueError(f"it is no picture that can be read ({told[:80]})") from None
    if not PIXELS[0] <= pixels <= PIXELS[1]:
        least, most = PIXELS
        raise ValueError(f"it has {pixels:,} pixels: give a picture of {least:,} to {most:,}")
    if bands[:3] != ("R", "G", "B"):
        raise ValueError(f"it has bands {''.join(bands)}: give an RGB picture")
    if all(low == high for low, high in colours):
        raise ValueError("it has one colour only: give a picture of several")


def file_checksum(path: Path) -> str:
    """SHA-256 of what is in a file that a parameter names.  UserError if it is gone since."""
    try:
        return checksum(path)
    except OSError as error:
        raise UserError(f"file {path.name!r}, given as a parameter: {error}") from None


def parse_parameters(source: str, where: str) -> tuple[Parameter, ...]:
    """The parameters that a cell declares, one a line.  UserError for a line of another form, a
    value or a rule that is none, and a default against its own rule."""
    tree = parsed(source, where)
    comments = {
        token.start[0]: token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found: dict[str, Parameter] = {}
    last = 0
    for node in tree.body:
        line = f"{where}, line {node.lineno}"
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) if node.lineno != last:
                last = node.end_lineno
            case _:
                raise UserError(f"{line}: a parameter is declared on a line of its own, {FORM}")
        if name in found or hasattr(builtins, name):
            why = "is declared twice" if name in found else "has the name of a function of Python"
            raise UserError(f"{line}: parameter {name!r} {why}: take another name")
        comment = comments.get(last, "#")
        found[name] = _parameter(name, _literal(node.value, name, line), comment, line)
    return tuple(found.values())


def _literal(node: ast.expr, name: str, line: str) -> Any:
    """The value of a parameter's line: a number, a switch, a text, or a list of one kind of
    them."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, MemoryError, RecursionError):
        raise UserError(
            f"{line}: parameter {name!r} must be a literal, papermill cannot derive it"
        ) from None
    values = value if isinstance(value, list) else [value]
    if not values:
        raise UserError(f"{line}: parameter {name!r} is an empty list, of no type: give one value")
    if len(kinds := {type(v) for v in values}) > 1 or not kinds <= set(KINDS):
        said = " and ".join(sorted(kind.__name__ for kind in kinds))
        raise UserError(
            f"{line}: parameter {name!r} must be a literal of type int, float, bool or str, or a "
            f"list of one of them, and not of {said}"
        )
    return value


def _parameter(name: str, default: Any, comment: str, line: str) -> Parameter:
    """The parameter with what its comment says, its default checked by its own rule."""
    match = COMMENT.fullmatch(comment)
    if match is None:
        raise UserError(
            f"{line}: the comment of parameter {name!r}, {short(comment)}, must read "
            "`# meaning [unit] {rule}`, with these brackets and in this order"
        )
    about = match.groupdict(default="")
    made = Parameter(name, default, about["meaning"], about["unit"], about["rule"].strip())
    try:
        made.adapter  # noqa: B018 - a rule that is none is refused here
    except UserError as error:
        raise UserError(f"{line}: parameter {name!r}: {error}") from None
    made.checked(default, f"{line}, the default")
    return made
