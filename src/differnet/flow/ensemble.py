"""Several flows as one: the mean of their energies."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from differnet.flow.normalizing_flow import NormalizingFlow
from differnet.flow.whitening import Whitening

__all__ = ["FlowEnsemble"]


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
