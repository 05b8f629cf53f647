"""A digest of tensors, by which damage to a file that holds them is seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["digest_tensors"]


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and values of all tensors, in the order of their names.

    Args:
        tensors: By name, on the CPU and contiguous.

    Returns:
        64 hexadecimal digits.
    """
    import torch  # noqa: PLC0415 - reading a manifest must not need it

    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
