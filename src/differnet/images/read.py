"""Reading one image, from a file, its content or an array, into HWC uint8 RGB."""

from __future__ import annotations

import io
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from differnet.errors import ImageError
from differnet.images.deep import Depth, PixelScale, decode_deep, eight_bit_pixels
from differnet.images.hashed_file import HashedFile
from differnet.images.header import check_effort, read_header, without_texts
from differnet.images.jpeg import decode_jpeg
from differnet.images.pages import count_pages

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "MIN_SIDE",
    "DecodedImage",
    "ImageSource",
    "ScaleSource",
    "as_rgb",
    "decode_image",
    "load_image",
    "read_image",
]


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


ImageSource: TypeAlias = str | os.PathLike[str] | bytes | NDArray[Any] | DecodedImage
"""What an image can be given as: a path, the content of a file, an array (see `as_rgb`), or one that was read."""

ScaleSource: TypeAlias = PixelScale | Callable[[], PixelScale] | None
"""A scale of pixels of more than eight bits, or what finds it when the first such image comes."""

DEFAULT_MAX_PIXELS = 100_000_000
"""Largest image decoded by default, in pixels: a 100 MP camera passes, a decompression bomb does not."""

MIN_SIDE = 16
"""Shortest side accepted, in pixels; anything smaller holds no texture to judge."""

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
# Of 100 million pixels with floating-point numbers; a file that only says that it is larger would fill the memory.
_MOST_BYTES = 2 << 30
_FORMAT_NAMES = "PNG, JPEG, BMP, TIFF or WebP"
# Pillow keeps its limit in a module variable, and images are read in several threads.
_PILLOW_LIMIT = threading.Lock()
_JPEG = ("JPEG", "MPO")
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DEEP_PNG = 16
_HEAD_BYTES = 26
_CHECKED = (b"\x89PNG", b"\xff\xd8")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def load_image(
    source: ImageSource, *, max_pixels: int = DEFAULT_MAX_PIXELS, scale: ScaleSource = None
) -> NDArray[np.uint8]:
    """Read an image given as a path, as the content of a file, or as an array.

    Args:
        source: A path (see `read_image`), the content of such a file, or an array (see `as_rgb`).
        max_pixels: Refuse images with more pixels than this.
        scale: As for `read_image`.

    Returns:
        uint8 array of shape (height, width, 3), RGB.

    Raises:
        ImageError: If the image cannot be read or is too small or too large.
    """
    return decode_image(source, max_pixels=max_pixels, scale=scale).pixels


def decode_image(
    source: ImageSource, *, max_pixels: int = DEFAULT_MAX_PIXELS, scale: ScaleSource = None
) -> DecodedImage:
    """Read an image as `load_image` does, and tell in what numbers it came.

    Raises:
        ImageError: If the image cannot be read or is too small or too large.
    """
    if isinstance(source, DecodedImage):
        return source
    if isinstance(source, np.ndarray):
        return _of_array(source, max_pixels, scale)
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), "the image", max_pixels, scale)
    return _read(source, max_pixels, scale)


def read_image(
    path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS, scale: ScaleSource = None
) -> NDArray[np.uint8]:
    """Decode an image file.

    Grey, palette and alpha images become RGB (alpha is dropped, as the official code does). JPEG orientation (EXIF) is
    applied. Of a file with several pages, the first is read. The pixel count is checked before anything is decoded.

    Args:
        path: PNG, JPEG, BMP, TIFF or WebP file; the content decides, not the name. A `HashedFile` is read whole.
        max_pixels: Refuse images with more pixels than this.
        scale: What becomes black and white of values of more than eight bits; None keeps the high byte of 16 bits, so
            that 0..65535 becomes 0..255, and takes floating-point values by their natural range.

    Returns:
        uint8 array of shape (height, width, 3), RGB.

    Raises:
        ImageError: If the file is missing, not an image, damaged, too small or too large.
    """
    return _read(path, max_pixels, scale).pixels


def _read(path: str | os.PathLike[str], max_pixels: int, scale: ScaleSource) -> DecodedImage:
    file = Path(path)
    try:
        status = file.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # reading a pipe may never end
            raise ImageError(f"{file}: is not an ordinary file; give the file of an image.")
        if status.st_size > _MOST_BYTES:
            raise ImageError(f"{file}: has more than the {_MOST_BYTES >> 30} GiB that an image may have; reduce it.")
        return _decode(path if isinstance(path, HashedFile) else file, str(file), max_pixels, scale)
    except FileNotFoundError:
        raise ImageError(f"{file}: no such file; check the path.") from None
    except IsADirectoryError:
        raise ImageError(f"{file}: is a folder, not an image; give a file.") from None
    except NotADirectoryError:
        raise ImageError(f"{file}: no such file; a part of the path is not a folder.") from None
    except PermissionError:
        raise ImageError(f"{file}: permission denied; make the file readable.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{file}: cannot be read ({reason}); check the path.") from None


