"""Structural rules of a release's RO-Crate: what they find wrong with one.  Written down from the
specification, 1.1, and the profile of process runs, 0.5."""

import hashlib
import json
from datetime import datetime
from pathlib import Path

NAME = "ro-crate-metadata.json"


def faults(folder: Path) -> list[str]:
    """What is wrong with the crate in a folder."""
    try:
        entities = json.loads((folder / NAME).read_text("utf-8"))["@graph"]
    except (OSError, ValueError, KeyError) as error:
        return [f"no metadata: {error}"]
    known = {entity["@id"]: entity for entity in entities}
    found = [f"{e['@id']} twice" for i, e in enumerate(entities) if e in entities[:i]]
    found += [f"{e['@id']} without a type" for e in entities if "@type" not in e]
    head, root = known.get(NAME, {}), known.get("./", {})
    if head.get("about") != {"@id": "./"} or "w3id.org/ro/crate/" not in str(
        head.get("conformsTo")
    ):
        found.append("the descriptor says neither what it is about nor its specification")
    needed = ("name", "description", "datePublished", "license", "hasPart")
    found += [f"the root has no {name}" for name in needed if not root.get(name)]
    found += [
        f"{target} is named by {entity['@id']} and not described"
        for entity in entities
        if entity["@id"] != NAME  # its specification is no part of the crate
        for target in targets(entity)
        if target not in known
    ]
    parts = {part["@id"] for part in root.get("hasPart", [])}
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {NAME}
    found += [f"file {name} is not described" for name in sorted(there - parts)]
    found += [f"file {name} is not there" for name in sorted(parts - there)]
    for name in sorted(parts & there & known.keys()):
        found += wrong_content(known[name], (folder / name).read_bytes())
    actions = [entity for entity in entities if entity.get("@type") == "CreateAction"]
    mentioned = {target["@id"] for target in root.get("mentions", [])}
    for action in actions:
        found += wrong_action(action, known)
        if action["@id"] not in mentioned:
            found.append(f"the root does not mention {action['@id']}")
    return found


def targets(value) -> list[str]:
    """Every @id that an entity refers to."""
    if isinstance(value, list):
        return [target for item in value for target in targets(item)]
    if not isinstance(value, dict):
        return []
    if set(value) == {"@id"}:
        return [value["@id"]]
    return [target for name, item in value.items() if name != "@id" for target in targets(item)]


def wrong_content(entity, content: bytes) -> list[str]:
    """Whether a file is what is said of it; of the list of checksums nothing is said."""
    found = [] if entity["@type"] == "File" else [f"{entity['@id']} is no File"]
    if "sha256" in entity and entity["sha256"] != hashlib.sha256(content).hexdigest():
        found.append(f"{entity['@id']} has another checksum")
    if "contentSize" in entity and entity["contentSize"] != str(len(content)):
        found.append(f"{entity['@id']} has another size")
    return found


def wrong_action(action, known) -> list[str]:
    """Whether a run says what was run, on what, to what effect, and when."""
    wanted = ("name", "instrument", "object", "result", "agent", "startTime", "endTime")
    found = [f"{action['@id']} has no {name}" for name in wanted if not action.get(name)]
    if found:
        return found
    tool = known.get(action["instrument"]["@id"], {})
    if tool.get("@type") != "SoftwareSourceCode" or "commit" not in tool.get("version", ""):
        found.append(f"{action['@id']} was made by no source at a commit")
    if datetime.fromisoformat(action["startTime"]) > datetime.fromisoformat(action["endTime"]):
        found.append(f"{action['@id']} ends before it begins")
    return found
