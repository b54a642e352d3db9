"""What people write by hand, read in one place: text, YAML and the Python of a cell, each refused
in one line that names the file and the place."""

import ast
import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from genlab.section.paths import UserError

# Ends of lines for Python, and not for Markdown: cells would be cut in the wrong places.
LINE_ENDS = re.compile("[\0\v\f\x1c-\x1e\x85\u2028\u2029]")
MAGIC = re.compile(r"\s*[%!?]|.*\?\s*$|.*=\s*[%!]")


def read_text(path: Path) -> str:
    """The text of a file that a person writes, without a mark of byte order and with LF.  UserError
    if it is none."""
    try:
        content = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise UserError(f"{path.name} cannot be read: {error.strerror}") from None
    if content is None:
        raise UserError(f"{path.name} is a folder or a device, and no file: take it out of the way")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path.name}, line {line}: byte 0x{content[error.start]:02x} is no UTF-8: save the "
            "file as UTF-8"
        ) from None
    if odd := LINE_ENDS.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        raise UserError(f"{path.name}, line {line}: take out the character {odd[0]!a}")
    return text


def read_yaml(text: str, where: str, line: int = 1) -> Any:
    """YAML as data; `line`: where in the file it begins.  UserError if it is none."""
    try:
        return yaml.load(text, _OnceEach)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + line}" if mark else ""
        told = getattr(error, "problem", None) or str(error).splitlines()[0][:80]
        raise UserError(f"{where} is no YAML{place}: {told}: mend it") from None


class _OnceEach(yaml.SafeLoader):
    """YAML in which a key that is given twice is an error, and not silently the last one."""

    def construct_mapping(self, node, deep=False):
        known = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in known:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key.value!r} is given twice", problem_mark=key.start_mark
                )
            known.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


@cache
def parsed(cell: str, where: str) -> ast.Module:
    """The syntax tree of a cell.  UserError, which says where, if it is no Python; IPython's magics
    are none, for what they do would not count in a key."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of a text like "\d"
            compile(cell, where, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            return ast.parse(cell)
    except SyntaxError as error:
        line = (error.text or "").rstrip()
        told = f"line {error.lineno}, `{line.strip()[:60]}`: {error.msg}"
        magic = "; magics and shell commands of IPython are refused, write the call"
        raise UserError(f"{where} is no Python: {told}{magic * bool(MAGIC.match(line))}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{where} is no Python: {type(error).__name__}: {error}") from None
