"""How to cite the book: BibTeX made of CITATION.cff, and for a result the run behind it."""

from collections.abc import Mapping
from typing import Any

import yaml

from genlab.section.paths import ROOT

FILE = ROOT / "CITATION.cff"
SPECIAL = {"{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_"}


def bibtex(text: str) -> str:
    """The BibTeX entry that a CITATION.cff asks to be cited by: its preferred one."""
    cited = yaml.safe_load(text)["preferred-citation"]
    fields = {
        "author": " and ".join(map(_name, cited["authors"])),
        "title": "{" + _escaped(cited["title"]) + "}",
        "year": str(cited["year"]),
        "edition": _escaped(cited.get("edition", "")),
        "doi": cited.get("doi", ""),
        "url": cited.get("url", ""),
    }
    width = max(map(len, fields))
    lines = [f"  {name:<{width}} = {{{value}}}" for name, value in fields.items() if value]
    return "@book{genlab" + fields["year"] + ",\n" + ",\n".join(lines) + "\n}"


def _name(author: Mapping[str, Any]) -> str:
    """An author as BibTeX reads one; a group in braces, so that it is not taken apart."""
    if "name" in author:
        return "{" + _escaped(author["name"]) + "}"
    return _escaped(f"{author['family-names']}, {author['given-names']}")


def _escaped(text: str) -> str:
    return "".join(SPECIAL.get(c, c) for c in text)


def citation() -> str:
    """The entry of this book, as Markdown."""
    return f"```bibtex\n{bibtex(FILE.read_text('utf-8'))}\n```"
