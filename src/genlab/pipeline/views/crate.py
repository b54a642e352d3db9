"""What a release says of itself for machines: an RO-Crate 1.1 by the profile of process runs.

The files of the release are its data.  Each section's run is an action: the section's source at a
commit is its instrument, parameters, data and needed results are its objects, and notebook, record
and arrays, which lie in the archive of results, its result.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from genlab.pipeline.runs import store
from genlab.pipeline.runs.store import Run

Entity = dict[str, Any]
NAME = "ro-crate-metadata.json"
CRATE = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
CONTEXT = [f"{CRATE}/context", {"sha256": "https://schema.org/sha256"}]
AUTHORS = "#authors"
MEDIA = {
    ".zip": "application/zip",
    ".pdf": "application/pdf",
    ".csv": "text/csv",
    ".cff": "application/yaml",
    ".ipynb": "application/x-ipynb+json",
    ".json": "application/json",
    ".npz": "application/zip",
}


@dataclass(frozen=True)
class About:
    """What a release is of; `marks` says what is not as it should be."""

    title: str
    author: str
    description: str
    version: str
    licence: str  # as SPDX names it
    commit: str
    when: datetime
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A file of the release: what it is, in words, and its content, which its own metadata and the
    list of checksums cannot say of themselves."""

    says: str
    content: bytes | None = None


def crate(about: About, parts: Mapping[str, Part], runs: Mapping[str, Run], archive: str) -> bytes:
    """The metadata of a release of these files, where the published `runs` are in the file
    `archive`."""
    licence = f"https://spdx.org/licenses/{about.licence}"
    entities = [
        _entity(PROFILE, "CreativeWork", "Process Run Crate", version="0.5"),
        _entity(licence, "CreativeWork", about.licence),
        _entity(AUTHORS, "Organization", about.author),
        *(_file(name, part) for name, part in parts.items()),
    ]
    for name, run in runs.items():
        entities += _run(name, run, runs, about, archive)
    root = {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": _to(PROFILE),
        "name": f"{about.title}, version {about.version}",
        "description": about.description,
        "version": about.version,
        "identifier": f"commit {about.commit}",
        "datePublished": about.when.isoformat(),
        "license": _to(licence),
        "author": _to(AUTHORS),
        "publisher": _to(AUTHORS),
        "hasPart": [_to(name) for name in parts],
        "mentions": [_to(f"#run/{name}") for name in runs],
    }
    if about.marks:
        root["creativeWorkStatus"] = f"Draft: {'; '.join(about.marks)}"
    head = {"@id": NAME, "@type": "CreativeWork", "conformsTo": _to(CRATE), "about": _to("./")}
    # packages and data are named by many runs
    once = {entity["@id"]: entity for entity in entities}
    whole = {"@context": CONTEXT, "@graph": [head, root, *once.values()]}
    return (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode()


def _entity(identifier: str, kind: str, name: str, /, **more: Any) -> Entity:
    return {"@id": identifier, "@type": kind, "name": name, **more}


def _to(identifier: str) -> Entity:
    return {"@id": identifier}


def _sized(content: bytes) -> Entity:
    return {"contentSize": str(len(content)), "sha256": hashlib.sha256(content).hexdigest()}


def _media(name: str) -> Entity:
    return {"encodingFormat": MEDIA.get(f".{name.rpartition('.')[2]}", "text/plain")}


def _file(name: str, part: Part) -> Entity:
    size = {} if part.content is None else _sized(part.content)
    return _entity(name, "File", name, description=part.says, **_media(name), **size)


def _run(
    name: str, run: Run, runs: Mapping[str, Run], about: About, archive: str
) -> Iterable[Entity]:
    """The run of a section as an action, and all that it names."""
    record = run.record
    source = f"#source/{name}@{record['commit']}"
    packages = _packages(record["versions"])
    objects = [*_parameters(name, record["params"]), *_data(record["key_parts"]["data"])]
    results = [*_results(name, run, archive)]
    needed = record["key_parts"].get("needs", {})
    # A stale run may have read others than those that are published now.
    same = [n for n, digest in needed.items() if n in runs and store.content(runs[n]) == digest]
    began = datetime.fromisoformat(record["started"])
    yield _entity(
        f"#run/{name}",
        "CreateAction",
        f"Run {record['key']} of {record['title']}",
        description=_told(record),
        identifier=record["key"],
        instrument=_to(source),
        agent=_to(AUTHORS),
        object=[_to(o["@id"]) for o in objects] + [_to(f"#results/{n}.json") for n in same],
        result=[_to(result["@id"]) for result in results],
        startTime=began.isoformat(),
        endTime=(began + timedelta(seconds=round(record["seconds"]))).isoformat(),
        actionStatus="http://schema.org/CompletedActionStatus",
    )
    yield _entity(
        source,
        "SoftwareSourceCode",
        f"notebooks/{name}.md",
        description=f"The section {record['title']}, in the repository of {about.title}",
        version=f"commit {record['commit']}",
        programmingLanguage="Python",
        softwareRequirements=[_to(package["@id"]) for package in packages],
        author=_to(AUTHORS),
    )
    yield from (*packages, *objects, *results)


def _told(record: Mapping[str, Any]) -> str:
    """How the run was made, in a sentence or two."""
    text = (
        f"`genlab run {record['section']} --profile {record['profile']}` at seed {record['seed']} "
        f"on {record['device']}: {record['seconds']:.0f} s, "
        f"{record['peak_memory_mib']:,} MiB at most."
    )
    if record.get("dirty"):
        text += " Its files had changes that the commit does not hold."
    if carried := record.get("carried"):
        text += f" Carried to the code of commit {carried[-1]['commit']}, which gives the same."
    return text


def _packages(versions: Mapping[str, str]) -> list[Entity]:
    """Python and the libraries that a run loaded, under their package URLs."""
    found = []
    for name, version in versions.items():
        url = f"pkg:{'generic' if name == 'python' else 'pypi'}/{name.lower()}@{quote(version)}"
        found.append(_entity(url, "SoftwareApplication", name, softwareVersion=version))
    return found


def _parameters(name: str, params: Mapping[str, Any]) -> list[Entity]:
    """The values of a run's parameters; a list as JSON."""
    found = []
    for parameter, value in params.items():
        told = json.dumps(value) if isinstance(value, list) else value
        found.append(
            _entity(f"#parameter/{name}/{parameter}", "PropertyValue", parameter, value=told)
        )
    return found


def _data(checksums: Mapping[str, str]) -> list[Entity]:
    """Files that a run read: they are not in the release, so they are known by their checksums."""
    says = "In the repository, packed; its licence is in data/README.md there"
    return [
        _entity(f"#data/{file}", "CreativeWork", f"data/{file}", description=says, sha256=checksum)
        for file, checksum in checksums.items()
    ]


def _results(name: str, run: Run, archive: str) -> Iterable[Entity]:
    """Notebook, record and arrays of a run, as parts of the archive."""
    words = {".ipynb": "executed notebook", ".json": "record", ".npz": "arrays"}
    for file in filter(None, (run.notebook, run.record_file, run.arrays)):
        yield _entity(
            f"#results/{file.name}",
            "CreativeWork",
            file.name,
            description=f"The {words[file.suffix]} of {name}, in {archive}",
            isPartOf=_to(archive),
            **_media(file.name),
            **_sized(file.read_bytes()),
        )
