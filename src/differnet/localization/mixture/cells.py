"""Cells as the stages have them, on a fine and on a coarse grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet.compute.transfer import to_device
from differnet.extractors import Extractor
from differnet.features.describer import Cells, Describer
from differnet.localization.grids import build_resized, grid_side, resized

__all__ = [
    "WINDOWS",
    "ReducedDescriber",
    "ReducedWindows",
    "ScaledCells",
    "ScaledDescriber",
    "StageCells",
    "StageDescriber",
    "WindowDescriber",
    "WindowedCells",
    "WindowedDescriber",
    "described_channels",
    "window_channels",
]

# The first stages tell edges rather than parts, and have the largest maps.
_STAGES = 4
# Of windows, which are wide, the last stages say enough, which see as much of the image.
_WINDOW_STAGES = 2
WINDOWS = 4
"""Windows of the reduced image in a row, and rows of them."""


@dataclass(frozen=True)
class StageCells(Cells):
    """The cells of one image on two grids.

    Attributes:
        fine: (g, g, d) float32, what the stages that resolve it say one behind the other; g is a sixteenth of the
            image's side.
        coarse: (c, c, D) float32, what all stages say on a grid of half the side.
    """

    fine: Tensor
    coarse: Tensor


@dataclass(frozen=True)
class ReducedCells(Cells):
    """The cells of one image in the size of its views, on a grid.

    Attributes:
        reduced: (r, r, D) float32, what all stages say there; r is a sixteenth of that image's side.
    """

    reduced: Tensor


@dataclass(frozen=True)
class ScaledCells(ReducedCells, StageCells):
    """The cells of one image in both sizes."""


@dataclass(frozen=True)
class WindowedCells(ReducedCells, StageCells):
    """The cells of one image in both sizes, and the windows of it reduced.

    Attributes:
        windows: (4, 4, W) float32, means of what the last stages say in windows of a quarter of the image's side.
    """

    windows: Tensor


@dataclass(frozen=True)
class ReducedWindows(ReducedCells):
    """What `WindowedCells` has of the reduced image.

    Attributes:
        windows: As there.
    """

    windows: Tensor


class StageDescriber(Describer):
    """Brings the maps of the later stages to both grids, and joins their channels.

    A stage whose cells are wider than those of the fine grid spreads what it sees over its neighbours, so that it
    would blur maps (AUPRO of bottle 0.953 without it, 0.928 with it); it is in the coarse grid.

    Args:
        stages: Number of stages that cells are described by, counted from the last one.
        resolved: Whether the fine grid is described by the stages that resolve it alone; otherwise by all, too.
    """

    cells: ClassVar[type[StageCells]] = StageCells

    def __init__(self, stages: int, *, resolved: bool = True) -> None:
        self._stages, self._resolved = stages, resolved

    @property
    def key(self) -> str:
        """Two of as many stages are the same."""
        return f"stages {self._stages}{' resolved' if self._resolved else ''}"

    def describe(self, stages: Sequence[Tensor], size: int) -> list[StageCells]:
        """Describe the cells of images, see `Describer.describe`."""
        chosen = stages[-self._stages :]
        fine, coarse = _grid_sides([maps.shape[-1] for maps in chosen], size)
        resolving = [maps for maps in chosen if self._describes(maps, fine)]
        grids = (_on_grid(resolving, fine), _on_grid(chosen, coarse))
        return [StageCells(*of_image) for of_image in zip(*grids, strict=True)]

    def build(self, ops: Any, stages: Sequence[Any], size: int) -> list[Any]:  # noqa: ANN401 - untyped
        """The same as a part of an OpenVINO graph, see `Describer.build`."""
        chosen = stages[-self._stages :]
        fine, coarse = _grid_sides([int(maps.shape[-1]) for maps in chosen], size)
        resolving = [maps for maps in chosen if self._describes(maps, fine)]
        return [_build_on_grid(ops, resolving, fine), _build_on_grid(ops, chosen, coarse)]

    def _describes(self, maps: Any, fine: int) -> bool:  # noqa: ANN401 - a tensor or a node
        return not self._resolved or int(maps.shape[-1]) >= fine


class ReducedDescriber(Describer):
    """Brings the maps of the later stages, all of them, to the fine grid alone.

    Args:
        stages: See `StageDescriber`.
    """

    cells: ClassVar[type[ReducedCells]] = ReducedCells

    def __init__(self, stages: int) -> None:
        self._stages = stages

    @property
    def key(self) -> str:
        """Two of as many stages are the same."""
        return f"reduced stages {self._stages}"

    def describe(self, stages: Sequence[Tensor], size: int) -> list[ReducedCells]:
        """Describe the cells of images, see `Describer.describe`."""
        chosen = stages[-self._stages :]
        side, _ = _grid_sides([maps.shape[-1] for maps in chosen], size)
        return [ReducedCells(of_image) for of_image in _on_grid(chosen, side)]

    def build(self, ops: Any, stages: Sequence[Any], size: int) -> list[Any]:  # noqa: ANN401 - untyped
        """The same as a part of an OpenVINO graph, see `Describer.build`."""
        chosen = stages[-self._stages :]
        side, _ = _grid_sides([int(maps.shape[-1]) for maps in chosen], size)
        return [_build_on_grid(ops, chosen, side)]


class WindowDescriber(ReducedDescriber):
    """Describes the windows of the reduced image beside its cells."""

    cells: ClassVar[type[ReducedCells]] = ReducedWindows

    @property
    def key(self) -> str:
        """Two of as many stages are the same."""
        return f"{super().key} windows"

    @torch.no_grad()
    def describe(self, stages: Sequence[Tensor], size: int) -> list[ReducedWindows]:  # type: ignore[override]
        """Describe the cells and windows of images, see `Describer.describe`."""
        parts = []
        for maps in stages[-_WINDOW_STAGES:]:
            means = to_device(torch.from_numpy(_window_means(maps.shape[-1])), maps.device)
            parts.append(means @ maps.float() @ means.T)
        windows = torch.cat(parts, 1).permute(0, 2, 3, 1).contiguous()
        described = zip(super().describe(stages, size), windows, strict=True)
        return [ReducedWindows(cells.reduced, of_image) for cells, of_image in described]

    def build(self, ops: Any, stages: Sequence[Any], size: int) -> list[Any]:  # noqa: ANN401 - untyped
        """The same as a part of an OpenVINO graph, see `Describer.build`."""
        parts = []
        for maps in stages[-_WINDOW_STAGES:]:
            means = _window_means(int(maps.shape[-1]))
            rows = ops.matmul(ops.constant(means), maps, False, False)
            parts.append(ops.matmul(rows, ops.constant(np.ascontiguousarray(means.T)), False, False))
        windows = ops.transpose(ops.concat(parts, 1), np.array([0, 2, 3, 1]))
        return [*super().build(ops, stages, size), windows]


class ScaledDescriber(StageDescriber):
    """Describes an image twice, as DifferNet's features come from several scales: by `StageDescriber`, and reduced.

    What is large, or varies in its details alone, is seen in the reduced image, where a cell sees more of the part.

    Args:
        stages: See `StageDescriber`.
        resolved: See `StageDescriber`.
    """

    joined: ClassVar[type[StageCells]] = ScaledCells

    def __init__(self, stages: int, *, resolved: bool = True) -> None:
        super().__init__(stages, resolved=resolved)
        self.reduced = ReducedDescriber(stages)

    @property
    def key(self) -> str:
        """Two of as many stages are the same."""
        return f"scaled {super().key}"


class WindowedDescriber(ScaledDescriber):
    """The same, and describes the windows of the reduced image.

    Args:
        stages: See `StageDescriber`.
        resolved: See `StageDescriber`.
    """

    joined: ClassVar[type[StageCells]] = WindowedCells

    def __init__(self, stages: int, *, resolved: bool = True) -> None:
        super().__init__(stages, resolved=resolved)
        self.reduced = WindowDescriber(stages)

    @property
    def key(self) -> str:
        """Two of as many stages are the same."""
        return f"windowed {super().key}"


def described_channels(extractor: Extractor) -> tuple[int, ...]:
    """The channels of each stage that cells are described by: of the last four before the features' own."""
    return tuple(extractor.stage_channels[-_STAGES:])


