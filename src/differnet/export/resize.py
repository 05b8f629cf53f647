"""Pillow's antialiased bilinear resize as a graph: every level equal, whatever the size of the image."""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

__all__ = ["PillowResize"]

# Outputs that share a window of the input: less than all of them, or most of a matrix product would be with zeros.
_BLOCK = 16
# Pillow rounds its weights to 22 bits. Two digits of half as many keep float32 sums of products exact.
_DIGIT = 1 << 11

_Pass: TypeAlias = tuple[Tensor, Tensor]


class PillowResize(nn.Module):
    """What `differnet.views.resize` does: two passes, each rounded to whole levels.

    Pillow sums products of levels and of weights that are whole multiples of ``2 ** -22``, rounds half up, and so do
    both passes here. The weights follow from the size of the image, in the graph, in whole numbers: the triangle filter
    of an output is ``max(0, 2 m - |(2 x + 1) size - (2 o + 1) length|)`` with ``m = max(length, size)``, divided by its
    sum. They are split into two digits of 11 bits, so that float32 holds every sum exactly (up to 64 weights a sum, an
    image 32 times the size; beyond, nearly always).

    Args:
        size: Side of the result, or its height and width, in pixels.
        source: Height and width of all images where they are known, for which the weights are then constants.
    """

    def __init__(self, size: int | tuple[int, int], source: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.height, self.width = (size, size) if isinstance(size, int) else size
        self.source = source
        if source is not None:
            sides = (self.height, self.width)
            for name, length, side in zip(("rows", "columns"), source, sides, strict=True):
                places, weights = _weights(length, side)
                self.register_buffer(f"_{name}_places", places)
                self.register_buffer(f"_{name}_weights", weights)

    def forward(self, image: Tensor) -> Tensor:
        """Resize a uint8 (height, width, 3) image to (3, height, width) float32 whole levels in 0..255."""
        height, width = image.shape[:2] if self.source is None else self.source
        operands = (image, *self._pass("rows", height, self.height), *self._pass("columns", width, self.width))
        if not _pillow_turns():
            return self._horizontal_first(*operands)
        tall = _is_tall(height - self.height, width - self.width)
        if self.source is not None:
            return self._vertical_first(*operands) if tall else self._horizontal_first(*operands)
        # Weights are computed outside, once: tracing the branches takes half of an export's time otherwise.
        return torch.cond(tall, self._vertical_first, self._horizontal_first, operands)

    def _horizontal_first(
        self, image: Tensor, row_places: Tensor, row_weights: Tensor, column_places: Tensor, column_weights: Tensor
    ) -> Tensor:
        height, width, channels = image.shape
        columns = image.view(height, width * channels).T.reshape(width, channels * height)
        columns = _contract(columns, column_places, column_weights, self.width)
        rows = columns.view(self.width * channels, height).T
        rows = _contract(rows, row_places, row_weights, self.height)
        return rows.view(self.height, self.width, channels).permute(2, 0, 1).contiguous()

    def _vertical_first(
        self, image: Tensor, row_places: Tensor, row_weights: Tensor, column_places: Tensor, column_weights: Tensor
    ) -> Tensor:
        height, width, channels = image.shape
        rows = image.view(height, width * channels)
        rows = _contract(rows, row_places, row_weights, self.height)
        columns = rows.view(self.height, width, channels).permute(1, 0, 2).reshape(width, self.height * channels)
        columns = _contract(columns, column_places, column_weights, self.width)
        return columns.view(self.width, self.height, channels).permute(2, 1, 0).contiguous()

    def _pass(self, name: str, length: int, size: int) -> _Pass:
        if self.source is None:
            return _weights(length, size)
        return getattr(self, f"_{name}_places"), getattr(self, f"_{name}_weights")


def _is_tall(shorter: int, narrower: int) -> bool:
    """Whether Pillow, from 13.0 on, begins with the vertical pass, by how many pixels either side shrinks."""
    return (shorter > 0) & (shorter > 2 * narrower)


@cache
def _pillow_turns() -> bool:
    """Whether the Pillow installed here changes the order of the passes for tall images."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 40), dtype=np.uint8))
    bilinear = Image.Resampling.BILINEAR
    return image.resize((32, 32), bilinear) == image.resize((40, 32), bilinear).resize((32, 32), bilinear)


def _contract(lines: Tensor, places: Tensor, weights: Tensor, size: int) -> Tensor:
    """Resize (length, n) along the first axis to (size, n) whole levels."""
    windows = lines.index_select(0, places.flatten()).view(*places.shape, lines.shape[1]).float()
    # (blocks, 2 * _BLOCK, window) @ (blocks, window, n)
    high, low = (weights @ windows).chunk(2, dim=1)
    # floor(((high << 11) + low + (1 << 21)) >> 22), in steps that float32 does exactly.
    levels = torch.floor((high + torch.floor(low / _DIGIT) + _DIGIT / 2) / _DIGIT)
    return levels.view(-1, lines.shape[1])[:size]


def _weights(length: int, size: int) -> _Pass:
    """The windows of blocks of outputs, and the weights in them.

    Args:
        length: Of the image along an axis, in pixels; a symbol while a graph is traced.
        size: Of the result, in pixels.

    Returns:
        (blocks, window) int32 places in the image, and (blocks, 2 * _BLOCK, window) float32 weights: the high digits of
        a block's outputs, then the low ones.
    """
    blocks = -(-size // _BLOCK)
    window = (_BLOCK + 1) * length // size + 7
    outputs = torch.arange(blocks * _BLOCK, dtype=torch.int32)
    centres = ((2 * outputs + 1) * length).view(blocks, _BLOCK)
    reach = 2 * torch.clamp_min(torch.ones((), dtype=torch.int32) * length, size)
    first = torch.floor((centres[:, :1] - reach).float() / (2 * size)).to(torch.int32) - 1
    places = first + torch.arange(window, dtype=torch.int32)
    inside = ((places >= 0) & (places < length)).to(torch.int32)
    distances = (((2 * places + 1) * size).unsqueeze(1) - centres.unsqueeze(2)).abs()
    filters = torch.relu(reach - distances) * inside.unsqueeze(1)
    # Outputs that fill up the last block may see nothing of the image.
    total = filters.sum(2, keepdim=True, dtype=torch.int32).clamp_min(1)
    high, rest = _divide(filters * _DIGIT, total)
    # In two steps, since the product with 2 ** 11 at once might not fit an int32.
    upper, rest = _divide(rest * 64, total)
    lower, rest = _divide(rest * (_DIGIT // 64), total)
    low = upper * (_DIGIT // 64) + lower + (2 * rest >= total).to(torch.int32)
    # Digits around 0 keep sums small.
    carry = (low >= _DIGIT // 2).to(torch.int32)
    weights = torch.cat([high + carry, low - carry * _DIGIT], dim=1).float()
    return places.clamp(0, length - 1), weights


def _divide(dividend: Tensor, divisor: Tensor) -> tuple[Tensor, Tensor]:
    """Quotient and rest of whole numbers >= 0, exact also where a runtime divides them as float32."""
    quotient = torch.floor(dividend.float() / divisor.float()).to(torch.int32)
    rest = dividend - quotient * divisor
    for step in (-1, 1):
        wrong = (rest < 0 if step < 0 else rest >= divisor).to(torch.int32) * step
        quotient, rest = quotient + wrong, rest - wrong * divisor
    return quotient, rest
