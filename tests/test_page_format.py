"""The pages keep their layout, and what checks it sees what is wrong with a page and nothing
else."""

import jupytext
import page_format
import pytest

from genlab.section.paths import ROOT

PAGES = sorted((ROOT / "notebooks").glob("*.md"))
PAGE = """---
kernelspec:
  display_name: Python 3
  name: python3
---

# A page

Of two sentences, e.g. these, see Fig. 3 with $p = .5$. Stop.
A stop in `a. B` or in {cite:p}`a. B` ends nothing, nor does one in a table or a numbered list.

| one. Two | 0.5 |
|---|---|

1. One. Two.

```{code-cell} ipython3
---
mystnb:
  image:
    alt: a line
---
import math

x = math.pi
```

```{code-cell} ipython3
:tags: [nbval-check-output]

print(x)
```
""".replace("$. Stop", "$.\nStop")
LONG = "print(" + ", ".join(["x"] * 40) + ")"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_layout(path):
    assert page_format.complaints(path.read_text(), path.relative_to(ROOT).as_posix()) == []


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("print(x)", LONG, "notebooks/page.md:32: 125 columns in a code cell"),
        (
            "print(x)",
            "# " + "word " * 20 + "end",
            "notebooks/page.md:32: 105 columns in a code cell",
        ),
        ("print(x)", "print(x )", "`make format` would change its code"),
        ("alt: a line", "alt: " + "a long line " * 9, "notebooks/page.md:22: "),
        ("$.\nStop", "$. Stop", "notebooks/page.md:9: a sentence begins within the line: Stop."),
        ("import math\n", "import math\nimport json\n", "F401"),
        ("print(x)", "print(y)", "notebooks/page.md:32:7: F821"),
        ("print(x)\n```", "print(x)\n", "not closed"),
    ],
)
def test_what_is_wrong_is_seen(right, wrong, complaint):
    assert page_format.complaints(PAGE, "notebooks/page.md") == []
    page = PAGE.replace(right, wrong)
    found = page_format.complaints(page, "notebooks/page.md")
    assert page != PAGE and any(complaint in line for line in found), found


def test_the_formatter_changes_code_and_nothing_else():
    page = PAGE.replace("print(x)", LONG)
    made = page_format.formatted(page)
    assert (
        page_format.complaints(made, "notebooks/page.md") == []
        and page_format.formatted(made) == made
    )
    before, after = page.split("```"), made.split("```")
    assert [a for a, b in zip(before, after, strict=True) if a != b] == [before[3]]
    cells = [jupytext.reads(text, fmt="md:myst").cells for text in (page, made)]
    assert [c.metadata for c in cells[0]] == [c.metadata for c in cells[1]]
