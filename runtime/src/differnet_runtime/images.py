"""Reading one image, from a file, its content or an array, into HWC uint8 RGB; as `differnet.images.read` does."""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from differnet_runtime.deep import Depth, PixelScale, decode_deep, eight_bit_pixels
from differnet_runtime.errors import ImageError
from differnet_runtime.header import Header, read_header, without_texts
from differnet_runtime.jpeg import decode_jpeg, is_of_inks
from differnet_runtime.pages import count_pages

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "MIN_SIDE",
    "DecodedImage",
    "ImageSource",
    "as_rgb",
    "decode_image",
    "load_image",
    "read_image",
]

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | NDArray[Any]
"""What an image can be given as: a path, the content of a file, or an array (see `as_rgb`)."""

DEFAULT_MAX_PIXELS = 100_000_000
"""Largest image decoded by default, in pixels: a 100 MP camera passes, a decompression bomb does not."""

MIN_SIDE = 16
"""Shortest side accepted, in pixels; anything smaller holds no texture to judge."""

_EXIF = b"Exif\0\0"  # which may ask for a turn, as OpenCV knows
_ORIENTATION = 0x0112
# Of 100 million pixels with floating-point numbers; a file that only says that it is larger would fill the memory.
_MOST_BYTES = 2 << 30
_FORMAT_NAMES = "PNG, JPEG, BMP, TIFF or WebP"


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """An image that was read.

    Attributes:
        pixels: uint8 (height, width, 3), RGB.
        depth: In what numbers it came.
        pages: Or frames of its file, of which this is the first.
    """

    pixels: NDArray[np.uint8]
    depth: Depth = field(default_factory=Depth)
    pages: int = 1


def load_image(
    source: ImageSource, *, max_pixels: int = DEFAULT_MAX_PIXELS, scale: PixelScale | None = None
) -> NDArray[np.uint8]:
    """Read an image given as a path, as the content of a file, or as an array.

    Grey, palette and alpha images become RGB (alpha is dropped). Orientation (EXIF) is applied. Of a file with several
    pages, the first is read. The pixel count is checked before anything is decoded, and the content decides on the
    format, not the name.

    Args:
        source: The image.
        max_pixels: Refuse images with more pixels than this.
        scale: What becomes black and white of values of more than eight bits; None keeps the high byte of 16 bits, so
            that 0..65535 becomes 0..255, and takes floating-point values by their natural range.

    Returns:
        uint8 array of shape (height, width, 3), RGB.

    Raises:
        ImageError: If the image cannot be read or is too small or too large.
    """
    return decode_image(source, max_pixels=max_pixels, scale=scale).pixels


