"""f_NF: the normalizing flow, Real-NVP coupling blocks with fixed random permutations (paper, section 3.2)."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from differnet.errors import SettingsError
from differnet.whitening import Whitening

__all__ = ["TWO_OVER_PI", "CouplingBlock", "FlowEnsemble", "NormalizingFlow", "negative_log_likelihood"]

TWO_OVER_PI = 2.0 / math.pi

# The official code cuts every block's output off here, so that one wild feature cannot become infinite.
_OUTPUT_LIMIT = 1e6


class CouplingBlock(nn.Module):
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

    def _affine(self, subnet: nn.Module, condition: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = subnet(condition).chunk(2, dim=-1)
        return self.clamp * self.clamp_factor * torch.atan(scale / self.clamp), shift


class NormalizingFlow(nn.Module):
    """The density of feature vectors: an invertible map to a standard normal distribution.

    In the paper features go in as they are. With ``whiten`` the first layer is a `Whitening`, and the blocks start as
    the identity, so that the untrained flow is a Gaussian, and training can stop there if the data say no more.

    Args:
        features: Number of features, d.
        blocks: Number of coupling blocks.
        hidden: Width of the subnets' hidden layers.
        clamp: The a of the soft clamp.
        clamp_factor: Stands for 2 / pi in the soft clamp; the official code writes 0.636.
        permutation_seed: Block k permutes by NumPy's ``RandomState(permutation_seed + k).permutation(d)``; 0 gives
            the official permutations. They are buffers and so travel with the weights.
        whiten: Begin with a `Whitening`, which is to be fitted before training.

    Example:
        >>> flow = NormalizingFlow(features=768, hidden=64)
        >>> z, log_det = flow(torch.zeros(4, 768))
        >>> z.shape, log_det.shape
        (torch.Size([4, 768]), torch.Size([4]))
    """

    def __init__(
        self,
        features: int,
        blocks: int = 8,
        hidden: int = 2048,
        clamp: float = 3.0,
        *,
        clamp_factor: float = TWO_OVER_PI,
        permutation_seed: int = 0,
        whiten: bool = False,
    ) -> None:
        super().__init__()
        if features < 2 or blocks < 1 or hidden < 1 or not clamp > 0.0:
            raise SettingsError("A flow needs at least 2 features, 1 block, 1 hidden unit and a clamp above 0.")
        self.features = features
        permutations = (np.random.RandomState(permutation_seed + k).permutation(features) for k in range(blocks))
        self.blocks = nn.ModuleList(
            CouplingBlock(features, hidden, clamp, torch.from_numpy(permutation).long(), clamp_factor)
            for permutation in permutations
        )
        self.whitening = Whitening(features) if whiten else None
        if whiten:
            for block in self.blocks:
                cast("CouplingBlock", block).become_identity()

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map features to the latent space.

        Args:
            y: (B, d) features.

        Returns:
            z: (B, d) latent vectors.
            log_det: (B,) log |det dz/dy|, from the same pass.
        """
        z, log_det = (y, y.new_zeros(y.shape[:-1])) if self.whitening is None else self.whitening(y)
        for block in self.blocks:
            z, block_log_det = block(z)
            log_det = log_det + block_log_det
        return z, log_det

    def inverse(self, z: Tensor) -> Tensor:
        """Map (B, d) latent vectors back to (B, d) features."""
        y = z
        for block in reversed([*self.blocks]):
            y = cast("CouplingBlock", block).inverse(y)
        return y if self.whitening is None else self.whitening.inverse(y)

    def energy(self, y: Tensor) -> Tensor:
        """The mean of z squared over the d latent values: (B, d) features -> (B,), what scores are made of."""
        return self(y)[0].square().mean(dim=-1)

    def loss(self, y: Tensor) -> Tensor:
        """The `negative_log_likelihood` of (B, d) features, (B,)."""
        return negative_log_likelihood(*self(y))

    @torch.no_grad()
    def round_matrices(self) -> None:
        """Round all matrices to half precision, as they are stored; vectors and the whitening's variances stay."""
        for tensor in self.state_dict().values():
            if tensor.dim() == 2:
                tensor.copy_(tensor.half())

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (count, d) feature vectors from the learnt density, by the inverse."""
        z = torch.randn(count, self.features, generator=generator)
        return self.inverse(z.to(next(self.parameters())))


class FlowEnsemble(nn.Module):
    """Several flows of one shape that learnt from different shares of the good images; scores are the mean over them.

    They compute together, each layer of all members in one batched product: one after the other most of the time would
    go into starting hundreds of small operations.

    Args:
        members: The flows, at least one, alike but for what they learnt.
    """

    def __init__(self, members: Sequence[NormalizingFlow]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self._together: list[NormalizingFlow] = []

    def energy(self, y: Tensor) -> Tensor:
        """The mean over the members of `NormalizingFlow.energy`: (B, d) -> (B,)."""
        if torch.compiler.is_exporting():  # runtimes start operations quickly, and the tensors keep their names
            return torch.stack([cast("NormalizingFlow", member).energy(y) for member in self.members]).mean(0)
        return self._all().energy(y.expand(len(self.members), *y.shape)).mean(0)

    def loss(self, y: Tensor) -> Tensor:
        """The mean over the members of `NormalizingFlow.loss`: (B, d) -> (B,)."""
        return self._all().loss(y.expand(len(self.members), *y.shape)).mean(0)

    def _all(self) -> NormalizingFlow:
        """All M members as one flow of (M, B, d)."""
        if not self._together:
            # In a list, which hides it from the state dict: the parameters are the members'.
            self._together = [_stacked([cast("NormalizingFlow", member) for member in self.members])]
        return self._together[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FlowEnsemble:
        self._together = []  # the members get tensors of their own again, on another device perhaps
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


class _StackedLinear(nn.Module):
    """The linear layers of M members, (M, B, k) -> (M, B, n)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = weight.mT, bias.unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


def _stacked(members: Sequence[NormalizingFlow]) -> NormalizingFlow:
    """One flow that does what all members do; their tensors become parts of its own, so that none is kept twice."""
    stacks: dict[str, Tensor] = {}
    tensors_of = [dict(itertools.chain(member.named_parameters(), member.named_buffers())) for member in members]
    for name, tensor in tensors_of[0].items():
        if tensor.is_floating_point():
            stacks[name] = torch.stack([tensors[name].detach() for tensors in tensors_of])
            for tensors, part in zip(tensors_of, stacks[name], strict=True):
                tensors[name].data = part
    flow = copy.deepcopy(members[0]).requires_grad_(False)
    for name, module in [*flow.named_modules()]:
        if isinstance(module, nn.Linear):
            stacked = _StackedLinear(stacks[f"{name}.weight"], stacks[f"{name}.bias"])
            flow.set_submodule(name, stacked)
        elif isinstance(module, Whitening):
            for part, vectors in (("mean", True), ("deviation", True), ("basis", False), ("variances", True)):
                stack = stacks[f"{name}.{part}"]
                setattr(module, part, stack.unsqueeze(1) if vectors else stack)
    return flow


def negative_log_likelihood(z: Tensor, log_det: Tensor) -> Tensor:
    """The training loss per vector, ``||z||^2 / 2 - log |det dz/dy|`` divided by d (paper, equation 4).

    Constant terms are left out, and the division by the number of features is the official code's.

    Args:
        z: (B, d) latent vectors.
        log_det: (B,) log-determinants.

    Returns:
        (B,) losses.
    """
    return (0.5 * z.square().sum(dim=-1) - log_det) / z.shape[-1]


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
