"""The local model: how unlikely each cell of an image is under the mixtures of its grids."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, compress

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from differnet.extractors import Extractor
from differnet.localization.local_model import LocalModel
from differnet.localization.mixture.cell_mixture import (
    CellMixture,
    assign_components,
    fit_mixture,
    within_covariance,
)
from differnet.localization.mixture.cell_space import CellSpace
from differnet.localization.mixture.cells import (
    WINDOWS,
    StageCells,
    WindowedCells,
    described_channels,
    window_channels,
)
from differnet.localization.mixture.windows import WindowCollector, WindowDensity

__all__ = ["CellDensity", "MixtureCollector", "MixtureModel"]

# Coarse cells are wide: what they add is cut off here, in standard deviations, or it would blur a fine signal.
_LIMIT = 4.0
# Models from before 2026-11-27 do not say theirs.
_EARLIER_LIMIT = 2.0
_CELLS = 150_000
_USUAL_CELLS = 30_000
_PARTS = 5
_CELLS_OF_EACH = 40
# Of an image reduced there are few cells, and each sees so much of the part that it is like fewer others.
_REDUCED_OF_EACH = 20
_REDUCED = 2
# Of fewer cells than this an image's own are so many that space and division must be found without them too: of 24
# plates of 128 pixels it made unseen good ones score 3 deviations above those that had been left out.
_FEW_CELLS = 20_000
_CHUNK = 8192
_EPS = 1e-6


@dataclass(frozen=True)
class CellDensity:
    """What is usual of the cells of one grid.

    Attributes:
        space: That the cells are compared in.
        mixture: Their density there.
        mean: Mean energy of good cells.
        deviations: (K,) float32, how widely the energy of good cells of a component spreads about that component's
            mean. Some kinds of cells, as the threads of a screw or letters, vary more than a Gaussian says: their
            energy must be farther off to mean as much.
        shift: Mean of what is left, so that good cells are at 0.
    """

    space: CellSpace
    mixture: CellMixture
    mean: float
    deviations: Tensor
    shift: float

    def standardised_energy(self, cells: Tensor) -> Tensor:
        """How many standard deviations less likely than usual (n, D) cells are: (n,) float32."""
        energy, component = self.mixture.energy(self.space(cells))
        return (energy - self.mean) / self.deviations[component] - self.shift

    def state(self) -> dict[str, Tensor]:
        """The tensors by name."""
        level = torch.tensor([self.mean, self.shift], dtype=torch.float64)
        return {**self.space.state(), **self.mixture.state(), "deviations": self.deviations, "level": level}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> CellDensity:
        """The reverse of `state`.

        Raises:
            KeyError: If a tensor is missing; its argument is the name.
            ValueError: If a tensor is not as expected; likewise.
        """
        space = CellSpace.from_state(state)
        mixture = CellMixture.from_state(state, space.projection.shape[1])
        count = len(mixture.means)
        if "usual" in state:  # as it was before 2026-11-27: one deviation for all components
            usual = state["usual"]
            if usual.dtype != torch.float64 or usual.shape != (2,) or not (usual.isfinite().all() and usual[1] > 0):
                raise ValueError("usual")
            return cls(space, mixture, usual[0].item(), torch.full((count,), usual[1].item()), 0.0)
        level, deviations = state["level"], state["deviations"]
        if level.dtype != torch.float64 or level.shape != (2,) or not level.isfinite().all():
            raise ValueError("level")
        shaped = deviations.dtype == torch.float32 and deviations.shape == (count,)
        if not (shaped and deviations.isfinite().all() and (deviations > 0).all()):
            raise ValueError("deviations")
        return cls(space, mixture, level[0].item(), deviations, level[1].item())

    def to(self, device: torch.device) -> CellDensity:
        """The same on a device."""
        return replace(
            self,
            space=self.space.to(device),
            mixture=self.mixture.to(device),
            deviations=self.deviations.to(device),
        )


class MixtureModel(LocalModel):
    """Adds what the cells of both grids say: the fine one finds small defects, the coarse one wider ones.

    Energies are counted in standard deviations of those of good cells, the coarse ones cut off. What the windows or the
    cells of the reduced image say is scored for itself: of some parts the details vary so much that they would hide
    what is large.

    Args:
        fine: Of the fine grid.
        coarse: Of the coarse grid.
        reduced: Of the grid of the reduced image; None where that is not described.
        windows: Of the windows of the reduced image; None where they are not described.
        limit: What the coarse grid adds at most.
    """

    def __init__(
        self,
        fine: CellDensity,
        coarse: CellDensity,
        reduced: CellDensity | None = None,
        *,
        windows: WindowDensity | None = None,
        limit: float = _LIMIT,
    ) -> None:
        self.fine, self.coarse, self.reduced, self.windows, self.limit = fine, coarse, reduced, windows, limit

    @property
    def levels(self) -> list[tuple[str, CellDensity]]:
        """The density of each grid by its name, the fine one first, in the order of the cells' fields."""
        both = [("fine", self.fine), ("coarse", self.coarse)]
        return both if self.reduced is None else [*both, ("reduced", self.reduced)]

    @property
    def planes(self) -> int:
        """Up to three: of both grids, of the reduced image's cells, and of its windows."""
        return len(self.levels) - 1 + (self.windows is not None)

    def anomaly(self, cells: StageCells) -> Tensor:
        """Compute the local anomaly of an image, about 0 for good cells; see `LocalModel.anomaly`.

        The first plane is of both grids; further ones, where there are such, of the reduced image, interpolated.
        """
        side, grids = cells.fine.shape[0], cells.tensors()
        fine, *wide = (
            level.standardised_energy(grids[name].flatten(0, 1)).view(1, 1, *grids[name].shape[:2])
            for name, level in self.levels
        )
        if self.windows is not None:
            wide.append(self.windows.standardised_energy(grids["windows"])[None, None])
        coarse, *reduced = (
            functional.interpolate(energy, size=(side, side), mode="bilinear", align_corners=False) for energy in wide
        )
        planes = torch.cat([fine + coarse.clamp(max=self.limit), *reduced], dim=1)[0]
        return planes if reduced else planes[0]

    def fits(self, extractor: Extractor) -> bool:
        """See `LocalModel.fits`; the fine grid may be described by the first stages alone."""
        channels = described_channels(extractor)
        fine, *others = (tuple(level.space.channels.tolist()) for _, level in self.levels)
        windows = WINDOWS**2, window_channels(channels)
        return (
            fine == channels[: len(fine)]
            and all(other == channels for other in others)
            and (self.windows is None or self.windows.means.shape == windows)
        )

    def state(self) -> dict[str, Tensor]:
        """The model as tensors."""
        named = {f"{name}.{part}": tensor for name, level in self.levels for part, tensor in level.state().items()}
        if self.windows is not None:
            named |= {f"windows.{part}": tensor for part, tensor in self.windows.state().items()}
        return {**named, "limit": torch.tensor([self.limit], dtype=torch.float64)}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> MixtureModel:
        """The reverse of `state`.

        Raises:
            KeyError: If a tensor is missing; its argument is the name.
            ValueError: If a tensor is not as expected; likewise.
        """
        levels: list[CellDensity] = []
        windows = None
        there = {name.partition(".")[0] for name in state}
        for name in ("fine", "coarse", *(name for name in ("reduced", "windows") if name in there)):
            prefix = f"{name}."
            own = {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
            try:
                if name == "windows":
                    windows = WindowDensity.from_state(own)
                else:
                    levels.append(CellDensity.from_state(own))
            except (KeyError, ValueError) as error:
                raise type(error)(f"{prefix}{error.args[0]}") from None
        limit = state.get("limit", torch.tensor([_EARLIER_LIMIT], dtype=torch.float64))
        if limit.dtype != torch.float64 or limit.shape != (1,) or not limit.isfinite().all():
            raise ValueError("limit")
        return cls(*levels, windows=windows, limit=limit.item())

    def to(self, device: torch.device) -> MixtureModel:
        """The model on a device."""
        windows = None if self.windows is None else self.windows.to(device)
        return MixtureModel(*(level.to(device) for _, level in self.levels), windows=windows, limit=self.limit)

    def compile(self, cells: StageCells) -> Callable[[StageCells], Tensor]:
        """What OpenVINO computes `anomaly` by, see `LocalModel.compile`."""
        from differnet.localization.mixture.openvino_mixture import (  # noqa: PLC0415 - it imports this one
            CompiledMixture,
        )

        return CompiledMixture(self, cells).anomaly


@dataclass(frozen=True)
class _Level:
    """The cells of one grid of all images, divided into components, and what is usual of them.

    Attributes:
        density: Fitted to all.
        cells: (n, k) float32, in its space.
        components: (n,) int64, of each cell.
        places: (n,) int64, the image of each cell.
    """

    density: CellDensity
    cells: Tensor
    components: Tensor
    places: Tensor


class MixtureCollector:
    """Keeps a share of every training image's cells, so that memory does not grow with the number of images.

    Of many cells, space, division into components and what energies are usual come from all images; where images are
    left out, the Gaussians alone are fitted anew without them. That is what tells an image's cells apart from those of
    others: the rest are means over all. Of few cells everything is learnt anew.

    Args:
        images: Number of images to come; one that is given several times, turned, counts as often.
        channels: Of each stage that cells are described by; those of a grid by all, or by the first of them.
        components: K of each grid, at most; one for every 40 cells where that is fewer, 20 of the reduced image.
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
        self._kept: list[list[Tensor]] = []
        self._places: list[int] = []
        self._levels: list[_Level] = []
        self._windows: WindowCollector | None = None
        self._images = images

    def add(self, place: int, cells: StageCells) -> None:
        """Take cells of an image, given its place among the images; of an image turned, likewise.

        Windows are taken of images as they are alone: turned ones show other things at these places.
        """
        turned = self._places.count(place)
        random = np.random.default_rng([self._seed, 2, place, turned])
        grids = [*cells.tensors().values()]
        if isinstance(cells, WindowedCells):
            self._windows = self._windows or WindowCollector(self._images)
            if not turned:
                self._windows.add(place, cells.windows)
            grids.pop()
        self._kept = self._kept or [[] for _ in grids]
        for kept, grid in zip(self._kept, grids, strict=True):
            flat = grid.flatten(0, 1)
            chosen = np.sort(random.permutation(len(flat))[: self._of_each])
            # In half precision, as the spool keeps cells: 128 MB for all.
            kept.append(flat[torch.from_numpy(chosen).to(flat.device)].cpu().half())
        self._places.append(place)
        self._levels = []

    def fit(self, without: Collection[int] = ()) -> MixtureModel:
        """Fit the mixtures of all grids.

        Args:
            without: Places of images whose cells are left out; not all.
        """
        self._levels = self._levels or [self._learn(grid) for grid in range(len(self._kept))]
        windows = None if self._windows is None else self._windows.fit(without)
        densities = (self._density(grid, level, without) for grid, level in enumerate(self._levels))
        return MixtureModel(*densities, windows=windows)

    def _density(self, grid: int, level: _Level, without: Collection[int]) -> CellDensity:
        if not without:
            return level.density
        if len(level.cells) < _FEW_CELLS:
            return self._learn(grid, [place not in without for place in self._places]).density
        used = ~torch.isin(level.places, torch.tensor([*without]))
        return replace(level.density, mixture=self._refit(level, used))

    def _refit(self, level: _Level, used: Tensor) -> CellMixture:
        start = level.density.mixture
        return fit_mixture(
            level.cells,
            level.components,
            len(start.means),
            rank=self._rank,
            strength=self._strength,
            used=used.nonzero()[:, 0],
            start=start,
        )

    def _learn(self, grid: int, used: Sequence[bool] | None = None) -> _Level:
        of_images, at = self._kept[grid], self._places
        if used is not None:
            of_images, at = [*compress(of_images, used)], [*compress(at, used)]
        places = torch.cat([torch.full((len(part),), place) for part, place in zip(of_images, at, strict=True)])
        cells = torch.cat(of_images)
        space = CellSpace.fit(cells, _joined(self._channels, cells.shape[1]), self._dimensions)
        within = torch.cat([space(part.float()) for part in cells.split(_CHUNK)])
        # A covariance says nothing of components with a handful of cells.
        of_each = _REDUCED_OF_EACH if grid == _REDUCED else _CELLS_OF_EACH
        components = assign_components(within, max(min(self._components, len(cells) // of_each), 1), [self._seed, 3])
        names, components = components.unique(return_inverse=True)
        count = len(names)
        white = space.whitened(within_covariance(within, components, count))
        within = torch.cat([white(part.float()) for part in cells.split(_CHUNK)])
        mixture = fit_mixture(within, components, count, rank=self._rank, strength=self._strength)
        level = _Level(CellDensity(white, mixture, 0.0, torch.ones(count), 0.0), within, components, places)
        return replace(level, density=self._measured(level))

    def _measured(self, level: _Level) -> CellDensity:
        """Find out what energies are usual.

        Cells that a mixture was fitted to are closer to it than new ones, so that those of each fifth of the images are
        looked at by a mixture of the others.
        """
        images = level.places.unique()
        part_of = torch.searchsorted(images, level.places) % min(_PARTS, len(images))
        some = torch.arange(len(level.cells)) % math.ceil(len(level.cells) / _USUAL_CELLS) == 0
        energies, components = [], []
        for part in part_of.unique().tolist():
            held_out = part_of == part
            # Of one image alone nothing can be held out.
            others = level.density.mixture if len(images) == 1 else self._refit(level, ~held_out)
            energy, component = others.energy(level.cells[held_out & some])
            energies.append(energy)
            components.append(component)
        return _standardised(level.density, torch.cat(energies), torch.cat(components))


def _joined(channels: Sequence[int], width: int) -> tuple[int, ...]:
    """The channels of the first stages that cells of a width are joined from."""
    return tuple(own for own, end in zip(channels, accumulate(channels), strict=True) if end <= width)


def _standardised(density: CellDensity, energies: Tensor, components: Tensor) -> CellDensity:
    """A density that knows what is usual, from (n,) energies of unseen good cells and their components.

    A component's variance is that of its own cells and, as if of 40 more, of all.
    """
    count = len(density.deviations)
    energies = energies.double()
    mean, variance = energies.mean(), energies.var(correction=0)
    numbers = torch.bincount(components, minlength=count) + float(_CELLS_OF_EACH)
    own = energies.new_zeros(count).index_add_(0, components, energies)
    centres = (own + _CELLS_OF_EACH * mean) / numbers
    squares = energies.new_zeros(count).index_add_(0, components, (energies - centres[components]).square())
    deviations = ((squares + _CELLS_OF_EACH * variance) / numbers).sqrt().clamp_min(_EPS)
    counted = (energies - mean) / deviations[components]
    spread = counted.std(correction=0).clamp_min(_EPS)
    return replace(
        density,
        mean=mean.item(),
        deviations=(deviations * spread).float(),
        shift=(counted.mean() / spread).item(),
    )
