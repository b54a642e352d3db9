"""Numbers of records in prose, quoted as {glue:text}`…`: none is ever typed."""

import re
from collections.abc import Mapping
from typing import Any

from genlab.pipeline.runs.pages import section_names
from genlab.pipeline.runs.parameters import nearest
from genlab.section.paths import UserError

FIELDS = "limit|null_mean|null_sd|sd|se|n|repeats"  # what stands beside a metric's value
OWN = re.compile(
    rf"\{{glue:text\}}`(?P<name>params/\w+|[^`:]+\.(?:{FIELDS}))(?::(?P<form>[^`]*))?`"
)
OF_BOOK = re.compile(r"\{glue:text\}`(?P<page>\w[\w.-]*):(?P<name>[^`:]+)(?::(?P<form>[^`]*))?`")

Record = Mapping[str, Any]


def of_run(text: str, record: Record) -> str:
    """Prose of a page with {glue:text}`params/NAME` and {glue:text}`METRIC.FIELD:FORMAT` as its
    record has them: a parameter of this run, and what stands beside a metric's value.  UserError
    for what is not there."""

    def value(found: re.Match) -> str:
        number = _number(record, found["name"])
        if number is None:
            raise UserError(f"{record['section']} quotes {found[0]}, which its run has not")
        return format(number, found["form"] or "")

    return OWN.sub(value, text)


def of_book(text: str, records: Mapping[str, Record], where: str) -> str:
    """Prose that is of no page with {glue:text}`PAGE:METRIC:FORMAT` as the shown runs have it;
    METRIC.FIELD and params/NAME do as well.  UserError for a page or a number that is not there."""

    def value(found: re.Match) -> str:
        page, name = found["page"], found["name"]
        if page not in section_names():
            known = nearest(page, section_names())
            raise UserError(f"{where} quotes {found[0]}, which is of no page of the book{known}")
        if page not in records:
            return "(not shown)"
        number = _number(records[page], name)
        if number is None:
            known = nearest(name, records[page]["metrics"])
            raise UserError(f"{where} quotes {found[0]}, which that run has not{known}")
        return re.sub("^-", "−", format(number, found["form"] or ""))

    return OF_BOOK.sub(value, text)


def pages(text: str) -> set[str]:
    """The pages whose numbers prose of the book quotes."""
    return {found["page"] for found in OF_BOOK.finditer(text)}


def _number(record: Record, name: str) -> Any:
    """The value of a metric, of what stands beside it, or of a parameter; None for neither."""
    metrics = record["metrics"]
    if name in metrics:
        return metrics[name]["value"]
    if name.startswith("params/"):
        return record["params"].get(name.removeprefix("params/"))
    base, _, field = name.rpartition(".")
    return metrics.get(base, {}).get(field) if field in FIELDS.split("|") else None
