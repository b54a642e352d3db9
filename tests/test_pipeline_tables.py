"""Tables of the book are made of records, every number with what it is."""

import json
import re

from genlab.pipeline.gate import baseline
from genlab.pipeline.runs.pages import section_names
from genlab.pipeline.views import tables
from genlab.pipeline.views.tables import faults_table, ledger, power_table, runtimes, sight_table

RECORD = {
    "profile": "full",
    "key": "k",
    "seconds": 61.4,
    "peak_memory_mib": 1234,
    "device": "cpu",
    "started": "2026-11-22T10:00:00",
    "metrics": {
        "a/w2": {"value": 0.25, "sd": 0.01, "unit": "nats", "better": "lower", "n": 100},
        "b": {"value": 3, "better": "higher", "limit": 4.0, "null_mean": 1.0, "null_sd": 0.5},
        "c": {"value": 2.5, "better": "target", "over": "seeds", "sd": 0.2, "se": 0.1},
    },
}


def test_every_metric_has_its_row():
    name = section_names()[0]
    table = ledger({name: RECORD})
    assert f"<tr id='{name}:a/w2'>" in table
    rows = [re.sub(r"<[^>]*>", "|", row) for row in table.replace("<wbr>", "").split("<tr ")[1:]]
    rows = [row.partition(">")[2] for row in rows]
    cells = [[cell for cell in row.split("|") if cell][1:] for row in rows]
    assert cells == [
        ["a/w2", " ", "nats", "0.25", "0.01", "sd", "lower", "100"],
        ["b", "3", "1", "0.5", "4", "higher"],
        ["c", "2.5", "0.1", "se over seeds", "target"],
    ]


def test_what_a_page_cost():
    assert "| x | full | 61 | 1,234 | cpu | 2026-11-22T10:00 |" in runtimes({"x": RECORD})


def test_the_power_of_the_gate_is_a_table_of_what_was_measured():
    table = power_table()
    assert table.count("\n| ") > 10 and "seeds" in table and "%" in table


def even(table: str) -> int:
    """How many columns every row of a Markdown table has."""
    rows = [line for line in table.splitlines() if line.startswith("|")]
    columns = {line.count("|") for line in rows}
    assert len(columns) == 1 and len(rows) > 2
    return columns.pop() - 1


def test_what_the_gate_can_see_in_every_section_and_what_it_found():
    sight = sight_table()
    medians, quoted = sight.split("The first number")
    assert even(medians) == even(quoted) == 5
    assert all(f"| {n} |" in medians and f"| {n} |" in quoted for n in section_names())
    assert even(power_table()) == 7


def test_what_was_found_in_sections_is_a_table(tmp_path, monkeypatch):
    rows = [
        {"fault": "a", "file": "x.py", "section": "rbm", "alarms": 3, "metric": "m"}
        | {"usual": 1.0, "now": 2.5},
        {"fault": "c", "file": "x.py", "section": "rbm", "alarms": 0},
    ]
    told = {"seeds": 4, "unchanged": {"rbm": 0}, "faults": rows}
    (tmp_path / "faults.json").write_text(json.dumps(told))
    monkeypatch.setattr(tables, "BASELINES", tmp_path)
    table = faults_table()
    assert "3 alarms | `m` | 1 | 2.5 |" in table and "**nothing**" in table and even(table) == 6
    assert "4 seeds" in table and "no alarm in rbm" in table


def test_a_book_without_baselines_has_its_page(tmp_path, monkeypatch):
    monkeypatch.setattr(baseline, "FOLDER", tmp_path)
    monkeypatch.setattr(tables, "BASELINES", tmp_path)
    assert "genlab baseline" in sight_table() and "make power" in power_table()
    assert "--sections" in faults_table()


def test_what_a_record_says_is_text_in_the_tables():
    bad = "a|b`c`<i>{{ d }}\n# e"
    metrics = {bad: {"value": 1.0, "unit": bad, "better": bad}}
    record = RECORD | {"metrics": metrics, "key": bad, "profile": bad, "device": bad}
    table = ledger({section_names()[0]: record})
    assert len(table.splitlines()) == 1 and "<i>" not in table
    assert "\n# e" not in table + runtimes({bad: record})
