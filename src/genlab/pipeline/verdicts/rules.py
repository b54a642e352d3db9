"""Rules over recorded numbers: comparisons, each decided by an interval and not by a sign.

    {dsm:pinwheel/w2} < {gan_toy:pinwheel/w2} and abs({rbm:best/log_z} - 451.3) < 0.5

A name is {page:metric}, or {page:metric.field} for what the record says beside the value (limit,
null_mean, null_sd).  Errors travel through + - * / and abs to first order; of independent numbers
they add in squares (Welch 1947), and a number that stands on both sides counts once.
"""

import ast
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from scipy import special

from genlab.section.paths import UserError

NAME = re.compile(r"\{([\w.-]+:[^{}]+)\}")
COVERAGE = 0.99  # of the intervals


class Recorded(NamedTuple):
    """A recorded number, the standard error of its value and the degrees of freedom of that; se is
    None where nothing tells it."""

    value: float
    se: float | None = None
    freedom: float = math.inf


@dataclass(frozen=True)
class Estimate:
    """A number, and by how much it moves with each recorded number that it is made of."""

    value: float
    slopes: Mapping[str, float]

    def moved(self, value: float, slope: float, other: "Estimate | None" = None, by: float = 0.0):
        """A function of this and of one `other`, by its partial derivatives."""
        slopes = {name: slope * d for name, d in self.slopes.items()}
        for name, d in other.slopes.items() if other else ():
            slopes[name] = slopes.get(name, 0.0) + by * d
        return Estimate(value, slopes)


@dataclass(frozen=True)
class Comparison:
    """One comparison of a rule.

    effect: by how much it is met, below zero if it is not.  low, high: interval of that, None if no
    error is known.  p: of an effect so far from zero, if it were zero.  plain: what the bare values
    say.  unknown: the names whose error nothing tells.
    """

    text: str
    effect: float
    low: float | None
    high: float | None
    p: float | None
    plain: bool
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Combined:
    """Comparisons joined by "and", "or" or "not"."""

    how: str
    parts: tuple["Combined | Comparison", ...]


Judged = Combined | Comparison
OPERATIONS = {
    ast.Add: lambda a, b: a.moved(a.value + b.value, 1, b, 1),
    ast.Sub: lambda a, b: a.moved(a.value - b.value, 1, b, -1),
    ast.Mult: lambda a, b: a.moved(a.value * b.value, b.value, b, a.value),
    ast.Div: lambda a, b: a.moved(a.value / b.value, 1 / b.value, b, -a.value / b.value**2),
}
COMPARED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


@cache
def parsed(rule: str) -> tuple[ast.expr, tuple[str, ...]]:
    """The syntax tree of a rule, its names written _0, _1, …, and the names.  UserError for a rule
    that cannot be read."""
    names = tuple(dict.fromkeys(NAME.findall(rule)))
    text = NAME.sub(lambda found: f"_{names.index(found[1])}", rule)
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise UserError(
            f"rule {rule!r} cannot be read: write {{page:name}} < {{page:name}}"
        ) from None
    if not isinstance(tree, (ast.Compare, ast.BoolOp, ast.UnaryOp)):
        raise UserError(f"rule {rule!r} compares nothing: it needs a < or a >")
    return tree, names


def judged(rule: str, recorded: Callable[[str], Recorded]) -> Judged:
    """The comparisons of a rule, made with the numbers that `recorded` gives of their names."""
    tree, names = parsed(rule)
    return _judged(tree, rule, {f"_{i}": (name, recorded(name)) for i, name in enumerate(names)})


Numbers = Mapping[str, tuple[str, Recorded]]


def _judged(tree: ast.expr, rule: str, numbers: Numbers) -> Judged:
    match tree:
        case ast.BoolOp(op, values):
            how = "and" if isinstance(op, ast.And) else "or"
            return Combined(how, tuple(_judged(value, rule, numbers) for value in values))
        case ast.UnaryOp(ast.Not(), operand):
            return Combined("not", (_judged(operand, rule, numbers),))
        case ast.Compare(left, operators, others):
            links = zip(operators, [left, *others[:-1]], others, strict=True)
            found = tuple(_comparison(*link, rule, numbers) for link in links)
            return found[0] if len(found) == 1 else Combined("and", found)
    raise UserError(f"rule {rule!r}: {ast.unparse(tree)} is no comparison")


