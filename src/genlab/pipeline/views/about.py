"""The box below a page's title: what made its numbers, how to run it, where to check and to take
them away."""

import html
import shlex
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from genlab.pipeline.html import plain
from genlab.pipeline.runs.pages import Section
from genlab.pipeline.runs.parameters import Parameter
from genlab.section.paths import UserError

QUICK = (
    "```{admonition} A quick run: these numbers are not results\n:class: warning genlab-quick\n"
    "Small settings tried whether this page runs. What it says is judged by the full profile "
    "only.\n```\n"
)
FILES = {
    "ipynb": "notebook with outputs",
    "py": "script",
    "md": "source",
    "numbers.csv": "its numbers",
    "figures.csv": "points of its figures",
    "npz": "arrays",
    "json": "record of the run",
}
# Of a book: name of a page, place there, what it says about this page.
CHECKS = (
    ("how_to_read", "", "how to read a page"),
    ("ledger", "?rows=page:{page}#numbers", "its {numbers} numbers, with limit and null"),
    ("claims", "?rows=page:{page}#every-claim", "the claims that it judges"),
    ("scoreboard", "", "scoreboard of all models"),
)


def about_run(
    record: Mapping[str, Any],
    section: Section,
    *,
    files: Mapping[str, int] | None = None,
    pages: Collection[str] = (),
) -> str:
    """The box, in one line of HTML.  `files`: the downloads {name: bytes}; `pages`: the
    hand-written pages that stand beside this one."""
    parts = [_run_it(record, section, pages)]
    if files:
        parts.append(_take_away(section.name, files))
    if links := _check(record, section, pages):
        parts.append(links)
    parts.append(_facts(record, section))
    line = " · ".join([f"<b>{_said(record['profile'])}</b> profile", *_in_brief(record, section)])
    summary = f"<summary><span>{line}</span><span>run it · download · check</span></summary>"
    box = f'<details class="genlab-run">{summary}{"".join(parts)}</details>\n'
    return (QUICK + "\n" if record["profile"] == "quick" else "") + box


def _in_brief(record: Mapping[str, Any], section: Section) -> list[str]:
    """What is said without a click: when, on what, how long, and what a reader changed."""
    usual = section.values(record["profile"], {}) if record["profile"] in ("quick", "full") else {}
    other = {k: v for k, v in record["params"].items() if usual and usual.get(k) != v}
    brief = [_said(str(record.get("started") or "")[:10]), _device(record), _time(record)]
    brief += [f'<b class="genlab-differs">{_said(f"{k} = {v!r}")}</b>' for k, v in other.items()]
    return [said for said in brief if said]


def _run_it(record: Mapping[str, Any], section: Section, pages: Collection[str]) -> str:
    """The commands that run this page with one parameter changed."""
    word, said = "", "The same page, computed on your machine in the quick profile:"
    if changed := other_value(section):
        parameter, value = changed
        word = f" -p {shlex.quote(f'{parameter.name}={value}')}"
        said = (
            f"With another <code>{_said(parameter.name)}</code> ({_said(parameter.meaning)}; "
            f"published with {_said(parameter.default)}), in the quick profile:"
        )
    lines = [f"genlab run {section.name}{word}", f"genlab page {section.name}{word} --open"]
    link = ' <a href="../book/how_to_rerun.html">How to run it again</a>'
    more = link if "how_to_rerun" in pages else ""
    code = html.escape("\n".join(lines), quote=False).replace("\n", "&#10;")
    return (
        f"<div><b>Run this page yourself.</b> {said}{more}"
        f'<div class="highlight-bash notranslate"><div class="highlight"><pre>{code}</pre></div>'
        "</div></div>"
    )


def other_value(section: Section) -> tuple[Parameter, int | float] | None:
    """The first measure among the parameters (or else the first count) and another value of it, as
    its rule allows and a quick run can bear; None if there is none."""
    numbers = [p for p in section.parameters if type(p.default) in (int, float)]
    for parameter in sorted(numbers, key=lambda p: type(p.default) is int):
        usual = section.quick.get(parameter.name, parameter.default)
        for factor in () if parameter.name == "seed" else (1 / 2, 2):
            value = type(parameter.default)(float(f"{usual * factor:.2g}"))
            with suppress(UserError):  # against the rule
                if parameter.checked(value, "") != parameter.default:
                    return parameter, value
    return None


def _take_away(name: str, files: Mapping[str, int]) -> str:
    links = []
    for file, size in files.items():
        kind = file.removeprefix(f"{name}.")
        link = f'<a href="../downloads/{_said(file)}" download>{FILES[kind]}</a>'
        links.append(f"{link} <small>.{kind.split('.')[-1]}, {_size(size)}</small>")
    return f"<div><b>Download.</b> {' · '.join(links)}</div>"


def _check(record: Mapping[str, Any], section: Section, pages: Collection[str]) -> str:
    links = [
        f'<a href="../book/{page}.html{place.format(page=_said(section.name))}">'
        f"{said.format(numbers=len(record['metrics']))}</a>"
        for page, place, said in CHECKS
        if page in pages
    ]
    return f"<div><b>Check.</b> {' · '.join(links)}</div>" if links else ""


def _facts(record: Mapping[str, Any], section: Section) -> str:
    """What made the numbers, and which parameters are not as published."""
    facts = [
        f"profile {_said(record['profile'])}",
        _said(str(record.get("started") or "")[:16].replace("T", " ")),
        _device(record),
        f"seed {_said(record['seed'])}",
        _time(record),
        f"{record['peak_memory_mib']:,} MiB",
        f"key <code>{_said(record['key'])}</code>",
    ]
    if carried := record.get("carried"):
        facts.append(
            f"computed at commit <code>{_said(record['commit'])}</code>, carried to "
            f"<code>{_said(carried[-1]['commit'])}</code> by an equal quick run"
        )
    elif record["commit"]:
        facts.append(
            f"commit <code>{_said(record['commit'])}</code>"
            f"{' with changes' if record['dirty'] else ''}"
        )
    facts.append(f"source: <code>notebooks/{_said(section.name)}.md</code>")
    published = section.values("full", {})
    differ = {k: v for k, v in record["params"].items() if published.get(k) != v}
    more = ""
    if differ:
        values = ", ".join(f"{k} = {v!r}" for k, v in differ.items())
        more = f"<br>Not the published values: <code>{_said(values)}</code>"
    return f"<div><b>Made by.</b> {' · '.join(filter(None, facts))}{more}</div>"


def stale_mark(changed: list[str]) -> str:
    """What is said of a page whose run is of other code than the present."""
    what = "; ".join(map(plain, changed)) or "the profile"
    return (
        f"\n```{{admonition}} Stale results\n:class: warning genlab-stale\nThese results were "
        "computed before a change of "
        f"{what}. `genlab run --profile full` and `genlab publish` bring them up to date.\n```\n"
    )


def _time(record: Mapping[str, Any]) -> str:
    minutes, seconds = divmod(round(record["seconds"]), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(count / 1e3, 1):.0f} kB"


def _device(record: Mapping[str, Any]) -> str:
    """The processor, or the GPU with its driver and the memory that was used there."""
    if not (gpu := record.get("gpu")):
        return _said(record["device"])
    return _said(
        f"{record['device']} (driver {gpu.get('driver')}, {gpu.get('peak_memory_mib'):,} MiB)"
    )


def _said(value: Any) -> str:
    """What a record says, as text in HTML on one line."""
    return html.escape(" ".join(str(value).split()))
