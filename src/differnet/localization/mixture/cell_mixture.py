"""The density of good cells: a mixture of probabilistic principal component analysers.

Tipping and Bishop: "Mixtures of Probabilistic Principal Component Analyzers", Neural Computation 1999. Its cost does
not grow with the number or the variety of good images, and it is made of matrix products alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["CellMixture", "assign_components", "fit_mixture", "within_covariance"]

_SMALLEST = 1e-6
_CLUSTERED = 20_000
_ROUNDS = 6
# Energies of so many cells at a time stay in a processor's cache.
_CHUNK = 1024
_FAR_CELLS = 16_384
# Of the iteration for principal axes: axes more than wanted, and rounds from a random start and from one near the end.
_SPARE = 8
_FROM_AFAR, _FROM_NEAR = 12, 3
# Covariances of so many components are held at a time, 26 MB: those of all are 105 MB, in each fold that is fitted.
_TOGETHER = 256


@dataclass(frozen=True)
class CellMixture:
    """K Gaussians, each with r principal axes of its own and one variance in all other directions.

    Attributes:
        means: (K, k) float32.
        axes: (r, k, K) float32, in half precision's steps: principal axes, each times
            ``sqrt(1 / variance - 1 / variance along it)``.
        offsets: (r, K) float32, the means along these axes.
        variances: (K,) float32, beyond the axes.
        constants: (K,) float32, the log-determinants of the covariances.
    """

    means: Tensor
    axes: Tensor
    offsets: Tensor
    variances: Tensor
    constants: Tensor

    def energy(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Twice the negative log-likelihood, without constants, under the component that explains a cell best.

        With ``d = x - mean`` and the scaled axes V: ``|d|^2 / variance - |V' d|^2 + log det`` (Tipping and Bishop's
        equation 10, by Woodbury's identity).

        Args:
            cells: (n, k) float32.

        Returns:
            (n,) float32, higher is more anomalous, and (n,) int64, the component.
        """
        own = self.means.square().sum(1)
        found = []
        for x in cells.split(_CHUNK):
            energy = torch.addmm(own, x, self.means.T, alpha=-2) + x.square().sum(1, keepdim=True)
            energy = energy / self.variances + self.constants
            for axes, offsets in zip(self.axes, self.offsets, strict=True):
                along = torch.addmm(offsets, x, axes, beta=-1)
                energy = torch.addcmul(energy, along, along, value=-1)
            found.append(energy.min(1))
        return torch.cat([least for least, _ in found]), torch.cat([component for _, component in found])

    def state(self) -> dict[str, Tensor]:
        """The tensors by name, as they stand in a model file."""
        return {
            "means": self.means,
            "axes": self.axes.half(),
            "offsets": self.offsets,
            "variances": self.variances,
            "constants": self.constants,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], dimensions: int) -> CellMixture:
        """The reverse of `state`.

        Args:
            state: The tensors.
            dimensions: k.

        Raises:
            KeyError: If a tensor is missing; its argument is the name.
            ValueError: If a tensor is not as expected; likewise.
        """
        found = {name: state[name] for name in ("means", "axes", "offsets", "variances", "constants")}
        count = len(found["means"])
        if found["axes"].dim() == 2 and count and found["axes"].shape[1] % count == 0:
            # As it was before 2026-11-27: the axes of a component side by side, in float32.
            found["axes"] = found["axes"].view(len(found["axes"]), count, -1).permute(2, 0, 1).contiguous()
            found["offsets"] = found["offsets"].view(count, -1).T.contiguous()
        along = len(found["axes"])
        shapes = {
            "means": (count, dimensions),
            "axes": (along, dimensions, count),
            "offsets": (along, count),
            "variances": (count,),
            "constants": (count,),
        }
        for name, tensor in found.items():
            dtypes = (torch.float16, torch.float32) if name == "axes" else (torch.float32,)
            if tensor.dtype not in dtypes or tensor.shape != shapes[name] or not tensor.isfinite().all():
                raise ValueError(name)
        if not count or not (found["variances"] > 0).all():
            raise ValueError("variances")
        return cls(**{name: tensor.float() for name, tensor in found.items()})

    def to(self, device: torch.device) -> CellMixture:
        """The mixture on a device."""
        return CellMixture(*(getattr(self, name).to(device) for name in self.state()))


