"""The layout of the pages.

    python tests/page_format.py [PAGE...]          formats the code cells with ruff
    python tests/page_format.py --check [PAGE...]  says what is amiss, and fails if anything is

Only lines of code change: jupytext, which could do the same, writes the whole page anew, with
alternative texts and captions in a layout of its own.  Checked, but left to a person, are lines of
more than 88 columns in a cell (its tags, alternative text and caption counted in), two sentences on
one line of prose, and what ruff finds in the cells of a page taken together: pyproject.toml says
what it looks for.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 88
RUFF = [sys.executable, "-m", "ruff"]
LAYOUT = [
    f"--config=line-length={WIDTH}",
    "--config=format.skip-magic-trailing-comma=true",
    "--config=lint.isort.split-on-trailing-comma=false",
]
OPENING = "```{code-cell}"
CELL = re.compile(
    r"^```\{code-cell\}.*\n"
    r"(?P<options>---\n(?:.*\n)*?---\n|(?::.*\n)*)\n*"
    r"(?P<code>(?:(?!```).*\n)*)```$",
    re.MULTILINE,
)
FRONT_MATTER = re.compile(r"\A---\n.*?^---$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^(```|\$\$).*?^\1$", re.MULTILINE | re.DOTALL)  # cells, directives, formulas
OTHER_LINES = re.compile(r"\||#|\d+\. |   ")  # tables, headings, numbered lists
VERBATIM = re.compile(r"(`+).+?\1|\$[^$]+\$")  # code, roles and formulas, whose stops end nothing
END = re.compile(r"""[.!?]["')\]*_]* (?=["'(\[*_]*[A-Z0-9\0])""")
NO_END = re.compile(
    r"(\b(e\.g|i\.e|[Ff]igs?|[Ee]qs?|vs|cf|al)|(?<!source )(?<!appendix )\b[A-Z])\. $"
)


def run_ruff(*arguments: str, source: str) -> str:
    """What ruff prints about, or makes of, a source.  SystemExit with its message where it cannot
    read the source."""
    ruff = subprocess.run(
        [*RUFF, *arguments, "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if ruff.returncode and not ruff.stdout:
        raise SystemExit(ruff.stderr.strip())
    return ruff.stdout


def formatted(page: str, name: str = "page") -> str:
    """The page with the code of its cells as ruff formats it, and nothing else changed."""
    blank = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    cells = [blank | {"source": match["code"]} for match in CELL.finditer(page)]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    made = run_ruff(
        "format", *LAYOUT, f"--stdin-filename={name}.ipynb", source=json.dumps(notebook)
    )
    sources = iter("".join(cell["source"]).rstrip("\n") for cell in json.loads(made)["cells"])
    return CELL.sub(
        lambda match: match[0].removesuffix(match["code"] + "```") + next(sources) + "\n```", page
    )


def code_alone(page: str) -> str:
    """The code of all cells on the lines where it stands in the page, all other lines empty."""
    lines = [""] * page.count("\n")
    for match in CELL.finditer(page):
        first = page.count("\n", 0, match.start("code"))
        code = match["code"].splitlines()
        lines[first : first + len(code)] = code
    return "\n".join([*lines, ""])


def sentences(text: str) -> list[str]:
    """The sentences of one line of prose."""
    masked = VERBATIM.sub(lambda match: "\0" * len(match[0]), text)
    ends = [
        match.end() for match in END.finditer(masked) if not NO_END.search(masked[: match.end()])
    ]
    return [text[a:b].rstrip() for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


def complaints(page: str, name: str) -> list[str]:
    """What is amiss in the layout of a page, as `file:line: what`."""
    found = []
    if len(CELL.findall(page)) != page.count(f"\n{OPENING}"):
        found.append(
            f"{name}: a code cell is not closed by ``` or has options that are not understood"
        )
    elif formatted(page, name) != page:
        found.append(f"{name}: `make format` would change its code")
    for match in CELL.finditer(page):
        first = page.count("\n", 0, match.start()) + 1
        for number, line in enumerate(match[0].splitlines(), first):
            if len(line) > WIDTH:
                found.append(f"{name}:{number}: {len(line)} columns in a code cell, over {WIDTH}")
    rest = page
    for other in (FRONT_MATTER, BLOCK):
        rest = other.sub(lambda match: "\n" * match[0].count("\n"), rest)
    for number, line in enumerate(rest.splitlines(), 1):
        if not OTHER_LINES.match(line) and len(sentences(line)) > 1:
            found.append(
                f"{name}:{number}: a sentence begins within the line: {sentences(line)[1]}"
            )
    options = [
        "--quiet",
        "--output-format=concise",
        "--extension=md:python",
        f"--stdin-filename={name}",
    ]
    return found + run_ruff("check", *LAYOUT, *options, source=code_alone(page)).splitlines()


def main(arguments: list[str]) -> int:
    """Format the pages named, or all; with --check only tell.  The exit status."""
    check = "--check" in arguments
    paths = [Path(a).resolve() for a in arguments if a != "--check"] or sorted(
        (ROOT / "notebooks").glob("*.md")
    )
    found = []
    for path in paths:
        page, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
        if check:
            found += complaints(page, name)
        elif (new := formatted(page, name)) != page:
            path.write_text(new, encoding="utf-8")
            print(f"formatted {name}")
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