def window_channels(channels: Sequence[int]) -> int:
    """Of windows, W, given the channels of each stage that cells are described by."""
    return sum(channels[-_WINDOW_STAGES:])


def _grid_sides(sides: Sequence[int], size: int) -> tuple[int, int]:
    side = grid_side(sides, size)
    return side, max(side // 2, 1)


def _window_means(side: int) -> NDArray[np.float32]:
    """(4, side): what averages a row of so many cells over windows; a cell on a border belongs to both in part."""
    borders = np.arange(WINDOWS + 1)[:, None] * side / WINDOWS
    before = np.clip(borders - np.arange(side), 0.0, 1.0)
    return (np.diff(before, axis=0) * WINDOWS / side).astype(np.float32)


@torch.no_grad()
def _on_grid(stages: Sequence[Tensor], side: int) -> Tensor:
    """The maps of B images on a grid, their channels joined: (B, side, side, D)."""
    return torch.cat([resized(maps.float(), side) for maps in stages], 1).permute(0, 2, 3, 1).contiguous()


def _build_on_grid(ops: Any, stages: Sequence[Any], side: int) -> Any:  # noqa: ANN401 - untyped
    joined = ops.concat([build_resized(ops, maps, side) for maps in stages], 1)
    return ops.transpose(joined, np.array([0, 2, 3, 1]))
