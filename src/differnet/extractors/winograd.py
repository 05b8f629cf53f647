"""Convolutions with a third to a half of the products, where a processor is to compute very many of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from differnet.extractors.base import Extractor

__all__ = ["WinogradConv2d", "quickened"]

# Where the polynomials are evaluated; more would cost digits.
_POINTS = tuple(map(Fraction, ("0", "1", "-1", "2", "-2", "1/2", "-1/2")))
_MOST_POINTS = {3: 7, 5: 8}
# With fewer channels more time goes into the transforms than is won.
_LEAST_CHANNELS = 64


class WinogradConv2d(nn.Module):
    """What a convolution with stride 1 computes, by minimal filtering.

    The maps are divided into tiles of m x m results each; tiles and kernels are transformed, multiplied point by point,
    and transformed back: for kernels of 3 x 3 and m = 4 that takes 36 products for 16 results instead of 144 (Winograd,
    "Arithmetic Complexity of Computations", 1980; Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
    CVPR 2016). In float32 results differ from those of the convolution by some 1e-6 of the largest, twice as much as
    these differ from exact ones.

    Args:
        convolution: Of 3 x 3 or 5 x 5, stride 1, without groups and dilation.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        self._kernels: dict[int, Tensor] = {}

    @staticmethod
    def suits(layer: nn.Module) -> bool:
        """Whether a layer is a convolution that this can stand for, and is the quicker one."""
        return (
            isinstance(layer, nn.Conv2d)
            and layer.kernel_size in ((3, 3), (5, 5))
            and (layer.stride, layer.dilation, layer.groups) == ((1, 1), (1, 1), 1)
            and layer.padding_mode == "zeros"
            and not isinstance(layer.padding, str)
            and min(layer.in_channels, layer.out_channels) >= _LEAST_CHANNELS
        )

    @torch.no_grad()
    def forward(self, maps: Tensor) -> Tensor:
        """Convolve maps, (B, C, h, w), without a gradient; quickest where their memory is channels last."""
        layer = self.convolution
        kernel, pad = layer.kernel_size[0], int(layer.padding[0])
        count, _, height, width = maps.shape
        rows, columns = height + 2 * pad - kernel + 1, width + 2 * pad - kernel + 1
        side = _tile_side(kernel, max(rows, columns))
        down, across = -(-rows // side), -(-columns // side)
        more = kernel - 1 - pad
        padded = functional.pad(
            maps.permute(0, 2, 3, 1),
            (0, 0, pad, across * side + more - width, pad, down * side + more - height),
        ).contiguous()
        result = maps.new_empty(count, down, side, across, side, layer.out_channels)
        kernels = self._kernels_of(side)
        # As many tiles at once as take the memory that the kernels take, which are read for each go.
        tiles = kernels.shape[1] * kernels.shape[2] // (kernels.shape[1] + kernels.shape[2])
        images = max(tiles // (down * across), 1)
        tile_rows = down if images > 1 else max(tiles // across, 1)
        for image in range(0, count, images):
            for row in range(0, down, tile_rows):
                part = slice(image, image + images), slice(row, row + tile_rows)
                self._convolve(padded[part[0]], row, kernels, result[part])
        flat = result.view(count, down * side, across * side, -1)[:, :rows, :columns]
        shifted = flat.clone() if layer.bias is None else flat + layer.bias
        return shifted.permute(0, 3, 1, 2)

    def _convolve(self, padded: Tensor, first: int, kernels: Tensor, result: Tensor) -> None:
        """Compute some rows of tiles of some images.

        Args:
            padded: (B, H, W, C), contiguous.
            first: Number of the first row of tiles.
            kernels: (n * n, C, K), transformed.
            result: (B, rows of tiles, m, columns of tiles, m, K), to be filled.
        """
        count, rows, side, columns, _, _ = result.shape
        width, channels = padded.shape[2:]
        back, _, forth = _transforms(self.convolution.kernel_size[0], side)
        points = len(forth)
        line = width * channels
        down = padded.new_empty(count, rows, points, width, channels)
        for image, target in zip(padded[:, first * side :], down, strict=True):
            tiles = image.as_strided((rows, points, line), (side * line, line, 1))
            torch.bmm(forth.expand(rows, -1, -1), tiles, out=target.view(rows, points, line))
        lines = down.view(count * rows * points, width, channels)
        turned = padded.new_empty(points, points, count * rows, columns, channels)
        for column in range(columns):
            tile = torch.matmul(forth, lines[:, column * side : column * side + points])
            turned[:, :, :, column] = tile.view(-1, points, points, channels).permute(1, 2, 0, 3)
        products = torch.bmm(turned.view(points * points, -1, channels), kernels)
        partly = (back @ products.view(points, -1)).view(side, points, -1)
        whole = torch.matmul(back, partly).view(side, side, count, rows, columns, -1)
        result.copy_(whole.permute(2, 3, 0, 4, 1, 5))

    def _kernels_of(self, side: int) -> Tensor:
        """The transformed kernels, (n * n, C, K)."""
        if side not in self._kernels:
            weight = self.convolution.weight.detach().double()
            _, kernel, _ = _transforms(weight.shape[-1], side)
            turned = torch.einsum("ak,bl,oikl->abio", kernel.double(), kernel.double(), weight)
            self._kernels[side] = turned.flatten(0, 1).float().contiguous()
        return self._kernels[side]


def quickened(extractor: Extractor) -> Extractor:
    """A copy that computes features without gradients on a processor, in float32, in less time."""
    copied = copy.deepcopy(extractor)
    for name, layer in [*copied.named_modules()]:
        if WinogradConv2d.suits(layer):
            copied.set_submodule(name, WinogradConv2d(layer))
    return copied.eval()


def _tile_side(kernel: int, length: int) -> int:
    """The m that takes the fewest products for so many results in a row."""
    sides = range(2, _MOST_POINTS[kernel] - kernel + 2)
    return min(sides, key=lambda side: ((side + kernel - 1) * -(-length // side), side))


@lru_cache(maxsize=16)
def _transforms(kernel: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """The matrices of F(m, r): results (m, n), kernels (n, r) and tiles (n, n), n = m + r - 1, by Toom and Cook."""
    count = side + kernel - 1
    points = _POINTS[: count - 1]
    scale = [_product([point - other for other in points if other != point]) for point in points]
    last = Fraction(1)
    back = [[point**power for point in points] + [last if power == side - 1 else last * 0] for power in range(side)]
    kernels = [[point**power / factor for power in range(kernel)] for point, factor in zip(points, scale, strict=True)]
    kernels.append([last * 0] * (kernel - 1) + [last])
    tiles = [[*_polynomial([other for other in points if other != point]), last * 0] for point in points]
    tiles.append(_polynomial(points))
    return _matrix(back), _matrix(kernels), _matrix(tiles)


def _product(factors: Sequence[Fraction]) -> Fraction:
    found = Fraction(1)
    for factor in factors:
        found *= factor
    return found


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """The coefficients of the product of all x - root, from the constant one on."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        coefficients = [each - root * other for each, other in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
    return coefficients


def _matrix(rows: Sequence[Sequence[Fraction]]) -> Tensor:
    return torch.tensor([[float(value) for value in row] for row in rows], dtype=torch.float32)