def read_image(path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Read an image file; see `load_image`."""
    return load_image(path, max_pixels=max_pixels)


def decode_image(
    source: ImageSource, *, max_pixels: int = DEFAULT_MAX_PIXELS, scale: PixelScale | None = None
) -> DecodedImage:
    """Read an image as `load_image` does, and tell in what numbers it came.

    Raises:
        ImageError: If the image cannot be read or is too small or too large.
    """
    if isinstance(source, np.ndarray):
        return _of_array(source, max_pixels, scale)
    if isinstance(source, bytes):
        return _decoded(source, "the image", max_pixels, scale)
    file = Path(source)
    try:
        status = file.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # reading a pipe may never end
            raise ImageError(f"{file}: is not an ordinary file; give the file of an image.")
        if status.st_size > _MOST_BYTES:
            raise ImageError(f"{file}: has more than the {_MOST_BYTES >> 30} GiB that an image may have; reduce it.")
        # Read by Python: OpenCV does not open every file name.
        content = file.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{file}: no such file; check the path.") from None
    except IsADirectoryError:
        raise ImageError(f"{file}: is a folder, not an image; give a file.") from None
    except NotADirectoryError:
        raise ImageError(f"{file}: no such file; a part of the path is not a folder.") from None
    except PermissionError:
        raise ImageError(f"{file}: permission denied; make the file readable.") from None
    except OSError as error:
        raise ImageError(f"{file}: cannot be read ({error.strerror or error}); replace the file.") from None
    return _decoded(content, str(file), max_pixels, scale)


def as_rgb(
    array: NDArray[Any], *, max_pixels: int = DEFAULT_MAX_PIXELS, scale: PixelScale | None = None
) -> NDArray[np.uint8]:
    """Turn an array into an RGB image.

    Args:
        array: Shape (height, width), (height, width, 1), (height, width, 3) RGB or (height, width, 4) RGBA;
            uint8 in 0..255, uint16 in 0..65535, int8 or int16, bool, or floats, in [0, 1] unless `scale` says more.
        max_pixels: Refuse images with more pixels than this.
        scale: As for `load_image`.

    Returns:
        uint8 array of shape (height, width, 3), RGB. A uint8 RGB input is returned without a copy.

    Raises:
        ImageError: If the shape, the dtype or the values are none of the above.
    """
    return _of_array(array, max_pixels, scale).pixels


def _of_array(array: NDArray[Any], max_pixels: int, scale: PixelScale | None) -> DecodedImage:
    depth = Depth()
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ImageError(
            f"An image array must have the shape (height, width) or (height, width, 1, 3 or 4), not {array.shape}."
        )
    _check_size(array.shape[1], array.shape[0], max_pixels, name="image array")
    array = array[:, :, :3]
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype in (np.uint16, np.int16, np.int8) or np.issubdtype(array.dtype, np.floating):
        learnt = None if scale is None else scale.floating
        # Written so that NaN fails it too.
        in_unit = array.dtype.kind != "f" or (float(array.min()) >= 0.0 and float(array.max()) <= 1.0)
        if not in_unit and (learnt is None or not np.isfinite(array).all()):
            raise ImageError("A float image array must hold values in [0, 1] and no NaN; divide it by its full scale.")
        array, depth = eight_bit_pixels(array, scale)
    elif array.dtype != np.uint8:
        raise ImageError(f"An image array must be uint8, uint16, int16, bool or float, not {array.dtype}; convert it.")
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    return DecodedImage(np.ascontiguousarray(array), depth)


def _decoded(content: bytes, name: str, max_pixels: int, scale: PixelScale | None) -> DecodedImage:
    if not content:
        raise ImageError(f"{name}: is empty, so it is not a {_FORMAT_NAMES} image; replace the file.")
    try:
        header = read_header(content)
        if header is None:
            raise ImageError(f"{name}: is not a {_FORMAT_NAMES} image; remove it or convert it.")
        _check_size(header.width, header.height, max_pixels, name=name)
        if header.refusal:
            raise ImageError(f"{name}: {header.refusal}.")
        if not header.is_deep:
            return DecodedImage(_pixels(content, header), pages=count_pages(content))
        values = decode_deep(content, header.alpha_offset)
    except (ValueError, cv2.error) as error:
        reason = "OpenCV cannot decode it" if isinstance(error, cv2.error) else error
        raise ImageError(f"{name}: the image is damaged or truncated ({reason}); replace the file.") from None
    try:
        pixels, depth = eight_bit_pixels(values, scale)
    except ValueError as error:
        raise ImageError(f"{name}: cannot be read, since {error}; save it in another format.") from None
    if header.is_inverted:
        pixels = np.uint8(255) - pixels
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return DecodedImage(np.ascontiguousarray(pixels), depth, count_pages(content))


def _pixels(content: bytes, header: Header) -> NDArray[np.uint8]:
    if header.format == "JPEG":
        found = decode_jpeg(content)
        if found is not None and (_EXIF not in content or is_of_inks(content)):
            return np.ascontiguousarray(_turned(found, _orientation(content)) if _EXIF in content else found)
    encoded = np.frombuffer(without_texts(content), np.uint8)
    if header.alpha_offset is not None:
        # Called premultiplied, colours come as they are; otherwise OpenCV would multiply them by the transparency.
        encoded = encoded.copy()
        encoded[header.alpha_offset] = 1
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    if decoded is None:
        raise ValueError("OpenCV cannot decode it")
    return np.ascontiguousarray(decoded[:, :, ::-1])


def _orientation(content: bytes) -> int:
    """That which EXIF says of a JPEG file, 1 to 8."""
    start = content.find(_EXIF) + len(_EXIF)
    order = "<" if content[start : start + 2] == b"II" else ">"
    try:
        (directory,) = struct.unpack_from(f"{order}I", content, start + 4)
        (count,) = struct.unpack_from(f"{order}H", content, start + directory)
        for place in range(start + directory + 2, start + directory + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", content, place)
            if tag == _ORIENTATION:
                return int(value)
    except struct.error:
        pass
    return 1


def _turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels


def _check_size(width: int, height: int, max_pixels: int, *, name: str) -> None:
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{name}: is {width} x {height} pixels; both sides must be at least {MIN_SIDE}. Leave it out.")
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: has {width} x {height} pixels, more than the limit of {max_pixels:,}; reduce the image or "
            f"raise max_pixels."
        )