def as_rgb(
    array: NDArray[Any], *, max_pixels: int = DEFAULT_MAX_PIXELS, scale: ScaleSource = None
) -> NDArray[np.uint8]:
    """Turn an array into an RGB image.

    Args:
        array: Shape (height, width), (height, width, 1), (height, width, 3) RGB or (height, width, 4) RGBA;
            uint8 in 0..255, uint16 in 0..65535, int8 or int16, bool, or floats, in [0, 1] unless `scale` says more.
        max_pixels: Refuse images with more pixels than this.
        scale: As for `read_image`.

    Returns:
        uint8 array of shape (height, width, 3), RGB. A uint8 RGB input is returned without a copy.

    Raises:
        ImageError: If the shape, the dtype or the values are none of the above.
    """
    return _of_array(array, max_pixels, scale).pixels


def _of_array(array: NDArray[Any], max_pixels: int, scale: ScaleSource) -> DecodedImage:
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
        scale = scale() if callable(scale) else scale
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


def _decode(file: Path | HashedFile | io.BytesIO, name: str, max_pixels: int, scale: ScaleSource) -> DecodedImage:
    """Decode a file; errors of its path are left to the caller."""
    try:
        if isinstance(file, Path):
            with file.open("rb") as stream:
                return _decode_stream(stream, name, max_pixels, scale)
        content = io.BytesIO(file.read_bytes()) if isinstance(file, HashedFile) else file
        return _decode_stream(content, name, max_pixels, scale)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name}: is not a {_FORMAT_NAMES} image; remove it or convert it.") from None
    except (OSError, SyntaxError, ValueError, TypeError, EOFError) as error:
        raise ImageError(f"{name}: the image is damaged or truncated ({error}); replace the file.") from None


def _decode_stream(stream: IO[bytes], name: str, max_pixels: int, scale: ScaleSource) -> DecodedImage:
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    if not head:
        raise ImageError(f"{name}: is empty, so it is not a {_FORMAT_NAMES} image; replace the file.")
    if head.startswith(_CHECKED):
        content = stream.read()
        check_effort(content)
        stream = io.BytesIO(content)
    # A file's first bytes say whether more has to be known of it before Pillow may have it.
    if head.startswith(_TIFF) or (head.startswith(b"\x89PNG") and head[24:25] == bytes([_DEEP_PNG])):
        deep = _decode_deep(stream.read(), name, max_pixels, scale)
        if deep is not None:
            return deep
        stream.seek(0)
    try:
        return _decode_eight_bits(stream, name, max_pixels)
    except ValueError:  # such as texts beyond what Pillow takes
        stream.seek(0)
        content = stream.read()
        lighter = without_texts(content)
        if len(lighter) == len(content):
            raise
        return _decode_eight_bits(io.BytesIO(lighter), name, max_pixels)


def _decode_eight_bits(stream: IO[bytes], name: str, max_pixels: int) -> DecodedImage:
    with _open_header(stream) as image:
        _check_size(image.width, image.height, max_pixels, name=name)
        if image.format in _JPEG:
            stream.seek(0)
            pixels = decode_jpeg(stream.read())
            if pixels is not None:
                turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
                turned = pixels if turn is None else np.asarray(Image.fromarray(pixels).transpose(turn))
                return DecodedImage(turned)
        place = stream.tell()  # where Pillow goes on
        pages = count_pages(stream)
        stream.seek(place)
        return DecodedImage(_to_rgb(image), pages=pages)


def _decode_deep(content: bytes, name: str, max_pixels: int, scale: ScaleSource) -> DecodedImage | None:
    """Decode values other than unsigned ones of eight bits; None if the file has such."""
    header = read_header(content)
    if header is None:
        return None
    _check_size(header.width, header.height, max_pixels, name=name)
    if header.refusal:
        raise ImageError(f"{name}: {header.refusal}.")
    if not header.is_deep:
        return None
    values = decode_deep(content, header.alpha_offset)
    known = scale() if callable(scale) else scale
    try:
        pixels, depth = eight_bit_pixels(values, known)
    except ValueError as error:
        raise ImageError(f"{name}: cannot be read, since {error}; save it in another format.") from None
    if header.is_inverted:
        pixels = np.uint8(255) - pixels
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return DecodedImage(np.ascontiguousarray(pixels), depth, count_pages(content))


def _open_header(file: IO[bytes]) -> Image.Image:
    """Open an image without decoding it, and without Pillow's own limit on pixels, which ours replaces."""
    with _PILLOW_LIMIT:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            return Image.open(file, formats=_FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


_STRIP_PIXELS = 4_000_000


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    ImageOps.exif_transpose(image, in_place=True)
    image.info.pop("transparency", None)  # dropped anyhow; Pillow would warn of some kinds
    # Pillow copies what it converts, and twice what it hands over: of a large image a strip at a time.
    if image.width * image.height <= _STRIP_PIXELS:
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        pixels[top : top + rows] = np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))
    return pixels


def _check_size(width: int, height: int, max_pixels: int, *, name: str) -> None:
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{name}: is {width} x {height} pixels; both sides must be at least {MIN_SIDE}. Leave it out.")
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: has {width} x {height} pixels, more than the limit of {max_pixels:,}; reduce the image."
        )
