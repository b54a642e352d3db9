"""What of a cell's code a page shows: the method.  What draws, declares or checks is one click
away; statements that only record or save are left to the script that readers can download."""

import ast
import re
from collections import Counter

RECORDING = ("metric", "record", "save", "quote")
DRAWING = ("animation", "slider", "hover_map")
OPENS = ("import ", "from ")


def fold(cells: list) -> None:
    """Tag the cells that a page hides or leaves out, and leave out statements that only record."""
    trees = {i: ast.parse(c.source) for i, c in enumerate(cells) if c.cell_type == "code"}
    names = sum(map(_names, trees.values()), Counter())
    recorders: set[str] = set()  # functions of the page of which nothing is left
    for i, tree in trees.items():
        cell, tags = cells[i], cells[i].metadata.get("tags", [])
        goes = _recording(tree.body, names, recorders)
        if _shows_source(tree):
            tag = "remove-input"
        elif "nbval-check-output" in tags:
            tag = "hide-cell"
        elif "parameters" in tags or cell.source.startswith(OPENS) or _draws(cell, tree):
            tag = "hide-input"
        elif goes and not (shown := _without(cell.source, goes)):
            tag = "remove-input"
        else:
            tag, cell.source = "", shown if goes else cell.source
        if tag:
            cell.metadata["tags"] = [*tags, tag]


def _shows_source(tree: ast.Module) -> bool:
    return bool(tree.body) and all(_called(node) == "section.show" for node in tree.body)


def _draws(cell, tree: ast.Module) -> bool:
    """Whether the cell is there for a picture: a figure, or an animation at its end."""
    last = _called(tree.body[-1]).split(".")[-1] if tree.body else ""
    return "image" in cell.metadata.get("mystnb", {}) or last in DRAWING


def _called(node: ast.stmt) -> str:
    """The function of which a statement is nothing but a call."""
    call = node.value if isinstance(node, ast.Expr) else None
    return ast.unparse(call.func) if isinstance(call, ast.Call) else ""


def _recording(body: list[ast.stmt], names: Counter, recorders: set[str]) -> list[ast.stmt]:
    """The statements of a block, and of the blocks in it, that only record: calls, loops of which
    nothing else is left, and functions of that kind, whose names join `recorders`."""
    goes: list[ast.stmt] = []
    for node in body:
        module, _, name = _called(node).rpartition(".")
        if (module == "section" and name in RECORDING) or (not module and name in recorders):
            goes.append(node)
        elif isinstance(node, (ast.For, ast.With, ast.FunctionDef)) and (
            inside := _recording(node.body, names, recorders)
        ):
            left = [part for part in node.body if part not in inside and not _is_docstring(part)]
            if isinstance(node, ast.FunctionDef) and all(map(_binds_names, left)):
                goes.append(node)
                recorders.add(node.name)
            elif not left or (all(map(_binds_names, left)) and not _lends(node, names)):
                goes.append(node)
            else:
                goes += inside
    return goes


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _binds_names(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [None]
    parts = [part for t in targets for part in (t.elts if isinstance(t, ast.Tuple) else [t])]
    return all(isinstance(part, ast.Name) for part in parts)


def _lends(node: ast.stmt, names: Counter) -> bool:
    """Whether a name that only this block of a page binds is read outside of it."""
    inside = _names(node)
    return any(
        names[name, ast.Store] == inside[name, ast.Store]
        and names[name, ast.Load] > inside[name, ast.Load]
        for name, how in inside
        if how is ast.Store
    )


def _names(tree: ast.AST) -> Counter:
    """How often each name is bound and read: {(name, ast.Store or ast.Load): times}."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return Counter((name.id, type(name.ctx)) for name in found)


def _without(source: str, goes: list[ast.stmt]) -> str:
    """The source without these statements and the comments right above them."""
    lines = source.splitlines()
    for node in sorted(goes, key=lambda node: node.lineno, reverse=True):
        start = node.lineno - 1
        while start and lines[start - 1].lstrip().startswith("#"):
            start -= 1
        lines[start : node.end_lineno] = []
    return re.sub("\n{4,}", "\n\n\n", "\n".join(lines).strip("\n"))
