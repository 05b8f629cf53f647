"""A verdict with the places that led to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from differnet.errors import SettingsError
from differnet.inspection.verdict import Verdict
from differnet.localization.regions import Region

__all__ = ["Explanation"]


@dataclass(frozen=True, eq=False)
class Explanation:
    """The heat map of an image.

    Attributes:
        verdict: The verdict on the image.
        heat: float32 (height, width) in the image's own size, >= 0. On the fixed scale 1 is the hottest that good
            images get at the stated false-reject rate; otherwise 1 is the hottest of this very image.
        regions: Connected regions hotter than 1 and not smaller than what the map resolves (a cell, for
            ``neighbours``), hottest first; none unless the scale is fixed.
        scale_is_fixed: Whether the scale was learnt from good images.
        image: uint8 (height, width, 3), the image itself; None unless it was asked for, see `original`.
    """

    verdict: Verdict
    heat: NDArray[np.float32]
    regions: tuple[Region, ...]
    scale_is_fixed: bool
    image: NDArray[np.uint8] | None = None

    @property
    def original(self) -> NDArray[np.uint8]:
        """The image itself, uint8 (height, width, 3).

        Raises:
            SettingsError: If it was not asked for.
        """
        if self.image is None:
            raise SettingsError("The explanation holds no image; ask for it: explain_stream(..., with_images=True).")
        return self.image

    def to_dict(self) -> dict[str, Any]:
        """Verdict and regions as JSON values."""
        return {
            **self.verdict.to_dict(),
            "regions": [region.to_dict() for region in self.regions],
            "scale_is_fixed": self.scale_is_fixed,
        }
