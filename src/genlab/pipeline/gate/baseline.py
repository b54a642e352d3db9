"""Baselines: what each metric and figure of a section was over several seeds, committed for the
gate to compare with.

`tests/baselines/PROFILE-DEVICE/SECTION.json` holds one line per metric, so that a change reads well
in a diff; beside it lie the thumbnails of the first seed's figures, and in it how much the other
seeds' figures resemble them.
"""

import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.table import Table

from genlab.pipeline import options
from genlab.pipeline.gate import noise
from genlab.pipeline.gate.figures import figures, ink, similarity, thumbnail
from genlab.pipeline.runs import store
from genlab.pipeline.runs.disk import disk_errors, write_all
from genlab.section.paths import ROOT, UserError

FOLDER = ROOT / "tests" / "baselines"
# Baseline seeds are never the published one or its neighbours, which the gate judges.
FIRST_SEED = 101
LOOKS = {"likeness": "higher", "ink": "target"}  # of a figure, and which way is better


@dataclass(frozen=True)
class Baseline:
    """metrics {name: {"better", "unit", "values"}}; in the same form each figure's likeness to the
    first seed's, and its ink."""

    section: str
    profile: str
    device: str
    seeds: list[int]
    key: str  # of the first seed's run
    commit: str | None
    metrics: dict[str, dict]
    figures: dict[str, dict]

    def quantities(self) -> dict[str, tuple[str, list[float]]]:
        """{name: (better, values)} of all that the gate judges."""
        both = self.metrics | self.figures
        return {name: (about["better"], about["values"]) for name, about in both.items()}

    def tests(self) -> int:
        """Number of quantities over which the alarm rate is split."""
        return sum(not noise.exact(m, *told) for m, told in self.quantities().items())

    def reference(self, figure: str) -> Image.Image:
        """Thumbnail of the first seed's figure."""
        folder = path(self.section, self.profile, self.device).with_suffix("")
        return Image.open(folder / f"{figure}.png")


def path(section: str, profile: str, device: str) -> Path:
    slug = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    return FOLDER / f"{profile}-{slug}" / f"{section}.json"


def read(section: str, profile: str, device: str) -> Baseline | None:
    """The committed baseline, or None.  UserError if its file is damaged."""
    file = path(section, profile, device)
    if not file.is_file():
        return None
    try:
        return Baseline(**json.loads(file.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(
            f"damaged baseline {file.relative_to(ROOT)} ({error}): `git checkout` restores it"
        ) from None


def read_all(profile: str, device: str) -> list[Baseline]:
    """All baselines of a profile and device class: the book over which the alarm rate is split."""
    folder = path("x", profile, device).parent
    found = (read(file.stem, profile, device) for file in sorted(folder.glob("*.json")))
    return [b for b in found if b]


def priors_of(book: Sequence[Baseline]) -> dict[str, noise.Prior]:
    """What all quantities of a book tell of the noise of each kind."""
    return noise.priors((m, *told) for b in book for m, told in b.quantities().items())


def make(runs: Sequence[store.Run]) -> tuple[Baseline, dict[str, Image.Image]]:
    """The baseline of several runs of one section that differ in the seed only, and the first one's
    thumbnails."""
    records = [run.record for run in runs]
    first = records[0]
    metrics = {}
    for name, about in first["metrics"].items():
        if not all(name in r["metrics"] for r in records):
            continue  # a metric that some seed does not have cannot be judged
        told = {"better": about.get("better", "lower"), "unit": about.get("unit", "")}
        values = [_rounded(r["metrics"][name]["value"]) for r in records]
        metrics[name] = told | {"values": values}
    pictures = [{n: thumbnail(png) for n, png in figures(run.notebook).items()} for run in runs]
    common = [name for name in pictures[0] if all(name in p for p in pictures)]
    looks: dict[str, dict] = {}
    for name in common:
        measured = [look(name, pictures[0][name], p[name]) for p in pictures]
        for quantity, better in LOOKS.items():
            values = [round(m[f"{name}/{quantity}"], 5) for m in measured]
            values = values[1:] if quantity == "likeness" else values  # of the first seed it is 1
            looks[f"{name}/{quantity}"] = {"better": better, "values": values}
    about = {field: first[field] for field in ("section", "profile", "device", "key", "commit")}
    base = Baseline(**about, seeds=[r["seed"] for r in records], metrics=metrics, figures=looks)
    return base, {name: pictures[0][name] for name in common}


def look(name: str, reference: Image.Image, image: Image.Image) -> dict[str, float]:
    """What the gate judges of a figure: likeness to the reference (1: the same picture) and ink (0:
    blank)."""
    return {f"{name}/likeness": similarity(reference, image), f"{name}/ink": ink(image)}


def _rounded(value: float | int | bool) -> float | int:
    return int(value) if isinstance(value, (bool, int)) else float(f"{value:.8g}")


def write(base: Baseline, thumbnails: dict[str, Image.Image]) -> Path:
    """Write the baseline, one line per metric."""
    file = path(base.section, base.profile, base.device)
    lines = []
    for field, value in asdict(base).items():
        said = json.dumps(value)
        if field in ("metrics", "figures"):
            rows = (f"  {json.dumps(name)}: {json.dumps(about)}" for name, about in value.items())
            said = "{\n" + ",\n".join(rows) + "\n }"
        lines.append(f" {json.dumps(field)}: {said}")
    folder = file.with_suffix("")
    files = {folder / f"{name}.png": _png(image) for name, image in thumbnails.items()}
    files[file] = ("{\n" + ",\n".join(lines) + "\n}\n").encode()
    with disk_errors("the baseline"):
        write_all(files, gone=folder.glob("*.png"))
    return file


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def changes(old: Baseline | None, new: Baseline) -> Table:
    """For a reviewer: every metric that moved by more than its standard error between two
    baselines, or came or went."""
    title = f"{new.section} ({new.profile}, {new.device})"
    numbers = ("before", "now", "shift [sd]")
    table = options.table("metric", *numbers, right=numbers, title=title)
    before = old.metrics if old else {}
    for name in dict.fromkeys([*before, *new.metrics]):
        a, b = before.get(name, {}).get("values"), new.metrics.get(name, {}).get("values")
        said = "new" if b else "gone"
        if a and b:
            shift = (np.mean(b) - np.mean(a)) / noise.spread(a)
            if abs(shift) < np.sqrt(1 / len(a) + 1 / len(b)):
                continue
            said = f"{shift:+.1f}"
        table.add_row(name, mean_and_sd(a), mean_and_sd(b), said)
    return table


def mean_and_sd(values: Sequence[float] | None) -> str:
    """ "0.512 ± 0.013 (8)", or a dash for nothing."""
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.4g}"
    mean, sd = np.mean(values), np.std(values, ddof=1)
    return f"{mean:.4g} ± {sd if sd > 1e-9 * abs(mean) else 0:.2g} ({len(values)})"
