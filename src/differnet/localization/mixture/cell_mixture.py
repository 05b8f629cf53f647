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

__all__ = ["CellMixture", "CellStatistics", "assign_components"]

_RIDGE = 1e-3
_SMALLEST = 1e-6
_CLUSTERED = 20_000
_ROUNDS = 6
_CHUNK = 8192


@dataclass(frozen=True)
class CellMixture:
    """K Gaussians, each with r principal axes of its own and one variance in all other directions.

    Attributes:
        means: (K, k) float32.
        axes: (k, K * r) float32: principal axes, each times ``sqrt(1 / variance - 1 / variance along it)``.
        offsets: (K * r,) float32, the means along these axes.
        variances: (K,) float32, beyond the axes.
        constants: (K,) float32, the log-determinants of the covariances.
    """

    means: Tensor
    axes: Tensor
    offsets: Tensor
    variances: Tensor
    constants: Tensor

    def energy(self, cells: Tensor) -> Tensor:
        """Twice the negative log-likelihood, without constants, under the component that explains a cell best.

        With ``d = x - mean`` and the scaled axes V: ``|d|^2 / variance - |V' d|^2 + log det`` (Tipping and Bishop's
        equation 10, by Woodbury's identity).

        Args:
            cells: (n, k) float32.

        Returns:
            (n,) float32, higher is more anomalous.
        """
        own, count = self.means.square().sum(1), len(self.means)
        parts = []
        for x in cells.split(_CHUNK):
            distance = torch.addmm(own, x, self.means.T, alpha=-2) + x.square().sum(1, keepdim=True)
            along = (x @ self.axes - self.offsets).square().view(len(x), count, -1).sum(2)
            parts.append((distance / self.variances - along + self.constants).amin(1))
        return torch.cat(parts)

    def state(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return {
            "means": self.means,
            "axes": self.axes,
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
        found = cls(*(state[name] for name in ("means", "axes", "offsets", "variances", "constants")))
        count, along = len(found.means), found.axes.shape[-1]
        shapes = {
            "means": (count, dimensions),
            "axes": (dimensions, along),
            "offsets": (along,),
            "variances": (count,),
            "constants": (count,),
        }
        for name, tensor in found.state().items():
            if tensor.dtype != torch.float32 or tensor.shape != shapes[name] or not tensor.isfinite().all():
                raise ValueError(name)
        if not count or along % count or not (found.variances > 0).all():
            raise ValueError("variances")
        return found

    def to(self, device: torch.device) -> CellMixture:
        """The mixture on a device."""
        return CellMixture(*(tensor.to(device) for tensor in self.state().values()))


@dataclass(frozen=True)
class CellStatistics:
    """Sums over the cells of each component, which a mixture follows from; those of some images can be taken away.

    Attributes:
        counts: (K,) float64, cells in each component.
        sums: (K, k) float64.
        products: (K, k, k) float64, sums of outer products.
    """

    counts: Tensor
    sums: Tensor
    products: Tensor

    @classmethod
    def of(cls, cells: Tensor, components: Tensor, count: int) -> CellStatistics:
        """Sum up (n, k) cells, each of the component that (n,) `components` names, of `count`."""
        numbers = torch.bincount(components, minlength=count)
        sums, products = [], []
        for group in cells[components.argsort(stable=True)].split(numbers.tolist()):
            sums.append(group.double().sum(0))
            products.append((group.T @ group).double())
        return cls(numbers.double(), torch.stack(sums), torch.stack(products))

    def without(self, others: CellStatistics) -> CellStatistics:
        """These without others, as if those had never been added."""
        return CellStatistics(self.counts - others.counts, self.sums - others.sums, self.products - others.products)

    def mixture(self, rank: int, strength: float) -> tuple[Tensor, CellMixture]:
        """The mixture that follows, in the space where the covariance within components, pooled, is the identity.

        A component's covariance is drawn towards the pooled one as if `strength` more cells had that covariance.

        Args:
            rank: Number r of principal axes of each component.
            strength: Of the pull, in cells.

        Returns:
            (k, k) float32, the linear map into that space; and the mixture there.
        """
        used = self.counts > 0.5
        counts, sums, products = self.counts[used], self.sums[used], self.products[used]
        size = sums.shape[1]
        rank = min(rank, size - 1)
        means = sums / counts[:, None]
        scatter = products - means[:, :, None] * sums[:, None, :]
        pooled = scatter.sum(0) / counts.sum()
        pooled.diagonal().add_(pooled.trace() / size * _RIDGE + _SMALLEST)
        variances, basis = torch.linalg.eigh(pooled)
        variances = variances.clamp_min(_SMALLEST)
        whitening = basis * variances**-0.5
        covariances = (whitening.T @ scatter @ whitening).float()
        covariances.diagonal(dim1=1, dim2=2).add_(strength)
        covariances = covariances / (counts[:, None, None] + strength).float()
        variances, axes = torch.linalg.eigh(covariances)
        variances, axes = variances.flip(1).clamp_min(_SMALLEST), axes.flip(2)[:, :, :rank]
        own, rest = variances[:, :rank], variances[:, rank:].mean(1)
        scaled = axes * (1 / rest[:, None] - 1 / own).clamp_min(0).sqrt()[:, None, :]
        centres = (means @ whitening).float()
        return whitening.float(), CellMixture(
            centres,
            scaled.permute(1, 0, 2).reshape(size, -1).contiguous(),
            torch.einsum("ck,ckr->cr", centres, scaled).flatten(),
            rest,
            own.log().sum(1) + (size - rank) * rest.log(),
        )


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
    return torch.cat([_nearest(part, centres) for part in cells.split(_CHUNK)])


def _nearest(cells: Tensor, centres: Tensor) -> Tensor:
    return torch.addmm(centres.square().sum(1), cells, centres.T, alpha=-2).argmin(1)
