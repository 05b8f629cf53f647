"""What callers give as images, in any form that Python has for them, as what the rest of the package reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from differnet.errors import ImageError
from differnet.images.collect import LIST_SUFFIX, collect_images
from differnet.images.read import DecodedImage, ImageSource

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["GivenImage", "GivenImages", "image_sources", "local_path"]

GivenImage: TypeAlias = "ImageSource | Image.Image | Tensor"
"""An image: a path, the URL of a local file, the content of a file, an array, a tensor, or Pillow's."""

GivenImages: TypeAlias = "GivenImage | Iterable[GivenImages]"
"""One or several of them, or of folders, list files, arrays and tensors with several images; lists may be nested."""

_CHANNELS = (1, 3, 4)
_OF_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


def image_sources(images: GivenImages) -> Iterator[ImageSource]:
    """Turn what was given into images, one after the other, as they are asked for.

    Args:
        images: A path; a folder, searched through; a list file (``.txt``); a ``file:`` URL; the content of a file;
            an array (height, width[, channels]) or several as (images, height, width, channels); a tensor
            (height, width) or (channels, height, width) or several as (images, channels, height, width), as torch has
            them; an image of Pillow; or an iterable of such.

    Yields:
        Paths, contents and arrays.

    Raises:
        ImageError: If something is none of these.
    """
    if isinstance(images, (str, os.PathLike)):
        path = local_path(images)
        if os.path.isdir(path) or os.fspath(path).lower().endswith(LIST_SUFFIX):  # noqa: PTH112 - raises nothing
            yield from collect_images(path).paths
        else:
            yield path
    elif isinstance(images, (bytes, bytearray, memoryview)):
        yield bytes(images)
    elif isinstance(images, DecodedImage):
        yield images
    elif isinstance(images, Image.Image):
        yield _of_pillow(images)
    elif isinstance(images, np.ndarray) and images.dtype != object:
        yield from images if images.ndim == 4 else [images]
    elif _is_tensor(images):
        yield from _of_tensor(images)
    elif isinstance(images, Iterable):
        for each in images:
            yield from image_sources(each)
    else:
        raise ImageError(
            f"An image cannot be given as {type(images).__name__}; give a path, bytes, an array, a tensor or a "
            f"PIL.Image, or a list of them."
        )


def local_path(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """The path of a ``file:`` URL; any other path as it is.

    Raises:
        ImageError: If it is the URL of another machine's file.
    """
    if not isinstance(path, str) or "://" not in path:
        return path
    parts = urlsplit(path)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return url2pathname(parts.path)
    if Path(path).exists():
        return path
    raise ImageError(f"{path}: is not a file on this machine; download it, and give its path.")


def _of_pillow(image: Image.Image) -> NDArray[Any]:
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in _OF_SIXTEEN_BITS or upright.mode in ("L", "RGB", "RGBA", "F"):
            return np.asarray(upright)
        if upright.mode == "I":
            values = np.asarray(upright)
            if values.size and values.min() >= 0 and values.max() <= np.iinfo(np.uint16).max:
                return values.astype(np.uint16)
            raise ImageError("An image of Pillow in mode I must hold values from 0 to 65535; scale it.")
        return np.asarray(upright.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        name = getattr(image, "filename", "") or "the image"
        raise ImageError(f"{name}: the image is damaged or truncated ({error}); replace the file.") from None


def _is_tensor(value: object) -> bool:
    # Not imported here: commands that need no network start without torch.
    return type(value).__module__.partition(".")[0] == "torch" or hasattr(value, "detach")


def _of_tensor(tensor: Any) -> list[NDArray[Any]]:  # noqa: ANN401 - torch is not imported here
    values = tensor.detach().cpu()
    if str(values.dtype) in ("torch.bfloat16", "torch.float16"):
        values = values.float()
    array = values.numpy()
    if array.ndim == 4:
        return [_channels_last(each) for each in array]
    return [_channels_last(array)]


def _channels_last(array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim == 3 and array.shape[0] in _CHANNELS:
        return array.transpose(1, 2, 0)
    return array
