"""Published records whose key has an old form get one of the present form, without computing
anything.

The proof is the old key itself: the files of the record's commit, by their own code, must still
give it.  What those files mean in the present form is then the record's new key.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from genlab.pipeline.runs import keys, store
from genlab.pipeline.runs.pages import in_order, read_section
from genlab.pipeline.runs.trees import by_commit, environment, package_in, tree_at
from genlab.section import code
from genlab.section.paths import UserError

OLD_KEY = """
import json, sys
from genlab.report import keys
from genlab.report.sections import get_section
for name, params, profile in json.load(sys.stdin):
    print(keys.key_of(keys.key_parts(get_section(name), params, profile)))
"""


def rekey(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give published records of an old form their new keys; (section, what was done) one after the
    other."""
    former = {}
    for name in in_order(names):
        run = store.published(name)
        if run:
            former[name] = run.record.get("rekeyed", {}).get("from", run.record["key"])
    todo = by_commit(names)
    for runs in todo.values():
        for run in [r for r in runs if r.record["key_parts"].get("scheme") == code.SCHEME]:
            runs.remove(run)
            yield run.record["section"], "has a key of the present form"
    proved: dict[str, tuple[store.Run, dict[str, Any], code.Reached]] = {}
    for commit, runs in todo.items():
        if runs:
            with tree_at(commit) as tree:
                for run, agrees in zip(runs, _old_keys(tree, runs), strict=True):
                    record = run.record
                    section = read_section(tree / "notebooks" / f"{record['section']}.md")
                    behind = keys.code_behind(section, package_in(tree))
                    parts = keys.own_parts(
                        section, record["params"], record["profile"], package_in(tree)
                    )
                    needs = record["key_parts"]["needs"]
                    if agrees == record["key"] and all(
                        former.get(n) == key for n, key in needs.items()
                    ):
                        proved[record["section"]] = run, parts, behind
                    else:
                        yield (
                            record["section"],
                            f"left alone: its files at {commit} do not give key {record['key']}",
                        )
    for name in [n for n in in_order(names) if n in proved]:
        run, parts, behind = proved[name]
        parts["needs"] = {
            need: store.content(store.published(need)) for need in run.record["key_parts"]["needs"]
        }
        old = run.record["key"]
        yield (
            name,
            f"{old} -> "
            f"{store.rewrite(run, parts, behind, rekeyed={'from': old, 'assumed': ['threads']})}",
        )


def _old_keys(tree: Path, runs: list[store.Run]) -> list[str]:
    """Keys of these runs by the tree's own code."""
    asked = json.dumps(
        [[r.record["section"], r.record["params"], r.record["profile"]] for r in runs]
    )
    command = [sys.executable, "-c", OLD_KEY]
    told = subprocess.run(
        command,
        input=asked,
        env=environment(tree),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if told.returncode:
        raise UserError(
            f"the code of {runs[0].record['commit']} gives no keys: "
            f"{told.stderr.strip().splitlines()[-1]}"
        )
    return told.stdout.split()
