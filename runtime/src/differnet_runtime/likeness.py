"""What training images were like, in size and numbers, and what another image has unlike them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from differnet_runtime.deep import Depth, PixelScale, unlike

__all__ = ["TrainingImages"]

# Cameras and crops differ by less.
_ASPECT_FACTOR = 1.1
_SIZE_FACTOR = 1.25
# Of what a file says of them; images are far smaller.
_LARGEST = 10**9


@dataclass(frozen=True)
class TrainingImages:
    """What training images were like.

    Attributes:
        scale: Of their pixels.
        widths: Smallest and largest, in pixels.
        heights: Smallest and largest, in pixels.
        aspects: Smallest and largest width over height.
        pages: Most pages or frames of a file, of which the first alone was read.
    """

    scale: PixelScale
    widths: tuple[int, int]
    heights: tuple[int, int]
    aspects: tuple[float, float]
    pages: int = 1

    def __post_init__(self) -> None:
        """Refuse, with a ValueError, what no images are like."""
        if self.pages < 1 or not all(
            0 < low <= high <= _LARGEST for low, high in (self.widths, self.heights, self.aspects)
        ):
            raise ValueError("sizes of images")

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TrainingImages:
        """From JSON values, as a model file has them.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: If a value is missing or not of its kind.
        """
        scale = fields["scale"]
        integer, floating = (None if scale[name] is None else _pair(scale[name]) for name in ("integer", "floating"))
        widths, heights = ((int(low), int(high)) for low, high in (_pair(fields["widths"]), _pair(fields["heights"])))
        numbers = PixelScale(bool(scale["eight"]), integer, floating)
        return cls(numbers, widths, heights, _pair(fields["aspects"]), int(fields.get("pages", 1)))

    def unlike(self, width: int, height: int, depth: Depth, pages: int = 1) -> str | None:
        """What an image has unlike the training images, in words; None if nothing.

        Args:
            width: Of the image, in pixels.
            height: Of the image, in pixels.
            depth: In what numbers it came.
            pages: Or frames of its file.
        """
        said = [self._unlike_size(width, height), unlike(depth, self.scale), self._unlike_pages(pages)]
        return "; ".join(each for each in said if each) or None

    def _unlike_size(self, width: int, height: int) -> str | None:
        aspect, side = width / height, (width * height) ** 0.5
        smallest, largest = ((self.widths[i] * self.heights[i]) ** 0.5 for i in (0, 1))
        differs = []
        if aspect > _ASPECT_FACTOR * self.aspects[1] or _ASPECT_FACTOR * aspect < self.aspects[0]:
            differs.append("aspect")
        if side > _SIZE_FACTOR * largest or _SIZE_FACTOR * side < smallest:
            differs.append("size")
        if not differs:
            return None
        sides = " x ".join(str(low) if low == high else f"{low}-{high}" for low, high in (self.widths, self.heights))
        return f"another {' and '.join(differs)}: {width} x {height} pixels, training images {sides}"

    def _unlike_pages(self, pages: int) -> str | None:
        if pages <= self.pages:
            return None
        training = f"up to {self.pages}" if self.pages > 1 else "one"
        return f"{pages} pages or frames, of which the first is read, training images {training}"


def _pair(value: Any) -> tuple[float, float]:  # noqa: ANN401 - of JSON
    low, high = (float(each) for each in value)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError("a range")
    return low, high
