"""Pictures as files that browsers show."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from differnet.inspection.explanation import Explanation
from differnet.localization.overlay import heat_layer

__all__ = ["explanation_pair", "png", "reduced", "small_jpeg"]

_THUMBNAIL_SIDE = 256
_OF_REGIONS = ("x", "y", "width", "height", "area", "peak", "mean", "peak_x", "peak_y")


def small_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """A JPEG of at most 256 pixels.

    Args:
        pixels: uint8 (height, width, 3), RGB.
    """
    buffer = io.BytesIO()
    Image.fromarray(reduced(pixels, _THUMBNAIL_SIDE)).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def reduced(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """An image whose longer side has at most so many pixels."""
    scale = min(1.0, side / max(pixels.shape[:2]))
    if scale >= 1.0:
        return pixels
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG, without loss.

    Args:
        pixels: uint8 (height, width, 3 or 4), RGB or RGBA.
    """
    buffer = io.BytesIO()
    # Photographs hardly get smaller at higher levels, only slower.
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def explanation_pair(explanation: Explanation) -> tuple[bytes, dict[str, Any]]:
    """A heat map as a clear layer, a PNG of the image's size, and as `differnet.server.wire.schemas.Explanation`."""
    regions = [region.to_dict() for region in explanation.regions]
    about = {
        "regions": [{name: region[name] for name in _OF_REGIONS} for region in regions],
        "scale": "fixed" if explanation.scale_is_fixed else "image",
        "hottest": float(explanation.heat.max()),
    }
    return png(heat_layer(explanation.heat)), about
