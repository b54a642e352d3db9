"""Pictures of a page for the first page of the book: a small one of a figure, and an animation that
plays once."""

import base64
import html
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import nbformat
from PIL import Image, ImageOps

SIZE = 480, 270  # pixels of a small picture: twice what a card shows
QUALITY = 62  # of its WebP

Part = tuple[float, float, float, float]  # left, top, right, bottom, as shares of a picture


@dataclass(frozen=True)
class Figure:
    """A figure of a page: its PNG, what it shows in words, and its name on the page."""

    png: bytes
    alt: str
    name: str = ""


def figure(notebook: nbformat.NotebookNode, name: str = "") -> Figure | None:
    """The figure of that name, or else the first of the page; None if it has none."""
    first = None
    for cell in notebook.cells:
        shown = cell.metadata.get("mystnb", {})
        for png in _outputs(cell, "image/png"):
            alt = " ".join(shown.get("image", {}).get("alt", "").split())
            found = Figure(base64.b64decode(png), alt, shown.get("figure", {}).get("name", ""))
            if name and name == found.name:
                return found
            first = first or found
    return first


def small(png: bytes, part: Part) -> bytes:
    """A part of a picture as a WebP of SIZE on its own background."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image = image.crop(
        [round(share * side) for share, side in zip(part, image.size * 2, strict=True)]
    )
    paper = image.getpixel((0, 0))
    card = ImageOps.pad(image, SIZE, Image.Resampling.LANCZOS, color=paper)
    out = io.BytesIO()
    card.save(out, "WEBP", quality=QUALITY, method=6)
    return out.getvalue()


@dataclass(frozen=True)
class Animation:
    """An animation of a page: a WebP that plays once, a still, and what it shows in words."""

    webp: bytes
    still: bytes
    alt: str
    size: tuple[int, int]


WEBP = re.compile(r"data:image/webp;base64,([^\"]+)")
STILL = re.compile(r"data:image/png;base64,([^\"]+)")
ALT = re.compile(r'alt="([^"]+)"')


def animation(notebook: nbformat.NotebookNode) -> Animation | None:
    """The first animation of the page; None if it has none."""
    for cell in notebook.cells:
        for text in _outputs(cell, "text/html"):
            found = [pattern.search("".join(text)) for pattern in (WEBP, STILL, ALT)]
            if all(found) and "genlab-animation" in text:
                webp, still, alt = (match[1] for match in found)
                moving = once(base64.b64decode(webp))
                size = Image.open(io.BytesIO(moving)).size
                return Animation(moving, base64.b64decode(still), html.unescape(alt), size)
    return None


def once(webp: bytes) -> bytes:
    """An animated WebP that stops at its last picture: its ANIM chunk says how often it plays."""
    head = re.search(rb"ANIM\x06\x00\x00\x00.{4}", webp, re.DOTALL)
    return webp if head is None else webp[: head.end()] + b"\x01\x00" + webp[head.end() + 2 :]


def _outputs(cell, kind: str) -> Iterator[str]:
    for output in cell.get("outputs", []):
        if kind in output.get("data", {}):
            yield output["data"][kind]
