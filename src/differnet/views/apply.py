"""The transformations T of an image: rotations, flips, brightness (paper, section 3.3).

A view is a value; the same view can be applied on a CPU, to one uint8 image, or on a GPU, to a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from differnet.views.tiling import Tiling
from differnet.views.view import View

if TYPE_CHECKING:
    import torch

__all__ = ["apply_view", "apply_views", "apply_views_batch", "resize"]

# Weights of red, green and blue in brightness (ITU-R 601-2, as Pillow's "L").
_LUMA = (0.299, 0.587, 0.114)
# Of fractions of pixels.
_BITS = 16


def resize(image: NDArray[np.uint8], size: int, tiling: Tiling | None = None) -> NDArray[np.uint8]:
    """Resize to ``size`` x ``size``, antialiased bilinear, aspect ratio not kept (the official first step).

    Args:
        image: uint8 (height, width, 3).
        size: Side of the result, in pixels.
        tiling: How a long image is cut; of the same size.

    Returns:
        uint8 (size, size, 3); bit for bit what Pillow gives, laid out by the tiling if there is one.
    """
    height, width = (size, size) if tiling is None else (tiling.height, tiling.width)
    if image.shape[:2] != (height, width):
        image = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    return image if tiling is None else tiling.lay(image)


def apply_views(image: NDArray[np.uint8], views: Sequence[View]) -> NDArray[np.uint8]:
    """Apply several views to a square image on the CPU.

    Args:
        image: uint8 (size, size, 3).
        views: The V views.

    Returns:
        uint8 (V, size, size, 3).
    """
    result = np.empty((len(views), *image.shape), np.uint8)
    for i, view in enumerate(views):
        result[i] = apply_view(image, view)
    return result


def apply_view(image: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """Apply one view to a square image on the CPU: nearest neighbour, black corners, as the official code.

    Args:
        image: uint8 (size, size, 3).
        view: The transformation.

    Returns:
        uint8 (size, size, 3).
    """
    if view.mirrored:
        image = image[:, ::-1]
    quarter_turns, rest = divmod(view.degrees, 90.0)
    if rest == 0.0:
        turned = np.rot90(image, int(quarter_turns) % 4)
    else:
        turned = _rotate_nearest(np.ascontiguousarray(image), view.degrees)
    return _change_colours(turned, view) if view.is_photometric else np.ascontiguousarray(turned)


def apply_views_batch(images: torch.Tensor, views: Sequence[Sequence[View]]) -> torch.Tensor:
    """Apply views to a batch of images in one call, on the images' own device, without waiting for it.

    Args:
        images: (B, 3, size, size) float32, values in [0, 1].
        views: For each of the B images its V views.

    Returns:
        (B * V, 3, size, size) float32, ordered image by image; the pixels of `apply_views`, but for a few in 100,000
        that come from a border between two, and its rounding of changed colours to whole numbers.

    Raises:
        ValueError: If there are not as many views of each image.
    """
    import torch  # noqa: PLC0415 - reading and turning images on a CPU does not need torch
    from torch.nn import functional  # noqa: PLC0415

    from differnet.compute.transfer import to_device  # noqa: PLC0415

    if len(views) != len(images) or len({len(of_image) for of_image in views}) != 1:
        raise ValueError("every image of a batch needs the same number of views")
    every = [view for of_image in views for view in of_image]
    size, count = images.shape[-1], len(views[0])
    table = np.stack([_fixed_point(size, view.degrees) for view in every]).astype(np.int32)
    # Whole numbers throughout, so that the pixels are those that are taken on a CPU.
    (xx, xy, x0), (yx, yy, y0) = to_device(torch.from_numpy(table), images.device).permute(1, 2, 0)[..., None, None]
    columns = torch.arange(size, dtype=torch.int32, device=images.device)
    rows = columns[:, None]
    from_x, from_y = (xx * columns + xy * rows + x0) >> _BITS, (yx * columns + yy * rows + y0) >> _BITS
    inside = (from_x >= 0) & (from_x < size) & (from_y >= 0) & (from_y < size)
    mirrored = to_device(torch.tensor([view.mirrored for view in every]), images.device).view(-1, 1, 1)
    from_x = torch.where(mirrored, size - 1 - from_x, from_x)
    # What comes from outside is taken from a black pixel behind the last one.
    place = (from_y * size + from_x).masked_fill_(~inside, size * size)
    place = place.long().view(len(images), 1, -1).expand(-1, images.shape[1], -1)
    taken = functional.pad(images.flatten(2), (0, 1)).gather(2, place)
    turned = taken.unflatten(2, (count, size, size)).transpose(1, 2).flatten(0, 1)
    if not any(view.is_photometric for view in every):
        return turned
    factors = torch.tensor([(view.brightness, view.contrast, view.saturation) for view in every], dtype=images.dtype)
    brightness, contrast, saturation = to_device(factors, images.device).view(-1, 3, 1, 1, 1).unbind(1)
    luma = to_device(torch.tensor(_LUMA, dtype=images.dtype), images.device).view(1, 3, 1, 1)
    turned = (turned * brightness).clamp(0, 1)
    mean_grey = (turned * luma).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    turned = (mean_grey + (turned - mean_grey) * contrast).clamp(0, 1)
    grey = (turned * luma).sum(1, keepdim=True)
    return (grey + (turned - grey) * saturation).clamp(0, 1)


def _rotate_nearest(image: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """Rotate counter-clockwise about the centre, output pixel by output pixel from where it comes from.

    OpenCV chooses the pixels of `_fixed_point`, also at 45 degrees, where many lie on a border.
    """
    size = image.shape[0]
    matrix = _fixed_point(size, degrees) / 2.0**_BITS
    # OpenCV rounds to the nearest; half a pixel back makes that floor, and the rest keeps it off exact ties.
    matrix[:, 2] += 2.0**-_BITS - 0.5
    turned = cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderValue=(0, 0, 0)
    )
    return turned.astype(np.uint8, copy=False)


def _fixed_point(size: int, degrees: float) -> NDArray[np.float64]:
    """Where the pixels of a rotated image come from: (2, 3) whole numbers, to be divided by 2^16 and rounded down.

    For x and y in turn the factors of column and row, and what is added. These are the coordinates of Pillow, which the
    official code uses.
    """
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    centre = size / 2
    exact = np.array(
        [
            [cos, -sin, centre - (centre - 0.5) * (cos - sin)],
            [sin, cos, centre - (centre - 0.5) * (sin + cos)],
        ]
    )
    return np.floor(exact * 2.0**_BITS + 0.5)


def _change_colours(image: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    luma = np.asarray(_LUMA, np.float32)
    pixels = np.clip(image.astype(np.float32) * view.brightness, 0, 255)
    mean_grey = float((pixels @ luma).mean())
    pixels = np.clip(mean_grey + (pixels - mean_grey) * view.contrast, 0, 255)
    grey = (pixels @ luma)[:, :, None]
    return np.rint(np.clip(grey + (pixels - grey) * view.saturation, 0, 255)).astype(np.uint8)
