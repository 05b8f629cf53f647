"""The space that cells are compared in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

__all__ = ["CellSpace"]

_SHARE = 0.3
_CHUNK = 8192
_SMALLEST = 1e-6
_RIDGE = 1e-3


@dataclass(frozen=True)
class CellSpace:
    """Makes what several stages say of a cell comparable, and brings it to few dimensions.

    Every stage's vector v becomes ``v / (|v| + 0.3 * typical length)``: the contrast of an image counts less than its
    pattern, and a place where nothing is seen is not blown up. Then the principal axes are divided by the square root
    of their standard deviation, which is half way to a unit covariance: directions of small variance carry defects,
    and noise. A random projection (Johnson and Lindenstrauss 1984) keeps what matters of the distances.

    Attributes:
        channels: (stages,) int64, of each stage; they add up to D.
        typical: (stages,) float32, mean length of a good cell's vector in each stage.
        projection: (D, k) float32.
    """

    channels: Tensor
    typical: Tensor
    projection: Tensor

    @classmethod
    def fit(cls, cells: Tensor, channels: tuple[int, ...], dimensions: int) -> CellSpace:
        """Learn from (n, D) cells of good images, part by part: in float32 they may be many.

        Args:
            cells: As the stages have them, float32 or float16.
            channels: Of each stage.
            dimensions: k; D if that is less.
        """
        lengths, size = torch.zeros(len(channels), dtype=torch.float64), sum(channels)
        for part in cells.split(_CHUNK):
            lengths += torch.stack([of_stage.norm(dim=1).sum() for of_stage in part.float().split(channels, dim=1)])
        typical = (lengths / len(cells)).float()
        products = torch.zeros(size, size, dtype=torch.float64)
        for part in cells.split(_CHUNK):
            scaled = _scaled(part.float(), channels, _SHARE * typical)
            products += scaled.T @ scaled
        variances, axes = torch.linalg.eigh(products / len(cells))
        variances = variances.clamp_min(max(float(variances.max()) * _SMALLEST, _SMALLEST**2))
        half = (axes * variances**-0.25).float()
        if dimensions < len(half):
            # NumPy's legacy generator never changes.
            random = np.random.RandomState(0).standard_normal((len(half), dimensions)) / dimensions**0.5
            half = half @ torch.from_numpy(random.astype(np.float32))
        return cls(torch.tensor(channels), typical, half)

    def whitened(self, covariance: Tensor) -> CellSpace:
        """This space followed by the linear map that makes a (k, k) float64 covariance the identity."""
        size = len(covariance)
        ridge = covariance.trace() / size * _RIDGE + _SMALLEST
        variances, axes = torch.linalg.eigh(covariance + ridge * torch.eye(size, dtype=covariance.dtype))
        linear = (axes * variances.clamp_min(_SMALLEST) ** -0.5).float()
        return replace(self, projection=self.projection @ linear)

    def __call__(self, cells: Tensor) -> Tensor:
        """Bring (n, D) cells to (n, k)."""
        return _scaled(cells, tuple(self.channels.tolist()), _SHARE * self.typical) @ self.projection

    def parts(self) -> list[tuple[int, float]]:
        """For each stage its channels and what is added to the length of its vectors."""
        return list(zip(self.channels.tolist(), (_SHARE * self.typical).tolist(), strict=True))

    def state(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return {"channels": self.channels, "typical": self.typical, "projection": self.projection}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> CellSpace:
        """The reverse of `state`.

        Raises:
            KeyError: If a tensor is missing; its argument is the name.
            ValueError: If a tensor is not as expected; likewise.
        """
        channels, typical, projection = state["channels"], state["typical"], state["projection"]
        if channels.dtype != torch.int64 or channels.dim() != 1 or not len(channels) or not (channels > 0).all():
            raise ValueError("channels")
        if typical.dtype != torch.float32 or typical.shape != channels.shape or not (typical >= 0).all():
            raise ValueError("typical")
        shaped = projection.dtype == torch.float32 and projection.dim() == 2
        if not (shaped and len(projection) == int(channels.sum()) and projection.isfinite().all()):
            raise ValueError("projection")
        return cls(channels, typical, projection)

    def to(self, device: torch.device) -> CellSpace:
        """The space on a device; the channels stay where they are."""
        return CellSpace(self.channels, self.typical.to(device), self.projection.to(device))


def _scaled(cells: Tensor, channels: tuple[int, ...], added: Tensor) -> Tensor:
    parts = cells.split(channels, dim=1)
    return torch.cat(
        [part / (part.norm(dim=1, keepdim=True) + more) for part, more in zip(parts, added, strict=True)], dim=1
    )
