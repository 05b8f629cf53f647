"""The coupling block of Real-NVP with soft-clamped scales (paper, section 3.2; Dinh et al., arXiv 1605.08803)."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from differnet.flow.density import Layer

__all__ = ["OFFICIAL_CLAMP_FACTOR", "TWO_OVER_PI", "CouplingBlock"]

TWO_OVER_PI = 2.0 / math.pi

# The official code cuts every block's output off here, so that one wild feature cannot become infinite.
_OUTPUT_LIMIT = 1e6


class CouplingBlock(Layer):
    """A permutation followed by an affine coupling of two halves.

    With the permuted input split into (x1, x2), and (s, t) the two halves of a subnet's output:
    ``y1 = exp(sigma(s2(x2))) * x1 + t2(x2)``, then ``y2 = exp(sigma(s1(y1))) * x2 + t1(y1)``, where
    ``sigma_a(h) = (2a / pi) * atan(h / a)`` is the soft clamp (paper, equations 1 to 3; Dinh et al., "Density
    estimation using Real NVP", ICLR 2017; Ardizzone et al., arXiv 1907.02392, for the clamp).

    Args:
        features: Number of features, d.
        hidden: Width of the three hidden layers of each subnet.
        clamp: The a of the soft clamp; log-scales stay within +-a.
        permutation: int64 (d,), output i takes input ``permutation[i]``.
        clamp_factor: Stands for 2 / pi in the soft clamp.
    """

    permutation: Tensor

    def __init__(
        self, features: int, hidden: int, clamp: float, permutation: Tensor, clamp_factor: float = TWO_OVER_PI
    ) -> None:
        super().__init__()
        self.split = (features // 2, features - features // 2)
        self.clamp = clamp
        self.clamp_factor = clamp_factor
        self.register_buffer("permutation", permutation)
        first, second = self.split
        self.subnet1: nn.Sequential = _subnet(first, hidden, 2 * second)
        self.subnet2: nn.Sequential = _subnet(second, hidden, 2 * first)

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, d) inputs to (B, d) outputs and the (B,) log-determinants of the Jacobian."""
        x1, x2 = y[..., self.permutation].split(self.split, dim=-1)
        log_scale2, shift2 = self._affine(self.subnet2, x2)
        y1 = log_scale2.exp() * x1 + shift2
        log_scale1, shift1 = self._affine(self.subnet1, y1)
        y2 = log_scale1.exp() * x2 + shift1
        z = torch.cat((y1, y2), dim=-1).clamp(-_OUTPUT_LIMIT, _OUTPUT_LIMIT)
        return z, log_scale1.sum(-1) + log_scale2.sum(-1)

    def inverse(self, z: Tensor) -> Tensor:
        """Map (B, d) outputs back to (B, d) inputs."""
        y1, y2 = z.split(self.split, dim=1)
        log_scale1, shift1 = self._affine(self.subnet1, y1)
        x2 = (y2 - shift1) * (-log_scale1).exp()
        log_scale2, shift2 = self._affine(self.subnet2, x2)
        x1 = (y1 - shift2) * (-log_scale2).exp()
        y = torch.empty_like(z)
        y[:, self.permutation] = torch.cat((x1, x2), dim=1)
        return y

    @torch.no_grad()
    def become_identity(self) -> None:
        """Make the coupling do nothing, by zeros in the subnets' last layers (Kingma and Dhariwal, Glow, 2018)."""
        for subnet in (self.subnet1, self.subnet2):
            last = cast("nn.Linear", subnet[-1])
            last.weight.zero_()
            last.bias.zero_()

    def wrong(self) -> str | None:
        """The permutation, if it is none: another would be an error at each image, or leave features out."""
        ordered = self.permutation.sort().values
        same = torch.equal(ordered, torch.arange(len(ordered), device=ordered.device))
        return None if same else "permutation"

    def _affine(self, subnet: nn.Module, condition: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = subnet(condition).chunk(2, dim=-1)
        return self.clamp * self.clamp_factor * torch.atan(scale / self.clamp), shift


def _subnet(features_in: int, hidden: int, features_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features_in, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, features_out),
    )


OFFICIAL_CLAMP_FACTOR = 0.636
"""What the official code writes for 2 / pi in the soft clamp."""
