"""The scoreboard: every model on the measures that apply to it, beside limit, chance and what was
published."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from genlab.pipeline.html import markdown, plain
from genlab.pipeline.verdicts import claims
from genlab.pipeline.verdicts.claims import Records, recorded
from genlab.pipeline.verdicts.rules import Recorded, estimated, parsed
from genlab.section.paths import ROOT, UserError

SCOREBOARD = ROOT / "book" / "scoreboard.yaml"
Better = Literal["lower", "higher"]


class Row(BaseModel):
    """A model, or something to compare with: an expression over recorded numbers, in which [column]
    stands for each column, or one for some columns."""

    model_config = ConfigDict(extra="forbid")
    model: str
    number: str | dict[str, str]
    cite: str = ""


class Board(BaseModel):
    """One table: columns {heading: what stands for it in a number}, and which way is better."""

    model_config = ConfigDict(extra="forbid")
    title: str
    about: str
    better: Better | dict[str, Better]
    columns: dict[str, str]
    rows: list[Row]
    reference: list[Row] = []


def read(path: Path = SCOREBOARD) -> list[Board]:
    """The tables; none where there is no such file.  UserError for a file that cannot be read."""
    return claims.from_yaml(path, list[Board]) if path.exists() else []


def scoreboard(records: Records, boards: list[Board] | None = None) -> str:
    """All tables as Markdown, from these records."""
    asked = partial(recorded, records, claims.read().spreads)
    boards = read() if boards is None else boards
    return "\n\n".join(_table(board, records, asked) for board in boards)


Numbers = Mapping[str, tuple[float, float | None] | None]  # {column: value, standard error}


def _table(board: Board, records: Records, asked: Callable[[str], Recorded]) -> str:
    models = [_numbers(row, board, records, asked) for row in board.rows]
    best = {column: _best(board, column, models) for column in board.columns}
    rows = []
    for row, numbers in zip(board.rows, models, strict=True):
        rows.append((_name(row), *_cells(row, board, numbers, best), _links(row, board)))
    for row in board.reference:
        numbers = _numbers(row, board, records, asked)
        rows.append((f"*{_name(row)}*", *_cells(row, board, numbers, {}), ""))
    table = markdown(("model", *board.columns, "page"), rows, board.columns)
    return f"## {board.title}\n\n{board.about}\n\n{table}"


def _name(row: Row) -> str:
    return plain(row.model) + (f" {{cite:p}}`{row.cite}`" if row.cite else "")


def _cells(row: Row, board: Board, numbers: Numbers, best: Mapping[str, float | None]) -> list[str]:
    """A cell for each column; what is no expression stands there as it was published."""
    typed = {c: text for c, text in _expressions(row, board).items() if "{" not in text}
    return [typed[c] if c in typed else _cell(numbers.get(c), best.get(c)) for c in board.columns]


def _links(row: Row, board: Board) -> str:
    pages = set().union(*map(_pages_of, _expressions(row, board).values()))
    return " ".join(f"{{doc}}`{page} </notebooks/{page}>`" for page in sorted(pages))


def _expressions(row: Row, board: Board) -> dict[str, str]:
    """{column: expression} of a row."""
    if isinstance(row.number, dict):
        return row.number
    return {c: row.number.replace("[column]", word) for c, word in board.columns.items()}


def _numbers(row: Row, board: Board, records: Records, asked: Callable) -> Numbers:
    found: dict[str, Any] = {}
    for column, expression in _expressions(row, board).items():
        if column not in board.columns:
            raise UserError(f"scoreboard, {row.model}: no column {column!r} in {board.title!r}")
        if _pages_of(expression) <= records.keys():
            found[column] = estimated(expression, asked)
    return found


def _pages_of(expression: str) -> set[str]:
    return {name.partition(":")[0] for name in parsed(f"{expression} < 0")[1]}


def _best(board: Board, column: str, models: list[Numbers]) -> float | None:
    values = [numbers[column][0] for numbers in models if column in numbers]
    better = board.better if isinstance(board.better, str) else board.better[column]
    return (min if better == "lower" else max)(values) if values else None


def _cell(number: tuple[float, float | None] | None, best: float | None) -> str:
    """A value with as many digits as its error tells, the error, and the best value in bold."""
    if number is None:
        return ""
    value, error = number
    digits = _digits(value, error)
    text = f"{value:.{digits}f}"
    text = f"**{text}**" if value == best else text
    return f"{text} ± {error:.{digits}f}" if error else text


def _digits(value: float, error: float | None) -> int:
    """Decimal places: two figures of the error, or three or more of the value."""
    size = error or abs(value) / 50
    exponent = int(f"{size:.1e}".partition("e")[2]) if size else 0
    return min(max(1 - exponent, 0), 5)
