"""Several density models as one: the mean of their energies."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from typing_extensions import Self

from differnet.flow.density import DensityModel, StoredPrecision
from differnet.flow.whitening import Whitening

__all__ = ["DensityEnsemble"]


class DensityEnsemble(DensityModel):
    """Density models of one kind and shape that learnt from different shares of the good images; scores are their mean.

    Where the kind allows it they compute together, each layer of all members in one batched product: one after the
    other most of the time would go into starting hundreds of small operations.

    Args:
        members: The models, at least one, alike but for what they learnt.
    """

    name = "ensemble"

    def __init__(self, members: Sequence[DensityModel]) -> None:
        super().__init__(members[0].features)
        self.members = nn.ModuleList(members)
        self._together: list[DensityModel] = []

    @property
    def member_count(self) -> int:
        """The number of members."""
        return len(self.members)

    @property
    def starts_fitted(self) -> bool:
        """Whether its members do."""
        return self._members[0].starts_fitted

    def start(self, batches: Iterable[Tensor]) -> None:
        """Start every member from the same vectors, see `DensityModel.start`."""
        every = [*batches]
        for member in self._members:
            member.start(every)

    def energy(self, y: Tensor) -> Tensor:
        """The mean over the members of `DensityModel.energy`: (B, d) -> (B,)."""
        if self._one_by_one:
            return torch.stack([member.energy(y) for member in self._members]).mean(0)
        return self._all().energy(y.expand(len(self.members), *y.shape)).mean(0)

    def loss(self, y: Tensor) -> Tensor:
        """The mean over the members of `DensityModel.loss`: (B, d) -> (B,)."""
        if self._one_by_one:
            return torch.stack([member.loss(y) for member in self._members]).mean(0)
        return self._all().loss(y.expand(len(self.members), *y.shape)).mean(0)

    def load_state(self, state: Mapping[str, Tensor], stored: StoredPrecision) -> None:
        """The reverse of `state`, see `DensityModel.load_state`."""
        self._together = []  # the members get tensors of their own again
        super().load_state(state, stored)

    @property
    def _members(self) -> list[DensityModel]:
        return [cast("DensityModel", member) for member in self.members]

    @property
    def _one_by_one(self) -> bool:
        # Runtimes start operations quickly, and the tensors of an exported graph keep their names.
        return torch.compiler.is_exporting() or not cast("DensityModel", self.members[0]).batches_members

    def _all(self) -> DensityModel:
        """All M members as one model of (M, B, d)."""
        if not self._together:
            # In a list, which hides it from the state dict: the parameters are the members'.
            self._together = [_stacked(self._members)]
        return self._together[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
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


def _stacked(members: Sequence[DensityModel]) -> DensityModel:
    """One model that does what all members do; their tensors become parts of its own, so that none is kept twice."""
    stacks: dict[str, Tensor] = {}
    tensors_of = [dict(itertools.chain(member.named_parameters(), member.named_buffers())) for member in members]
    for name, tensor in tensors_of[0].items():
        if tensor.is_floating_point():
            stacks[name] = torch.stack([tensors[name].detach() for tensors in tensors_of])
            for tensors, part in zip(tensors_of, stacks[name], strict=True):
                tensors[name].data = part
    together = copy.deepcopy(members[0]).requires_grad_(False)
    for name, module in [*together.named_modules()]:
        if isinstance(module, nn.Linear):
            layer = _StackedLinear(stacks[f"{name}.weight"], stacks[f"{name}.bias"])
            together.set_submodule(name, layer)
        elif isinstance(module, Whitening):
            for part, vectors in (("mean", True), ("deviation", True), ("basis", False), ("variances", True)):
                stack = stacks[f"{name}.{part}"]
                setattr(module, part, stack.unsqueeze(1) if vectors else stack)
    return together
