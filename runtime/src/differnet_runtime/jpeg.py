"""JPEG files, whose damage libjpeg fills up and mentions only in a warning, which Pillow and OpenCV do not pass on."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

try:
    import simplejpeg
except ImportError:  # where there is no build of it, damage inside is not told
    simplejpeg = None

__all__ = ["decode_jpeg", "is_of_inks"]

_DAMAGE = ("Corrupt JPEG data", "Premature end")
_PADDING = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_END = b"\xff\xd9"
_INKS = ("CMYK", "YCCK")


def decode_jpeg(content: bytes) -> NDArray[np.uint8] | None:
    """Decode a JPEG file as Pillow and OpenCV do, to the same pixels, and notice damage inside.

    Returns:
        uint8 (height, width, 3) RGB, not turned as EXIF may ask; None for files that are left to other decoders.

    Raises:
        ValueError: If it is damaged; the message says how.
    """
    if simplejpeg is None:
        return None
    try:
        colours = simplejpeg.decode_jpeg_header(content)[2]
        if colours in _INKS:
            return _of_inks(np.asarray(simplejpeg.decode_jpeg(content, colorspace="CMYK", strict=True), np.uint8))
        if colours not in ("Gray", "YCbCr"):
            return None
        return np.asarray(simplejpeg.decode_jpeg(content, colorspace="RGB", strict=True), np.uint8)
    except ValueError as error:
        said = str(error)
        if said.startswith(_DAMAGE) and not _is_padding(content, said):
            raise ValueError(said[0].lower() + said[1:]) from None
        return None


def is_of_inks(content: bytes) -> bool:
    """Whether a file that `decode_jpeg` has read is of four inks instead of colours."""
    return simplejpeg is not None and simplejpeg.decode_jpeg_header(content)[2] in _INKS


def _of_inks(left: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours of the light that four inks leave, (height, width, 4): rounded as Pillow does, OpenCV rounds down."""
    pixels = np.empty((*left.shape[:2], 3), np.uint8)
    for row, inks in enumerate(left):  # one by one, since they are wanted in larger numbers
        black = inks[:, 3:].astype(np.uint32)
        lost = (255 - inks[:, :3].astype(np.uint32)) * black + 128
        pixels[row] = np.maximum(black.astype(np.int32) - (((lost >> 8) + lost) >> 8).astype(np.int32), 0)
    return pixels


def _is_padding(content: bytes, said: str) -> bool:
    """Whether what is too much are the zeros that some cameras write before the end."""
    found = _PADDING.search(said)
    end = content.rfind(_END)
    extra = b"" if found is None or end < 0 else content[max(end - int(found[1]), 0) : end]
    return bool(extra) and len(set(extra)) == 1 and extra[0] in (0x00, 0xFF)
