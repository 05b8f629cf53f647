"""The local model: how unlikely each cell of an image is under the mixtures of both grids."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from differnet.localization.local_model import LocalModel
from differnet.localization.mixture.cell_mixture import CellMixture, CellStatistics, assign_components
from differnet.localization.mixture.cell_space import CellSpace
from differnet.localization.mixture.cells import StageCells

__all__ = ["COARSE_LIMIT", "CellDensity", "MixtureCollector", "MixtureModel"]

COARSE_LIMIT = 2.0
"""A coarse cell is wide: what it adds is cut off here, in standard deviations, or it would blur a fine signal."""
_CELLS = 150_000
_USUAL_CELLS = 8192
_ONE_IN = 5
_CELLS_OF_EACH = 40
_CHUNK = 8192
_EPS = 1e-6


@dataclass(frozen=True)
class CellDensity:
    """What is usual of the cells of one grid.

    Attributes:
        space: That the cells are compared in.
        mixture: Their density there.
        mean: Mean energy of good cells.
        deviation: Standard deviation of that energy.
    """

    space: CellSpace
    mixture: CellMixture
    mean: float
    deviation: float

    def standardised_energy(self, cells: Tensor) -> Tensor:
        """How many standard deviations less likely than usual (n, D) cells are: (n,) float32."""
        return (self.mixture.energy(self.space(cells)) - self.mean) / self.deviation

    def state(self) -> dict[str, Tensor]:
        """The tensors by name."""
        usual = torch.tensor([self.mean, self.deviation], dtype=torch.float64)
        return {**self.space.state(), **self.mixture.state(), "usual": usual}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> CellDensity:
        """The reverse of `state`.

        Raises:
            KeyError: If a tensor is missing; its argument is the name.
            ValueError: If a tensor is not as expected; likewise.
        """
        space = CellSpace.from_state(state)
        mixture = CellMixture.from_state(state, space.projection.shape[1])
        usual = state["usual"]
        if usual.dtype != torch.float64 or usual.shape != (2,) or not (usual.isfinite().all() and usual[1] > 0):
            raise ValueError("usual")
        return cls(space, mixture, usual[0].item(), usual[1].item())

    def to(self, device: torch.device) -> CellDensity:
        """The same on a device."""
        return replace(self, space=self.space.to(device), mixture=self.mixture.to(device))


class MixtureModel(LocalModel):
    """Adds what the cells of both grids say: the fine one finds small defects, the coarse one wider ones.

    Energies of either are counted in standard deviations of those of good cells, the coarse one cut off.

    Args:
        fine: Of the fine grid.
        coarse: Of the coarse grid.
    """

    def __init__(self, fine: CellDensity, coarse: CellDensity) -> None:
        self.fine, self.coarse = fine, coarse

    def anomaly(self, cells: StageCells) -> Tensor:
        """Compute the local anomaly of an image, (g, g) float32, about 0 for good cells; see `LocalModel.anomaly`."""
        side, small = cells.fine.shape[0], cells.coarse.shape[0]
        fine = self.fine.standardised_energy(cells.fine.flatten(0, 1)).view(side, side)
        coarse = self.coarse.standardised_energy(cells.coarse.flatten(0, 1)).view(1, 1, small, small)
        spread = functional.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)[0, 0]
        return fine + spread.clamp(max=COARSE_LIMIT)

    def state(self) -> dict[str, Tensor]:
        """The model as tensors."""
        levels = {"fine": self.fine, "coarse": self.coarse}
        return {f"{name}.{part}": tensor for name, level in levels.items() for part, tensor in level.state().items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> MixtureModel:
        """The reverse of `state`.

        Raises:
            KeyError: If a tensor is missing; its argument is the name.
            ValueError: If a tensor is not as expected; likewise.
        """
        levels = []
        for name in ("fine", "coarse"):
            prefix = f"{name}."
            try:
                levels.append(
                    CellDensity.from_state(
                        {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
                    )
                )
            except (KeyError, ValueError) as error:
                raise type(error)(f"{prefix}{error.args[0]}") from None
        return cls(*levels)

    def to(self, device: torch.device) -> MixtureModel:
        """The model on a device."""
        return MixtureModel(self.fine.to(device), self.coarse.to(device))

    def compile(self, cells: StageCells) -> Callable[[StageCells], Tensor]:
        """What OpenVINO computes `anomaly` by, see `LocalModel.compile`."""
        from differnet.localization.mixture.openvino_mixture import (  # noqa: PLC0415 - it imports this one
            CompiledMixture,
        )

        return CompiledMixture(self, cells).anomaly


class MixtureCollector:
    """Keeps a share of every training image's cells, so that memory does not grow with the number of images.

    Args:
        images: Number of images to come.
        channels: Of each stage that the cells are described by.
        components: K of each grid, at most; one for every 40 cells where that is fewer.
        rank: Principal axes of each component.
        strength: Pull towards the pooled covariance, in cells.
        dimensions: Of the space that cells are compared in.
        seed: Of the choice.
    """

    def __init__(
        self,
        images: int,
        *,
        channels: tuple[int, ...],
        components: int,
        rank: int,
        strength: float,
        dimensions: int,
        seed: int,
    ) -> None:
        self._of_each = math.ceil(_CELLS / max(images, 1))
        self._components, self._rank, self._strength = components, rank, strength
        self._channels, self._dimensions, self._seed = channels, dimensions, seed
        self._kept: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._places: list[int] = []

    def add(self, place: int, cells: StageCells) -> None:
        """Take cells of an image, given its place among the images."""
        random = np.random.default_rng([self._seed, 2, place])
        for kept, grid in zip(self._kept, (cells.fine, cells.coarse), strict=True):
            flat = grid.flatten(0, 1)
            chosen = np.sort(random.permutation(len(flat))[: self._of_each])
            # In half precision, as the spool keeps cells: 128 MB for all.
            kept.append(flat[torch.from_numpy(chosen).to(flat.device)].cpu().half())
        self._places.append(place)

    def fit(self, without: Collection[int] = ()) -> MixtureModel:
        """Fit the mixtures of both grids and measure what energy is usual.

        Args:
            without: Places of images to leave out, as if they had never been added; not all.
        """
        taken = [number for number, place in enumerate(self._places) if place not in without]
        return MixtureModel(*(self._fit([kept[number] for number in taken]) for kept in self._kept))

    def _fit(self, of_images: list[Tensor]) -> CellDensity:
        cells = torch.cat(of_images).float()
        space = CellSpace.fit(cells, self._channels, self._dimensions)
        within = torch.cat([space(part) for part in cells.split(_CHUNK)])
        # A covariance says nothing of components with a handful of cells.
        count = max(min(self._components, len(cells) // _CELLS_OF_EACH), 1)
        components = assign_components(within, count, [self._seed, 3])
        sums = CellStatistics.of(within, components, count)
        whitening, mixture = sums.mixture(self._rank, self._strength)
        # Cells that a mixture was fitted to are closer to it than new ones: those of every fifth image are looked at by
        # a mixture of the others.
        held_out = torch.cat([torch.full((len(part),), i % _ONE_IN == 0) for i, part in enumerate(of_images)])
        if len(of_images) > 1:
            others = sums.without(CellStatistics.of(within[held_out], components[held_out], count))
            basis, of_others = others.mixture(self._rank, self._strength)
        else:
            basis, of_others = whitening, mixture
        unseen = within[held_out]
        energy = of_others.energy(unseen[:: math.ceil(len(unseen) / _USUAL_CELLS)] @ basis).double()
        deviation = max(energy.std(correction=0).item(), _EPS)
        return CellDensity(space.then(whitening), mixture, energy.mean().item(), deviation)
