"""The windows that are averaged over, as torch and OpenVINO both have them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["SHORTEST", "Window", "windows_of"]

_FINE_WINDOW = 3
_COARSE_STRIDE = 3
SHORTEST = 1e-6
"""What is added to the length of a vector before it is divided by it."""


class Window(NamedTuple):
    """The windows of positions that the maps are averaged over.

    Attributes:
        side: Of each, in positions.
        stride: From one to the next.
        padding: Positions beyond each edge of the grid, which do not count in the mean.
    """

    side: int
    stride: int
    padding: int


def windows_of(side: int) -> tuple[Window, Window]:
    """The fine and the coarse windows of a grid."""
    # Odd, so that a window has a centre, and padded so that the centres lie at 1, 4, 7, ...
    wide = max(side // 2 | 1, _FINE_WINDOW)
    return Window(_FINE_WINDOW, 1, _FINE_WINDOW // 2), Window(wide, _COARSE_STRIDE, wide // 2 - 1)
