"""The frames of an animated WebP as pictures of their own, without coding anything anew.

A frame is a rectangle that is laid over, or put in the place of, what the frames before it left.
The container is described in https://developers.google.com/speed/webp/docs/riff_container.
"""

from collections.abc import Iterator
from typing import NamedTuple

ALPHA = 0x10  # the flag of VP8X for a picture with transparent pixels


class Frame(NamedTuple):
    """A still WebP, its place on the canvas, the milliseconds it stays, and whether it replaces
    what stood there (or is laid over it) and is wiped away before the next."""

    picture: bytes
    x: int
    y: int
    ms: int
    replaces: bool
    wiped: bool


def frames(webp: bytes) -> list[Frame]:
    """The frames in their order; ValueError for bytes that are no WebP.  A still is one frame."""
    if webp[:4] != b"RIFF" or webp[8:12] != b"WEBP":
        raise ValueError("these bytes are no WebP")
    found = [_frame(body) for tag, body in _chunks(webp[12:]) if tag == b"ANMF"]
    return found or [Frame(webp, 0, 0, 0, True, False)]


def _frame(body: bytes) -> Frame:
    x, y, width, height, ms = (int.from_bytes(body[i : i + 3], "little") for i in range(0, 15, 3))
    parts = [(tag, part) for tag, part in _chunks(body[16:]) if tag in (b"ALPH", b"VP8 ", b"VP8L")]
    data = b"".join(_chunk(tag, part) for tag, part in parts)
    if parts[0][0] == b"ALPH":  # such a picture needs the extended header
        size = width.to_bytes(3, "little") + height.to_bytes(3, "little")
        data = _chunk(b"VP8X", bytes([ALPHA, 0, 0, 0]) + size) + data
    still = _chunk(b"RIFF", b"WEBP" + data)
    return Frame(still, 2 * x, 2 * y, ms, bool(body[15] & 2), bool(body[15] & 1))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _chunk(tag: bytes, body: bytes) -> bytes:
    return tag + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)
