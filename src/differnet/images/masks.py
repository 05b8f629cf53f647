"""Masks: images that say which pixels are defective."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from differnet.images.read import read_image

__all__ = ["read_mask"]

_WHITE = 127


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a mask.

    Args:
        path: White where defective, or with the numbers of kinds of defects (from 1 on) instead of white.

    Returns:
        bool (height, width), True where defective.

    Raises:
        ImageError: If it cannot be read.
    """
    values = read_image(path).max(axis=2)
    # Numbers of kinds are small; in masks of black and white, grey is what resizing or JPEG left at edges.
    return values > (0 if values.max() <= _WHITE else _WHITE)
