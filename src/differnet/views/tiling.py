"""Long images, such as strips of cells or a cable: cut into tiles that are laid beside one another to a square."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["SMALLEST_SIDE", "Tiling", "fitted", "tiling_for"]

SMALLEST_SIDE = 224
"""Of an image that training chooses, in pixels: below, the last stages have too few positions to tell places apart."""

_Level = TypeVar("_Level", bound=np.generic)

# Pixels of the square that neighbouring tiles share, so that a small defect is whole in one of them.
_OVERLAP = 32
# Pixels of the square between tiles, filled with their edges: what is seen of a tile must not come from another one.
_GAP = 32
# Cells of the finest grid are as large; a tile has a whole number of them.
_CELL = 16
_MOST_TILES = 8
_LARGEST = 8192
# Of sides that differ less, a square loses less than the seams of tiles cost.
_LONG = 3.0


@dataclass(frozen=True)
class Tiling:
    """Cuts images along one side into overlapping tiles, and lays these beside one another to a square.

    What it is applied to has been resized to `height` x `width`.

    Attributes:
        count: Number of tiles, at least 2.
        wide: Whether images are cut along their width, and tiles lie below one another; else along their height.
        size: Side of the square, in pixels.
    """

    count: int
    wide: bool
    size: int

    @classmethod
    def of(cls, tiles: str, size: int) -> Tiling | None:
        """The tiling that a setting names.

        Args:
            tiles: ``1xN`` for wide images, ``Nx1`` for tall ones; anything else is none.
            size: Side of the square, in pixels.
        """
        down, _, along = tiles.partition("x")
        if not (down.isdigit() and along.isdigit()) or int(down) * int(along) < 2:
            return None
        return cls(max(int(down), int(along)), int(along) > 1, size)

    @property
    def name(self) -> str:
        """As the setting has it."""
        return f"1x{self.count}" if self.wide else f"{self.count}x1"

    @property
    def is_whole(self) -> bool:
        """Whether tiles have whole cells and fill the square, as `fitted` makes them."""
        return fitted(self) == self

    @property
    def thickness(self) -> int:
        """Of a tile across the cut side, in pixels of the square."""
        return max((self.size - _GAP * (self.count - 1)) // self.count, 1)

    @property
    def length(self) -> int:
        """Of the cut side, in pixels of the square."""
        return self.count * self.size - (self.count - 1) * _OVERLAP

    @property
    def height(self) -> int:
        """Of an image before it is cut."""
        return self.thickness if self.wide else self.length

    @property
    def width(self) -> int:
        """Of an image before it is cut."""
        return self.length if self.wide else self.thickness

    @property
    def lines(self) -> list[tuple[slice, NDArray[np.int64]]]:
        """For each tile its lines of the square, and which lines of the image these are: in gaps that of an edge."""
        pitch, half = self.thickness + _GAP, _GAP // 2
        ends = [0, *(tile * pitch - half for tile in range(1, self.count)), self.size]
        return [
            (slice(first, end), np.clip(np.arange(first, end) - tile * pitch, 0, self.thickness - 1))
            for tile, (first, end) in enumerate(pairwise(ends))
        ]

    @property
    def starts(self) -> list[int]:
        """Where the tiles begin along the cut side, in pixels of the square."""
        return [tile * (self.size - _OVERLAP) for tile in range(self.count)]

    @property
    def kept(self) -> list[tuple[slice, slice]]:
        """What of the square a map of the whole image is put together from: its lines, and its places along the cut."""
        pitch, last = self.thickness + _GAP, self.count - 1
        return [
            (
                slice(tile * pitch, tile * pitch + self.thickness),
                slice(_OVERLAP // 2 if tile else 0, self.size - (_OVERLAP // 2 if tile < last else 0)),
            )
            for tile in range(self.count)
        ]

    def lay(self, image: NDArray[_Level]) -> NDArray[_Level]:
        """Make the square of a (height, width, ...) image: (size, size, ...)."""
        strip = image if self.wide else image.swapaxes(0, 1)
        square = np.empty((self.size, self.size, *strip.shape[2:]), strip.dtype)
        for (placed, lines), start in zip(self.lines, self.starts, strict=True):
            square[placed] = strip[lines, start : start + self.size]
        return square if self.wide else np.ascontiguousarray(square.swapaxes(0, 1))

    def restore(self, square: NDArray[np.float32]) -> NDArray[np.float32]:
        """Make a (height, width) map of the whole image from one (size, size) of the square."""
        turned = square if self.wide else square.T
        strip = np.concatenate([turned[lines, along] for lines, along in self.kept], axis=1)
        return np.ascontiguousarray(strip if self.wide else strip.T)


def tiling_for(aspects: Sequence[float], size: int) -> Tiling | None:
    """The tiling that images are squeezed least by; None where their sides do not differ 3 to 1.

    Args:
        aspects: Width over height of some of the images; the middle one counts.
        size: Wanted side of the square, in pixels.
    """
    middle = float(np.median(aspects)) if len(aspects) else 1.0
    long = max(middle, 1 / middle)
    if long < _LONG:
        return None
    fitting = [fitted(Tiling(count, middle > 1, size)) for count in range(2, _MOST_TILES + 1)]
    return min(fitting, key=lambda tiling: abs(math.log(long * tiling.thickness / tiling.length)))


def fitted(tiling: Tiling) -> Tiling:
    """The same with the largest side, not above its own if that can be, at which tiles have whole cells."""
    gaps, step = _GAP * (tiling.count - 1), _CELL * tiling.count
    # A square has whole cells of the coarser grid too.
    sides = [side for side in range(gaps + step, _LARGEST, step) if side % (2 * _CELL) == 0 and side >= SMALLEST_SIDE]
    return Tiling(tiling.count, tiling.wide, max([side for side in sides if side <= tiling.size], default=sides[0]))