def _comparison(operator: ast.cmpop, left, right, rule: str, numbers: Numbers) -> Comparison:
    if not isinstance(operator, COMPARED):
        raise UserError(f"rule {rule!r}: only <, <=, > and >= compare; equal is abs(a - b) < 0.1")
    a, b = _estimate(left, rule, numbers), _estimate(right, rule, numbers)
    if isinstance(operator, (ast.Gt, ast.GtE)):
        a, b = b, a
    effect = OPERATIONS[ast.Sub](b, a)
    text = ast.unparse(ast.Compare(left, [operator], [right]))
    text = re.sub(r"\b_\d+\b", lambda found: numbers[found[0]][0], text)
    value, known = effect.value, [i for i in effect.slopes if numbers[i][1].se is not None]
    unknown = tuple(numbers[i][0] for i in effect.slopes if i not in known)
    parts = {i: (effect.slopes[i] * numbers[i][1].se) ** 2 for i in known}
    or_equal = isinstance(operator, (ast.LtE, ast.GtE))
    plain = value > 0 or (or_equal and value == 0)
    low, high, p = None, None, None
    if variance := sum(parts.values()):
        error = math.sqrt(variance)
        # Welch and Satterthwaite
        rest = sum(part**2 / numbers[i][1].freedom for i, part in parts.items())
        freedom = variance**2 / max(rest, 1e-300)
        wide = special.stdtrit(freedom, (1 + COVERAGE) / 2) * error
        low, high = value - wide, value + wide
        p = float(2 * special.stdtr(freedom, -abs(value) / error))
    elif known and not unknown:
        low, high, p = value, value, 0.0
    return Comparison(text, value, low, high, p, plain, unknown)


def _estimate(tree: ast.expr, rule: str, numbers: Numbers) -> Estimate:
    match tree:
        case ast.Constant(int() | float() as value) if not isinstance(value, bool):
            return Estimate(float(value), {})
        case ast.Name(name) if name in numbers:
            return Estimate(float(numbers[name][1].value), {name: 1.0})
        case ast.UnaryOp(ast.USub(), operand):
            x = _estimate(operand, rule, numbers)
            return x.moved(-x.value, -1)
        case ast.BinOp(left, op, right) if type(op) in OPERATIONS:
            a, b = _estimate(left, rule, numbers), _estimate(right, rule, numbers)
            try:
                return OPERATIONS[type(op)](a, b)
            except ZeroDivisionError:
                raise UserError(f"rule {rule!r} divides by zero") from None
        case ast.Call(ast.Name("abs"), [operand], []):
            x = _estimate(operand, rule, numbers)
            return x.moved(abs(x.value), math.copysign(1, x.value))
    raise UserError(
        f"rule {rule!r}: {ast.unparse(tree)!r} is neither a name, a number, + - * / nor abs()"
    )


def estimated(expression: str, recorded: Callable[[str], Recorded]) -> tuple[float, float | None]:
    """The value of an expression over recorded numbers and its standard error, None if nothing
    tells it.  UserError for what is no expression."""
    tree, names = parsed(f"{expression} < 0")
    numbers = {f"_{i}": (name, recorded(name)) for i, name in enumerate(names)}
    if not isinstance(tree, ast.Compare) or len(tree.ops) > 1:
        raise UserError(f"{expression!r} is no single number")
    found = _estimate(tree.left, expression, numbers)
    errors = {i: numbers[i][1].se for i in found.slopes}
    if None in errors.values():
        return found.value, None
    return found.value, math.sqrt(sum((d * errors[i]) ** 2 for i, d in found.slopes.items()))


def comparisons(node: Judged) -> Iterator[Comparison]:
    """All comparisons of a judged rule."""
    if isinstance(node, Comparison):
        yield node
    else:
        for part in node.parts:
            yield from comparisons(part)


def state(node: Judged, decided: Callable[[Comparison], bool]) -> bool | None:
    """Whether the rule is met: True, False or, by comparisons that are not `decided`, unknown
    (Kleene's logic of three values)."""
    if isinstance(node, Comparison):
        return node.plain if decided(node) else None
    states = [state(part, decided) for part in node.parts]
    if node.how == "not":
        return None if states[0] is None else not states[0]
    settles = node.how == "or"  # one True settles an "or", one False an "and"
    if settles in states:
        return settles
    return None if None in states else not settles