def fit_mixture(
    cells: Tensor,
    components: Tensor,
    count: int,
    *,
    rank: int,
    strength: float,
    used: Tensor | None = None,
    start: CellMixture | None = None,
) -> CellMixture:
    """Fit a Gaussian to the cells of each component.

    A component's covariance is drawn towards the identity as if `strength` more cells had that covariance, which it is
    on average in the space where `within_covariance` is white. One without cells explains nothing: its constant is
    infinite.

    Args:
        cells: (n, k) float32, white within components.
        components: (n,) int64, of each cell.
        count: Number K of components.
        rank: Number r of principal axes of each.
        strength: Of the pull, in cells.
        used: (m,) int64, places of the cells to fit to; None for all.
        start: A mixture of nearly the same cells with as many components, from which the axes are found sooner.
    """
    size = cells.shape[1]
    rank = min(rank, size - 1)
    used = torch.arange(len(cells), device=cells.device) if used is None else used
    components = components[used]
    numbers = torch.bincount(components, minlength=count)
    groups = used[components.argsort(stable=True)].split(numbers.tolist())
    means, total = cells.new_zeros(count, size), cells.new_zeros(count)
    own, axes = cells.new_zeros(count, rank), cells.new_zeros(count, size, rank)
    near = None if start is None else start.axes.permute(2, 1, 0)
    for first in range(0, count, _TOGETHER):
        some = slice(first, min(first + _TOGETHER, count))
        covariances = cells.new_zeros(some.stop - first, size, size)
        for number, places in enumerate(groups[some], start=first):
            if len(places):
                group = cells[places]
                means[number] = group.mean(0)
                centred = group - means[number]
                torch.mm(centred.T, centred, out=covariances[number - first])
        covariances.diagonal(dim1=1, dim2=2).add_(strength)
        covariances /= (numbers[some, None, None] + strength).float()
        own[some], axes[some] = _principal_axes(covariances, rank, None if near is None else near[some])
        total[some] = covariances.diagonal(dim1=1, dim2=2).sum(1)
    rest = ((total - own.sum(1)) / (size - rank)).clamp_min(_SMALLEST)
    scaled = axes * (1 / rest[:, None] - 1 / own).clamp_min(0).sqrt()[:, None, :]
    # Rounded as a model file keeps them, so that a saved model scores as the one in memory.
    scaled = scaled.half().float()
    return CellMixture(
        means,
        scaled.permute(2, 1, 0).contiguous(),
        torch.einsum("ck,ckr->rc", means, scaled).contiguous(),
        rest,
        (own.log().sum(1) + (size - rank) * rest.log()).masked_fill(numbers == 0, torch.inf),
    )


def within_covariance(cells: Tensor, components: Tensor, count: int) -> Tensor:
    """The covariance of (n, k) cells about the means of their components, pooled: (k, k) float64."""
    numbers = torch.bincount(components, minlength=count)
    sums = cells.new_zeros(count, cells.shape[1]).index_add_(0, components, cells)
    centred = cells - (sums / numbers.clamp_min(1)[:, None])[components]
    return (centred.T @ centred).double() / len(cells)


def assign_components(cells: Tensor, count: int, seed: Sequence[int]) -> Tensor:
    """Divide (n, k) cells into at most `count` components by k-means.

    Args:
        cells: Of good images.
        count: Number of components.
        seed: Of the cells that the centres start from.

    Returns:
        (n,) int64.
    """
    random = np.random.default_rng(seed)
    sample = cells[torch.from_numpy(random.permutation(len(cells))[:_CLUSTERED].copy())]
    centres = sample[:count].clone()
    for _ in range(_ROUNDS):
        nearest = _nearest(sample, centres)
        numbers = torch.bincount(nearest, minlength=len(centres))
        sums = torch.zeros_like(centres).index_add_(0, nearest, sample)
        centres = torch.where((numbers > 0)[:, None], sums / numbers.clamp_min(1)[:, None], centres)
    return _nearest(cells, centres)


def _nearest(cells: Tensor, centres: Tensor) -> Tensor:
    own = centres.square().sum(1)
    return torch.cat([torch.addmm(own, part, centres.T, alpha=-2).argmin(1) for part in cells.split(_FAR_CELLS)])


def _principal_axes(covariances: Tensor, rank: int, start: Tensor | None) -> tuple[Tensor, Tensor]:
    """The greatest variances and their axes, by subspace iteration: all eigenvectors would take thirty times as long.

    Where it has not converged to the last digit the Gaussian has other axes, and is none the less one: the variances
    are those along the axes that it has.

    Args:
        covariances: (K, k, k).
        rank: r.
        start: (K, k, r) directions near the axes, of any length.

    Returns:
        (K, r) variances, falling, and (K, k, r) orthonormal axes.
    """
    count, size, _ = covariances.shape
    wide = min(rank + _SPARE, size)
    if wide == size:
        variances, axes = torch.linalg.eigh(covariances)
        return variances.flip(1)[:, :rank].clamp_min(_SMALLEST), axes.flip(2)[:, :, :rank]
    # NumPy's legacy generator never changes.
    random = np.random.RandomState(0).standard_normal((size, wide)).astype(np.float32)
    block = torch.from_numpy(random).to(covariances.device).expand(count, -1, -1)
    rounds = _FROM_AFAR
    if start is not None and start.shape[2] == rank:
        # Beside noise, or an axis of no length, of a component that needed fewer, would stay one.
        near = torch.nn.functional.normalize(start, dim=1) + 0.1 * block[:, :, :rank] / size**0.5
        block, rounds = torch.cat([near, block[:, :, rank:]], dim=2), _FROM_NEAR
    for _ in range(rounds):
        block = _orthonormal(covariances @ block)
    block = _orthonormal(block)  # once more, for the digits that Cholesky's factor loses
    variances, turn = torch.linalg.eigh(block.transpose(1, 2) @ covariances @ block)
    return variances.flip(1)[:, :rank].clamp_min(_SMALLEST), (block @ turn).flip(2)[:, :, :rank]


def _orthonormal(block: Tensor) -> Tensor:
    """(K, k, m) with orthonormal columns that span the same, by Cholesky's factor of their products."""
    products = block.transpose(1, 2) @ block
    products.diagonal(dim1=1, dim2=2).mul_(1 + _SMALLEST).add_(_SMALLEST**2)
    factor = torch.linalg.cholesky(products)
    identity = torch.eye(block.shape[2], device=block.device).expand_as(factor)
    return block @ torch.linalg.solve_triangular(factor, identity, upper=False).transpose(1, 2)
