"""Masks that have the very name of their image and lie beside it, as those of magnetic tiles and of Real-IAD."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from differnet.errors import ImageError
from differnet.images.read import read_image

__all__ = ["masks_of_the_same_name"]

_LOSSY = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
# Numbers of kinds of defects, or black and white.
_MOST_VALUES = 32
# Bytes of a packed file for each pixel: pictures have more.
_PACKED = frozenset({".png", ".webp"})
_MOST_BYTES = 0.5


def masks_of_the_same_name(files: Sequence[Path]) -> frozenset[Path]:
    """Which files of a folder mark what is defective on a JPEG file of the same stem beside them.

    A mask is grey, of few values; the first and the last file of such a name say so for all of the folder. Pictures
    that were saved in two formats are none.

    Args:
        files: All images of a folder, sorted.
    """
    photographs = {file.stem for file in files if file.suffix.lower() in _LOSSY}
    beside = [file for file in files if file.stem in photographs and file.suffix.lower() not in _LOSSY]
    if beside and all(_is_mask(str(file), *_stamp(file)) for file in {beside[0], beside[-1]}):
        return frozenset(beside)
    return frozenset()


def _stamp(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=4096)
def _is_mask(file: str, size: int, changed: int) -> bool:
    """Whether a file is one; `changed` makes another of a file that is another by now."""
    if not size:
        return False
    try:
        pixels = read_image(file)
    except ImageError:
        return False
    if Path(file).suffix.lower() in _PACKED and size > _MOST_BYTES * pixels.shape[0] * pixels.shape[1] + 1024:
        return False
    grey = pixels[:, :, 0]
    return bool((pixels == grey[:, :, None]).all()) and len(np.unique(grey)) <= _MOST_VALUES
