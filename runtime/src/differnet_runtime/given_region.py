"""A region of interest that is given when images are inspected: the part of each that is shown to the model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from differnet_runtime.errors import ImageError, ModelFileError, SettingsError
from differnet_runtime.region_of_interest import Box, RegionOfInterest, parse_box

__all__ = ["GivenRegion", "Region"]

Region: TypeAlias = "str | os.PathLike[str] | Box | NDArray[Any]"
"""A box ``x,y,width,height``, as text or as four numbers; or a mask: the path of an image, or an array."""


class GivenRegion:
    """Cuts out of each image what the model is to see, and puts heat maps back where they belong.

    Args:
        region: A box or a mask.
        image_size: Width and height of images that the model takes, if it has a region of interest of its own.
        own_box: Box of that region.

    Raises:
        SettingsError: If a box is none, or has not the size of the model's own.
        ImageError: If a mask cannot be used.
        ModelFileError: If the file does not tell its own box.
    """

    def __init__(self, region: Region, image_size: list[int] | None, own_box: list[int] | None) -> None:
        self._box: Box | None = None
        self._region: RegionOfInterest | None = None
        if isinstance(region, np.ndarray):
            self._region = RegionOfInterest.from_mask(region)
        elif isinstance(region, tuple):
            self._box = parse_box(",".join(str(number) for number in region))
        elif Path(region).is_file():
            self._region = RegionOfInterest.from_file(region)
        elif isinstance(region, str) and not Path(region).suffix and any(each.isdigit() for each in region):
            self._box = parse_box(region)
        else:
            raise ImageError(f"{region}: no such mask image, and not a box x,y,width,height; check the path.")
        if image_size is not None and own_box is None:
            raise ModelFileError(
                "The file's model has a region of interest, and was exported before another could be given; export it "
                "again."
            )
        self._canvas = None if image_size is None or own_box is None else (image_size, own_box)
        box = self._box or (self._region.box if self._region else None)
        if self._canvas is not None and box is not None and list(box[2:]) != self._canvas[1][2:]:
            raise SettingsError(
                f"The region of interest is {box[2]} x {box[3]} pixels, and the model's own, which it stands for, "
                f"{self._canvas[1][2]} x {self._canvas[1][3]}; give one of that size."
            )

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What the model is to see of an image, (height, width, 3).

        Raises:
            ImageError: If the region does not lie within the image.
        """
        crop = self._of(image.shape[1], image.shape[0]).crop(image)
        if self._canvas is None:
            return crop
        (width, height), (x, y, *_) = self._canvas
        # As if the part lay where the model's own region is; nothing outside is looked at.
        whole = np.zeros((height, width, 3), np.uint8)
        whole[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
        return whole

    def shown(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of what `cut` gives of an image of a size."""
        if self._canvas is not None:
            return self._canvas[0][0], self._canvas[0][1]
        box = self._of(width, height).box
        return box[2], box[3]

    def place(self, heat: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
        """Put the heat map of what was cut out back, (height, width) of the image, 0 outside the region."""
        if self._canvas is not None:
            x, y, columns, rows = self._canvas[1]
            heat = heat[y : y + rows, x : x + columns]
        return self._of(width, height).place(heat)

    def _of(self, width: int, height: int) -> RegionOfInterest:
        if self._box is not None and (self._region is None or self._region.size != (width, height)):
            try:
                self._region = RegionOfInterest.from_box(self._box, (width, height))
            except SettingsError as error:
                raise ImageError(str(error)) from None
        if self._region is None or self._region.size != (width, height):
            known = "another size" if self._region is None else "{} x {}".format(*self._region.size)
            raise ImageError(
                f"The image has {width} x {height} pixels, the region of interest was made for {known}; give images of "
                "that size, or a box."
            )
        return self._region
