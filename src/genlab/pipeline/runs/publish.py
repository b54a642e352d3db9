"""Publishing: the current full run of a section becomes the one that readers see, its figures made
lighter."""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from genlab.pipeline.runs import keys, store
from genlab.section.paths import PUBLISHED, ROOT, UserError

NOTEBOOK_BYTES, ARRAYS_BYTES = 2_500_000, 3_000_000  # the most a published run may weigh
COLOURS = 256  # in the palette of a lighter picture
LOSS = 1.5  # its largest root mean square error, grey levels of 255


def current_full_run(name: str) -> store.Run:
    """The run that `genlab publish` would publish.  UserError if there is none."""
    key = keys.current_key(name, "full")
    run = store.find(name, key) if key else None
    if run is None:
        raise UserError(
            f"{name} has no current full run to publish: `genlab run {name} --profile full` first"
        )
    return run


def publish(run: store.Run) -> list[Path]:
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
    files = {".ipynb": text.encode(), ".json": run.record_file.read_bytes()}
    files |= {".npz": run.arrays.read_bytes()} if run.arrays else {}
    written = []
    with store.disk_errors("the published run"):
        PUBLISHED.mkdir(parents=True, exist_ok=True)
        for suffix, content in files.items():
            written.append(PUBLISHED / f"{section}{suffix}")
            store.replace(written[-1], content)
    return written


def lighter(png: bytes) -> bytes:
    """The picture with a palette of COLOURS, about half the bytes, unless that loses more than LOSS
    or gains nothing: then as it is."""
    picture = Image.open(io.BytesIO(png))
    if picture.mode == "P" or picture.convert("RGBA").getextrema()[3] != (255, 255):
        return png  # has a palette, or would need one with transparent colours
    picture = picture.convert("RGB")
    reduced = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    error = np.asarray(reduced.convert("RGB"), float) - np.asarray(picture, float)
    if np.sqrt((error**2).mean()) > LOSS:
        return png
    file = io.BytesIO()
    reduced.save(file, "PNG", optimize=True)
    return min(png, file.getvalue(), key=len)
