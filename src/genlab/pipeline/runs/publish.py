"""Publishing: the current full run of a section becomes the one that readers see, its figures made
lighter."""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from genlab.pipeline.runs import keys, store
from genlab.pipeline.runs.disk import disk_errors, locked, write_all
from genlab.pipeline.runs.record import sealed
from genlab.section.paths import PUBLISHED, ROOT, UserError

NOTEBOOK_BYTES, ARRAYS_BYTES = 2_500_000, 3_000_000  # the most a published run may weigh
COLOURS = (64, 128, 256)  # in the palette of a lighter picture
LOSS = 1.25  # its largest root mean square error, grey levels of 255


def current_full_run(name: str) -> store.Run:
    """The run that `genlab publish` would publish.  UserError if there is none."""
    if run := keys.run_of(name, "full"):
        return run
    raise UserError(
        f"{name} has no current full run to publish: `genlab run {name} --profile full` first"
    )


def publish(run: store.Run) -> None:
    """Copy a run to book/published/, its figures made lighter.  UserError if it is too heavy, or
    holds an absolute path of this machine."""
    section = run.record["section"]
    notebook = json.loads(run.notebook.read_text("utf-8"))
    notebook["metadata"].pop("papermill", None)  # holds the paths of this machine
    for output in (output for cell in notebook["cells"] for output in cell.get("outputs", [])):
        if png := output.get("data", {}).get("image/png"):
            output["data"]["image/png"] = base64.b64encode(lighter(base64.b64decode(png))).decode()
    text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    if len(text) > NOTEBOOK_BYTES:
        raise UserError(
            f"{section}: the notebook weighs {len(text):,} bytes, at most {NOTEBOOK_BYTES:,} are "
            "published: draw smaller figures"
        )
    if str(ROOT) in text or str(Path.home()) + "/" in text:
        raise UserError(
            f"{section}: the notebook holds an absolute path of this machine: print names, not "
            "paths"
        )
    if run.arrays and run.arrays.stat().st_size > ARRAYS_BYTES:
        raise UserError(
            f"{section}: the arrays weigh {run.arrays.stat().st_size:,} bytes, at most "
            f"{ARRAYS_BYTES:,}: save fewer"
        )
    arrays = run.arrays.read_bytes() if run.arrays else None
    record = sealed(run.record, {"notebook": text.encode(), "arrays": arrays})
    files = {".ipynb": text.encode(), ".npz": arrays, ".json": record}
    paths = {PUBLISHED / f"{section}{end}": files[end] for end in files if files[end] is not None}
    with locked(f"{section}-published"), disk_errors("the published run"):
        write_all(paths, gone=[PUBLISHED / f"{section}.npz"])


def lighter(png: bytes) -> bytes:
    """The picture with the smallest palette of COLOURS that loses at most LOSS, about half the
    bytes; as it is where none does, where it has so few colours, or where that gains nothing."""
    with Image.open(io.BytesIO(png)) as picture:
        if picture.convert("RGBA").getextrema()[3] != (255, 255):
            return png  # would need a palette with transparent colours
        before, dpi = picture.convert("RGB"), picture.info.get("dpi")
        used = len(picture.getcolors() or ()) if picture.mode == "P" else np.inf
    for colours in COLOURS:
        if used <= colours:
            return png
        reduced = before.quantize(colours, dither=Image.Dither.NONE)
        error = np.asarray(reduced.convert("RGB"), float) - np.asarray(before, float)
        if np.sqrt((error**2).mean()) <= LOSS:
            file = io.BytesIO()
            reduced.save(file, "PNG", optimize=True, **({"dpi": dpi} if dpi else {}))
            return min(png, file.getvalue(), key=len)
    return png
