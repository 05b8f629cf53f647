"""Pixels of more than eight bits: how they are decoded, and the scale on which they become eight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from differnet.images.header import without_texts

__all__ = [
    "Depth",
    "PixelScale",
    "Range",
    "decode_deep",
    "eight_bit_pixels",
    "natural_range",
    "to_eight_bits",
    "unlike",
]

Range: TypeAlias = tuple[float, float]
"""The values that become black and white."""

SIXTEEN_BITS: Range = (0.0, 65535.0)

_CAMERA_BITS = (8, 10, 12, 14, 16)
# Floating-point values on a usual scale exceed it a little after filtering, and do not stay below an eighth of it.
_OVERSHOOT = 1.05
_DARKEST = 8.0


@dataclass(frozen=True)
class Depth:
    """In what numbers the pixels of an image came.

    Attributes:
        kind: ``eight`` bits, ``integer`` for more, or ``floating``.
        low: Smallest value; of eight bits it is not looked for.
        high: Largest value.
    """

    kind: Literal["eight", "integer", "floating"] = "eight"
    low: float = 0.0
    high: float = 255.0


@dataclass(frozen=True)
class PixelScale:
    """In what numbers the pixels of the training images came, and the values that become black and white.

    Attributes:
        eight: Whether some images had eight bits.
        integer: Of images with more bits in integers; None if there were none.
        floating: Of images in floating point; None if there were none.
    """

    eight: bool = True
    integer: Range | None = None
    floating: Range | None = None

    def __post_init__(self) -> None:
        """Refuse, with a ValueError, what is no range of numbers."""
        for found in (self.integer, self.floating):
            if found is not None and not -np.inf < found[0] <= found[1] < np.inf:
                raise ValueError("a range")


def eight_bit_pixels(values: NDArray[Any], scale: PixelScale | None) -> tuple[NDArray[np.uint8], Depth]:
    """Bring the values of an image to 0..255 by the scale of the training images.

    Without one, integers count as 16 bits, of which the high byte is kept, and floating-point values have their
    natural range.

    Args:
        values: Integers or floating-point numbers; of eight bits with a sign, -128 becomes 0.
        scale: Of the training images; None if it is not known.

    Raises:
        ValueError: If the values are no numbers, or need more than 16 bits.
    """
    if values.dtype == np.int8:
        return (values.astype(np.int16) + 128).astype(np.uint8), Depth()
    floating = np.issubdtype(values.dtype, np.floating)
    if floating and not np.isfinite(values).all():
        raise ValueError("it has values that are no numbers, or infinite")
    depth = Depth("floating" if floating else "integer", float(values.min()), float(values.max()))
    if not floating and not -32768 <= depth.low <= depth.high <= 65535:
        raise ValueError(f"its values, {depth.low:.0f} to {depth.high:.0f}, need more than 16 bits")
    learnt = None if scale is None else scale.floating if floating else scale.integer
    usual = natural_range(depth) if floating else (-32768.0, 32767.0) if depth.low < 0 else SIXTEEN_BITS
    return to_eight_bits(values, usual if learnt is None else learnt), depth


def natural_range(depth: Depth) -> Range:
    """The scale that values were probably meant for: the smallest that holds them.

    Integers have as many bits as cameras have, 8, 10, 12, 14 or 16, with a sign if one is negative. Floating-point
    values reach 1 or the largest integer of a camera; if they are on no such scale, it is their own range.
    """
    signed = depth.low < 0
    if depth.kind != "floating":
        for bits in _CAMERA_BITS:
            black, white = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0.0, 2.0**bits - 1)
            if black <= depth.low and depth.high <= white:
                return black, white
        return (-32768.0, 32767.0) if signed else SIXTEEN_BITS
    most = max(-depth.low, depth.high)
    if most <= _OVERSHOOT:
        return (-1.0, 1.0) if depth.low < -(_OVERSHOOT - 1) else (0.0, 1.0)
    white = next((2.0**bits - 1 for bits in _CAMERA_BITS if most <= _OVERSHOOT * (2.0**bits - 1)), 0.0)
    if not signed and white and (depth.high > white / _DARKEST):
        return 0.0, white
    return min(depth.low, 0.0), depth.high if depth.high > depth.low else depth.low + 1.0


def to_eight_bits(values: NDArray[Any], scale: Range) -> NDArray[np.uint8]:
    """Bring values to 0..255: of integers of so many bits the eight highest are kept, others are rounded.

    Args:
        values: Integers or floating-point numbers.
        scale: What becomes 0 and 255; values beyond are cut off.
    """
    black, white = scale
    steps = int(white - black) + 1
    whole = np.issubdtype(values.dtype, np.integer) and steps >= 256 and steps & (steps - 1) == 0
    if whole and scale == SIXTEEN_BITS and values.dtype == np.uint16:
        return (values >> 8).astype(np.uint8)
    if whole:
        shifted = np.clip(values.astype(np.int64), int(black), int(white)) - int(black)
        return (shifted >> (steps.bit_length() - 9)).astype(np.uint8)
    if scale == (0.0, 1.0):  # in the precision in which the values came
        return np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)
    spread = (np.clip(values.astype(np.float64), black, white) - black) * (255.0 / (white - black))
    return np.rint(spread).astype(np.uint8)


def decode_deep(content: bytes, alpha_offset: int | None = None) -> NDArray[Any]:
    """Decode a PNG or TIFF file with more than eight bits a value, or with a sign.

    Args:
        content: Of the file.
        alpha_offset: Of a TIFF with transparency beside full colours: where the byte lies that says so.

    Returns:
        The values as they are, (height, width) or (height, width, 3) RGB; transparency is dropped, and orientation
        (EXIF) applied.

    Raises:
        ValueError: If it cannot be decoded.
    """
    encoded = np.frombuffer(without_texts(content), np.uint8)
    if alpha_offset is not None:
        # Called premultiplied, colours come as they are; otherwise OpenCV would multiply them by the transparency.
        encoded = encoded.copy()
        encoded[alpha_offset] = 1
    try:
        decoded = cv2.imdecode(encoded, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise ValueError("OpenCV cannot decode it")
    if decoded.ndim == 3 and decoded.shape[2] > 1:
        return np.ascontiguousarray(decoded[:, :, 2::-1])
    return decoded.reshape(decoded.shape[:2])


def unlike(depth: Depth, scale: PixelScale) -> str | None:
    """What an image's numbers have unlike those of the training images; None if nothing."""
    kinds = {"eight": "8 bits a value", "integer": "more than 8 bits a value", "floating": "floating-point values"}
    known = {"eight": scale.eight, "integer": scale.integer is not None, "floating": scale.floating is not None}
    if not known[depth.kind]:
        trained = " or ".join(said for kind, said in kinds.items() if known[kind])
        return f"{kinds[depth.kind]}, training images {trained}" if trained else None
    usual = scale.integer if depth.kind == "integer" else scale.floating if depth.kind == "floating" else None
    if usual is None:
        return None
    black, white = usual
    slack = (_OVERSHOOT - 1) * (white - black) if depth.kind == "floating" else 0.0
    if depth.high > white + slack or depth.low < black - slack:
        return f"values from {depth.low:g} to {depth.high:g}, those of training images from {black:g} to {white:g}"
    if depth.high - black < (white - black) / 16:
        return f"values up to {depth.high:g} only, where white is {white:g} in training images"
    return None
