"""Drawing feature vectors from a density, by the flow's inverse."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from differnet.flow.density import DensityModel, InvertibleDensityModel
from differnet.flow.ensemble import DensityEnsemble

__all__ = ["draw"]


def draw(flow: DensityModel, count: int, generator: torch.Generator | None = None) -> Tensor | None:
    """Draw feature vectors from a density; of an ensemble, as many from each member as can be.

    Args:
        flow: The density.
        count: How many.
        generator: Of chance, on the CPU.

    Returns:
        (count, d) float32 on the flow's device; None for a density without an inverse.
    """
    if isinstance(flow, DensityEnsemble):
        members = [cast("DensityModel", member) for member in flow.members]
        each, more = divmod(count, len(members))
        parts = [draw(member, each + (place < more), generator) for place, member in enumerate(members)]
        known = [part for part in parts if part is not None]
        return torch.cat(known) if len(known) == len(parts) else None
    return flow.sample(count, generator) if isinstance(flow, InvertibleDensityModel) else None
