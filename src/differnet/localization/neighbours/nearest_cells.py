"""Local likelihood: how far each cell of an image is from the cells of good images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from differnet.localization.local_model import LocalModel
from differnet.localization.neighbours.cells import CellGrids

__all__ = ["COARSE_LIMIT", "GoodCells", "NearestCells", "NearestCellsCollector"]

# Candidates for each kept cell, and cells whose distance to the others tells what is usual.
_CANDIDATES = 4
_USUAL_CELLS = 8192
_CHUNK = 8192
_EPS = 1e-6
COARSE_LIMIT = 2.0
"""A coarse window is wide: what it adds is cut off here, in standard deviations, or it would blur a fine signal."""


@dataclass(frozen=True)
class GoodCells:
    """Cells kept as the model of good parts, with what distance from them is usual.

    Attributes:
        cells: (n, k) float16.
        mean: Mean distance of a good cell to the nearest of them that is not of its own image.
        deviation: Standard deviation of that distance.
    """

    cells: Tensor
    mean: float
    deviation: float

    def standardised_distance(self, queries: Tensor) -> Tensor:
        """How many standard deviations the nearest cell is farther than usual.

        Args:
            queries: (m, k) float32.

        Returns:
            (m,) float32.
        """
        return (_nearest(queries, self.cells.float()) - self.mean) / self.deviation


class NearestCells(LocalModel):
    """Maps the local anomaly of an image: a nearest-neighbour model of good cells at two window sizes.

    The fine windows find small defects and their outline; the coarse ones those that are strange only as a whole.
    Distances of either are counted in standard deviations of those of good images and added, the coarse one cut off.

    Args:
        fine: Good cells of the small windows.
        coarse: Good cells of the large windows.
    """

    def __init__(self, fine: GoodCells, coarse: GoodCells) -> None:
        self.fine = fine
        self.coarse = coarse

    def anomaly(self, cells: CellGrids) -> Tensor:
        """Compute the local anomaly of an image, (g, g) float32, about 0 for good cells; see `LocalModel.anomaly`."""
        side = cells.fine.shape[0]
        fine = self.fine.standardised_distance(cells.fine.flatten(0, 1)).unflatten(0, (side, side))
        small = cells.coarse.shape[0]
        coarse = self.coarse.standardised_distance(cells.coarse.flatten(0, 1))
        spread = functional.interpolate(
            coarse.view(1, 1, small, small), size=(side, side), mode="bilinear", align_corners=False
        )[0, 0]
        return fine + spread.clamp(max=COARSE_LIMIT)

    def state(self) -> dict[str, Tensor]:
        """The model as tensors."""
        return {
            f"{name}.{part}": tensor
            for name, good in (("fine", self.fine), ("coarse", self.coarse))
            for part, tensor in (
                ("cells", good.cells),
                ("usual", torch.tensor([good.mean, good.deviation], dtype=torch.float64)),
            )
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], dimensions: int) -> NearestCells:
        """The reverse of `state`.

        Raises:
            KeyError: If a tensor is missing.
            ValueError: If a tensor is not of the expected shape, dtype or range.
        """
        levels = []
        for name in ("fine", "coarse"):
            cells, usual = state[f"{name}.cells"], state[f"{name}.usual"]
            shaped = cells.dim() == 2 and cells.shape[1] == dimensions and len(cells) > 0
            if not (shaped and cells.dtype == torch.float16 and cells.isfinite().all()):
                raise ValueError(f"{name}.cells")
            if usual.dtype != torch.float64 or usual.shape != (2,) or not (usual.isfinite().all() and usual[1] > 0):
                raise ValueError(f"{name}.usual")
            levels.append(GoodCells(cells, usual[0].item(), usual[1].item()))
        return cls(*levels)

    def to(self, device: torch.device) -> NearestCells:
        """The model on a device."""
        return NearestCells(
            *(GoodCells(good.cells.to(device), good.mean, good.deviation) for good in (self.fine, self.coarse))
        )

    def compile(self, cells: CellGrids) -> Callable[[CellGrids], Tensor]:
        """What OpenVINO computes `anomaly` by, see `LocalModel.compile`."""
        from differnet.localization.neighbours.openvino_nearest_cells import (  # noqa: PLC0415 - it imports this one
            CompiledNearestCells,
        )

        return CompiledNearestCells(self, cells).anomaly


class NearestCellsCollector:
    """Keeps a share of every training image's cells, so that memory does not grow with the number of images.

    Args:
        images: Number of images to come.
        cells: Number of cells that the model will keep of each window size.
        seed: Of the choice.
    """

    def __init__(self, images: int, cells: int, seed: int) -> None:
        self._of_each = -(-_CANDIDATES * cells // max(images, 1))
        self._cells = cells
        self._seed = seed
        self._fine: list[Tensor] = []
        self._coarse: list[Tensor] = []
        self._places: list[int] = []

    def add(self, place: int, cells: CellGrids) -> None:
        """Take cells of an image, given its place among the images."""
        random = np.random.default_rng([self._seed, 2, place])
        for kept, grid in ((self._fine, cells.fine), (self._coarse, cells.coarse)):
            flat = grid.flatten(0, 1)
            chosen = random.permutation(len(flat))[: self._of_each]
            kept.append(flat[torch.from_numpy(np.sort(chosen)).to(flat.device)].cpu())
        self._places.append(place)

    def fit(self, without: Collection[int] = ()) -> NearestCells:
        """Choose the cells of the model and measure what distance from them is usual.

        Args:
            without: Places of images to leave out, as if they had never been added; not all.
        """
        return NearestCells(self._fit(self._fine, without), self._fit(self._coarse, without))

    def _fit(self, of_images: Sequence[Tensor], without: Collection[int]) -> GoodCells:
        kept_images = [
            (flat, place) for flat, place in zip(of_images, self._places, strict=True) if place not in without
        ]
        cells = torch.cat([flat for flat, _ in kept_images])
        places = torch.cat([torch.full((len(flat),), place) for flat, place in kept_images])
        chosen = _spread_out(cells, self._cells)
        # In the precision in which they are stored.
        kept, kept_places = cells[chosen].half(), places[chosen]
        random = np.random.default_rng([self._seed, 3])
        sample = torch.from_numpy(random.permutation(len(cells))[:_USUAL_CELLS])
        distances = []
        for place in places[sample].unique().tolist():
            queries = cells[sample[places[sample] == place]]
            distances.append(_nearest(queries, kept[kept_places != place].float()))
        usual = torch.cat(distances)
        usual = usual[usual.isfinite()]
        return GoodCells(kept, usual.mean().item(), max(usual.std().item(), _EPS))


def _spread_out(cells: Tensor, count: int) -> Tensor:
    """Choose cells greedily, each the farthest from those chosen (k-centre; PatchCore's coreset, Roth et al. 2022)."""
    if len(cells) <= count:
        return torch.arange(len(cells))
    squares = cells.square().sum(1)
    chosen = torch.empty(count, dtype=torch.int64)
    nearest = torch.full((len(cells),), float("inf"))
    place = int((cells - cells.mean(0)).square().sum(1).argmin())
    for i in range(count):
        chosen[i] = place
        nearest = torch.minimum(nearest, torch.addmv(squares + squares[place], cells, cells[place], alpha=-2))
        place = int(nearest.argmax())
    return chosen


def _nearest(queries: Tensor, cells: Tensor) -> Tensor:
    """Distance of each query (m, k) to the nearest of the cells (n, k); infinite where there are none."""
    if not len(cells):
        return queries.new_full((len(queries),), float("inf"))
    squares = cells.square().sum(1)
    parts = [
        torch.addmm(squares, part, cells.T, alpha=-2).amin(1) + part.square().sum(1) for part in queries.split(_CHUNK)
    ]
    return torch.cat(parts).clamp_min(0).sqrt()
