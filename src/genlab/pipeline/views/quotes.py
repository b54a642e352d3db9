"""Numbers of records in prose, quoted as {glue:text}`…`: none is ever typed."""

import re
from collections.abc import Mapping
from typing import Any

from genlab.pipeline.runs.parameters import nearest
from genlab.section.paths import UserError

FIELDS = "limit|null_mean|null_sd|sd|se|n|repeats"  # what stands beside a metric's value
OWN = re.compile(
    r"\{glue:text\}`(?:params/(?P<parameter>\w+)|(?P<metric>[^`:]+)"
    rf"\.(?P<field>{FIELDS}))(?::(?P<form>[^`]*))?`"
)
OF_BOOK = re.compile(r"\{glue:text\}`(?P<page>\w[\w.-]*):(?P<name>[^`:]+)(?::(?P<form>[^`]*))?`")

Record = Mapping[str, Any]


def of_run(text: str, record: Record) -> str:
    """Prose of a page with {glue:text}`params/NAME` and {glue:text}`METRIC.FIELD:FORMAT` as its
    record has them: a parameter of this run, and what stands beside a metric's value.  UserError
    for what is not there."""

    def value(found: re.Match) -> str:
        about = (
            record["params"] if found["parameter"] else record["metrics"].get(found["metric"], {})
        )
        name = found["parameter"] or found["field"]
        if name not in about:
            raise UserError(f"{record['section']} quotes {found[0]}, which its run has not")
        return format(about[name], found["form"] or "")

    return OWN.sub(value, text)


def of_book(text: str, records: Mapping[str, Record], where: str) -> str:
    """Prose that is of no page with {glue:text}`PAGE:METRIC:FORMAT` as the shown runs have it;
    METRIC.FIELD and params/NAME do as well.  UserError for a page or a number that is not there."""

    def value(found: re.Match) -> str:
        if found["page"] not in records:
            known = nearest(found["page"], records)
            raise UserError(f"{where} quotes {found[0]}, and no run of that page is shown{known}")
        number = _number(records[found["page"]], found["name"])
        if number is None:
            known = nearest(found["name"], records[found["page"]]["metrics"])
            raise UserError(f"{where} quotes {found[0]}, which that run has not{known}")
        return re.sub("^-", "−", format(number, found["form"] or ""))

    return OF_BOOK.sub(value, text)


def _number(record: Record, name: str) -> Any:
    """The value of a metric, of what stands beside it, or of a parameter; None for neither."""
    metrics = record["metrics"]
    if name in metrics:
        return metrics[name]["value"]
    if name.startswith("params/"):
        return record["params"].get(name.removeprefix("params/"))
    base, _, field = name.rpartition(".")
    return metrics.get(base, {}).get(field) if field in FIELDS.split("|") else None
