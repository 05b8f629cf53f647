"""Bringing small tables to a GPU without waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["to_device"]


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Bring a tensor to a device; on a GPU it is only put in line, and the processor goes on.

    Args:
        values: On any device; from a processor it goes by page-locked memory, from which alone a GPU fetches by itself.
        device: Where to.

    Returns:
        The tensor itself where it is there already.
    """
    if device.type != "cuda" or values.device.type != "cpu":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
