"""Reading one image, from a file, its content or an array, into HWC uint8 RGB."""

from __future__ import annotations

import io
import os
import stat
import threading
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from differnet.errors import ImageError
from differnet.images.hashed_file import HashedFile

__all__ = ["DEFAULT_MAX_PIXELS", "MIN_SIDE", "ImageSource", "as_rgb", "load_image", "read_image"]

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | NDArray[Any]
"""What an image can be given as: a path, the content of a file, or an array (see `as_rgb`)."""

DEFAULT_MAX_PIXELS = 100_000_000
"""Largest image decoded by default, in pixels: a 100 MP camera passes, a decompression bomb does not."""

MIN_SIDE = 16
"""Shortest side accepted, in pixels; anything smaller holds no texture to judge."""

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
_FORMAT_NAMES = "PNG, JPEG, BMP, TIFF or WebP"
# Pillow keeps its limit in a module variable, and images are read in several threads.
_PILLOW_LIMIT = threading.Lock()
_SIXTEEN_BIT_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})


def load_image(source: ImageSource, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Read an image given as a path, as the content of a file, or as an array.

    Args:
        source: A path (see `read_image`), the content of such a file, or an array (see `as_rgb`).
        max_pixels: Refuse images with more pixels than this.

    Returns:
        uint8 array of shape (height, width, 3), RGB.

    Raises:
        ImageError: If the image cannot be read or is too small or too large.
    """
    if isinstance(source, np.ndarray):
        return as_rgb(source, max_pixels=max_pixels)
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), "the image", max_pixels)
    return read_image(source, max_pixels=max_pixels)


def read_image(path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode an image file.

    Grey, palette and alpha images become RGB (alpha is dropped, as the official code does). Of 16-bit values
    the high byte is kept, so that 0..65535 becomes 0..255. JPEG orientation (EXIF) is applied. Of a file with several
    pages, the first is read. The pixel count is checked before anything is decoded.

    Args:
        path: PNG, JPEG, BMP, TIFF or WebP file; the content decides, not the name. A `HashedFile` is read whole.
        max_pixels: Refuse images with more pixels than this.

    Returns:
        uint8 array of shape (height, width, 3), RGB.

    Raises:
        ImageError: If the file is missing, not an image, damaged, too small or too large.
    """
    file = Path(path)
    try:
        mode = file.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # reading a pipe may never end
            raise ImageError(f"{file}: is not an ordinary file; give the file of an image.")
        return _decode(path if isinstance(path, HashedFile) else file, str(file), max_pixels)
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


def as_rgb(array: NDArray[Any], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Turn an array into an RGB image.

    Args:
        array: Shape (height, width), (height, width, 1), (height, width, 3) RGB or (height, width, 4) RGBA;
            uint8 in 0..255, uint16 in 0..65535, bool, or floats in [0, 1].
        max_pixels: Refuse images with more pixels than this.

    Returns:
        uint8 array of shape (height, width, 3), RGB. A uint8 RGB input is returned without a copy.

    Raises:
        ImageError: If the shape, the dtype or the values are none of the above.
    """
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
    elif array.dtype == np.uint16:
        array = _sixteen_to_eight(array)
    elif np.issubdtype(array.dtype, np.floating):
        # Written so that NaN fails it too.
        if not (float(array.min()) >= 0.0 and float(array.max()) <= 1.0):
            raise ImageError("A float image array must hold values in [0, 1] and no NaN; divide it by its full scale.")
        array = np.rint(array * 255.0).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ImageError(f"An image array must be uint8, uint16, bool or float, not {array.dtype}; convert it.")
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array)


def _decode(file: Path | HashedFile | io.BytesIO, name: str, max_pixels: int) -> NDArray[np.uint8]:
    """Decode a file; errors of its path are left to the caller."""
    try:
        with _open_header(io.BytesIO(file.read_bytes()) if isinstance(file, HashedFile) else file) as image:
            _check_size(image.width, image.height, max_pixels, name=name)
            return _to_rgb(image)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name}: is not a {_FORMAT_NAMES} image; remove it or convert it.") from None
    except (OSError, SyntaxError, ValueError, TypeError, EOFError) as error:
        raise ImageError(f"{name}: the image is damaged or truncated ({error}); replace the file.") from None


def _open_header(file: Path | io.BytesIO) -> Image.Image:
    """Open an image without decoding it, and without Pillow's own limit on pixels, which ours replaces."""
    with _PILLOW_LIMIT:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            return Image.open(file, formats=_FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    sixteen_bit = image.mode in _SIXTEEN_BIT_MODES
    oriented = ImageOps.exif_transpose(image)
    if sixteen_bit:
        values = np.asarray(oriented)
        if values.max() > 65535 or values.min() < 0:
            raise ValueError("its values need more than 16 bits")
        return as_rgb(_sixteen_to_eight(values), max_pixels=values.size)
    if oriented.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if oriented.mode != "RGB":
        oriented = oriented.convert("RGB")
    return np.asarray(oriented)


def _sixteen_to_eight(array: NDArray[Any]) -> NDArray[np.uint8]:
    # The high byte, as Pillow takes it of 16-bit colour: grey and colour files then agree.
    return (array.astype(np.uint16) >> 8).astype(np.uint8)


def _check_size(width: int, height: int, max_pixels: int, *, name: str) -> None:
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{name}: is {width} x {height} pixels; both sides must be at least {MIN_SIDE}. Leave it out.")
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: has {width} x {height} pixels, more than the limit of {max_pixels:,}; reduce the image."
        )
