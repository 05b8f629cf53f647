"""Which pixels of an image count: a box or a mask, the same for all images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from differnet_runtime.errors import ImageError, SettingsError
from differnet_runtime.images import DEFAULT_MAX_PIXELS, MIN_SIDE, load_image, read_image

__all__ = ["NEUTRAL_RGB", "Box", "RegionOfInterest", "parse_box", "read_region"]

Box: TypeAlias = tuple[int, int, int, int]
"""x and y of the upper left corner, width and height, in pixels."""

NEUTRAL_RGB = (124, 116, 104)
"""What pixels outside a mask become: the mean colour of ImageNet, which extractors see as zero."""

_WHITE_ABOVE = 127


def parse_box(text: str) -> Box:
    """Read a box from text.

    Args:
        text: ``x,y,width,height`` in pixels, such as ``120,80,640,480``; spaces around the numbers are allowed.

    Returns:
        The four numbers.

    Raises:
        SettingsError: If they are not four whole numbers, or a box of that kind cannot lie in any image.
    """
    try:
        x, y, width, height = (int(number) for number in text.split(","))
    except ValueError:
        raise SettingsError(
            f"The box {text!r} is not four whole numbers 'x,y,width,height' in pixels; write it like 120,80,640,480."
        ) from None
    box = (x, y, width, height)
    _check_box(box)
    return box


@dataclass(frozen=True, eq=False)
class RegionOfInterest:
    """The pixels that count, for images of one size.

    Attributes:
        mask: bool (height, width) of the images, True where a pixel counts; a read-only copy of what was given.
        box: Bounding box of the mask, which is what `crop` cuts out.

    Raises:
        ImageError: If the mask is not a bool array of two axes, or if its bounding box is empty or has a side shorter
            than `MIN_SIDE` pixels.
    """

    mask: NDArray[np.bool_]
    box: Box = field(init=False)

    def __post_init__(self) -> None:
        if self.mask.ndim != 2 or self.mask.dtype != np.bool_:
            raise ImageError(
                f"The mask of a region of interest must be bool of shape (height, width), not {self.mask.dtype} "
                f"{self.mask.shape}; convert it, or use RegionOfInterest.from_mask."
            )
        columns, rows = np.flatnonzero(self.mask.any(axis=0)), np.flatnonzero(self.mask.any(axis=1))
        if columns.size == 0:
            raise ImageError("The mask of a region of interest has no pixel inside; make white what counts.")
        x, y = int(columns[0]), int(rows[0])
        width, height = int(columns[-1]) - x + 1, int(rows[-1]) - y + 1
        if min(width, height) < MIN_SIDE:
            raise ImageError(
                f"The mask of a region of interest spans {width} x {height} pixels; both sides must be at least "
                f"{MIN_SIDE}. Make more of it white."
            )
        mask = self.mask.copy()
        mask.setflags(write=False)
        object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "box", (x, y, width, height))

    @classmethod
    def from_box(cls, box: Box, size: tuple[int, int]) -> RegionOfInterest:
        """Make a region of interest of a box.

        Args:
            box: x, y, width and height in pixels (see `parse_box`).
            size: Width and height of the images, in pixels.

        Raises:
            SettingsError: If the box is not within the images, or has a side shorter than `MIN_SIDE` pixels.
        """
        _check_box(box)
        x, y, width, height = box
        image_width, image_height = size
        if x + width > image_width or y + height > image_height:
            raise SettingsError(
                f"The box {_name(box)} ends at x = {x + width}, y = {y + height}, outside the images of {image_width} "
                f"x {image_height} pixels; make it smaller or move it."
            )
        mask = np.zeros((image_height, image_width), np.bool_)
        mask[y : y + height, x : x + width] = True
        return cls(mask)

    @classmethod
    def from_mask(cls, mask: NDArray[Any]) -> RegionOfInterest:
        """Make a region of interest of a mask.

        Args:
            mask: (height, width) of the images: bool, True inside, or uint8 grey, inside where above 127. Of a mask
                that holds 0 and 1, give ``mask.astype(bool)``.

        Raises:
            ImageError: If shape or dtype are others, or if the inside is empty or smaller than `MIN_SIDE` pixels.
        """
        if mask.dtype == np.uint8:
            if 0 < mask.max(initial=0) <= _WHITE_ABOVE:
                raise ImageError(
                    f"The mask of a region of interest has no pixel above {_WHITE_ABOVE}, the highest is {mask.max()}; "
                    f"make white (255) what counts."
                )
            mask = mask > _WHITE_ABOVE
        return cls(mask)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> RegionOfInterest:
        """Make a region of interest of a mask image: white inside, black outside.

        Args:
            path: Image of the images' own size; a pixel is inside where all its colours are above 127.
            max_pixels: Refuse masks with more pixels than this.

        Raises:
            ImageError: If the file cannot be read, or if its inside is empty or smaller than `MIN_SIDE` pixels.
        """
        grey = read_image(path, max_pixels=max_pixels).min(axis=2)
        try:
            return cls.from_mask(grey)
        except ImageError as error:
            raise ImageError(f"{os.fspath(path)}: {error}") from None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the images, in pixels."""
        height, width = self.mask.shape
        return width, height

    def crop(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut the box out of an image and make what is in it but outside the mask `NEUTRAL_RGB`.

        Args:
            image: uint8 (height, width, 3), RGB, of the mask's height and width. It is not changed.

        Returns:
            uint8 (height of the box, width of the box, 3).

        Raises:
            ImageError: If the image has another size, shape or dtype.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ImageError(
                f"A region of interest is cut out of uint8 RGB images of shape (height, width, 3), not {image.dtype} "
                f"{image.shape}; read the image with load_image."
            )
        if image.shape[:2] != self.mask.shape:
            raise ImageError(
                f"The image has {image.shape[1]} x {image.shape[0]} pixels, the region of interest was made for "
                f"{self.size[0]} x {self.size[1]}; give images of that size, or a region of interest for this one."
            )
        crop = image[self._window].copy()
        crop[~self.mask[self._window]] = NEUTRAL_RGB
        return crop

    def place(self, heat: NDArray[np.floating]) -> NDArray[np.float32]:
        """Put the heat map of a crop back where the crop came from.

        Args:
            heat: float32 (height of the box, width of the box).

        Returns:
            float32 (height, width) of the whole image, 0 outside the mask.

        Raises:
            ImageError: If the heat map has not the size of the box.
        """
        _, _, width, height = self.box
        if heat.shape != (height, width):
            raise ImageError(
                f"The heat map has the shape {heat.shape}, the region of interest {(height, width)} (height, width); "
                f"give the heat map of the crop."
            )
        placed = np.zeros(self.mask.shape, np.float32)
        # Chosen, not multiplied: whatever is outside the mask, NaN included, is gone.
        placed[self._window] = np.where(self.mask[self._window], heat, 0.0)
        return placed

    @property
    def _window(self) -> tuple[slice, slice]:
        x, y, width, height = self.box
        return slice(y, y + height), slice(x, x + width)


def _check_box(box: Box) -> None:
    """Check what can be checked without an image."""
    x, y, width, height = box
    if min(x, y) < 0:
        raise SettingsError(f"The box {_name(box)} begins outside the image; x and y must be 0 or more.")
    if min(width, height) < MIN_SIDE:
        raise SettingsError(
            f"The box {_name(box)} is {width} x {height} pixels; both sides must be at least {MIN_SIDE}. Enlarge it."
        )


def _name(box: Box) -> str:
    return ",".join(str(number) for number in box)


def read_region(text: str, images: Sequence[str | os.PathLike[str]]) -> RegionOfInterest:
    """Read a region of interest: a box ``x,y,width,height``, or the path of a mask image.

    Args:
        text: What the user gave.
        images: The first one that can be read tells the size of the images.

    Raises:
        SettingsError: If a box is not one, or not within the images.
        ImageError: If the mask cannot be used, or has not the images' size.
    """
    first = None
    for path in images:
        try:
            first = load_image(path)
            break
        except ImageError:
            continue
    if first is None:
        raise ImageError(f"None of the {len(images)} images can be read; give PNG, JPEG, BMP, TIFF or WebP files.")
    if Path(text).is_file():
        region = RegionOfInterest.from_file(text)
        region.crop(first)
        return region
    if not any(character.isdigit() for character in text) or Path(text).suffix:
        raise ImageError(f"{text}: no such mask image, and not a box x,y,width,height; check the path.")
    return RegionOfInterest.from_box(parse_box(text), (first.shape[1], first.shape[0]))
