"""What every feature extractor is: a frozen convolutional network from pixels to feature maps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Extractor"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Extractor(nn.Module):
    """Base of the frozen networks that turn images into feature maps.

    A subclass sets the attributes and defines `stages`; parameter names follow the public checkpoint that it loads.
    Instances are in evaluation mode, their parameters need no gradient; gradients at the pixels flow when the input
    asks for them. What holds for every extractor, and is tested for all in the catalogue:

    - `stages` yields as many maps as ``(*stage_channels, channels)`` has entries, of these channels, their sides never
      growing from one to the next, and of one of ``stage_channels`` about a sixteenth of the image's; the last are what
      `forward` gives.
    - ``forward_stages(images, last)`` gives the same maps bit for bit, as many as asked for.
    - The same image gives the same bits each time, and the same features beside others but for rounding.
    - Once frozen, it changes nothing in itself and no gradient stops at a parameter.
    - After `set_precision` all maps have that dtype.
    - A copy, and a pickled one, gives the same.

    Attributes:
        channels: Number of feature maps, C.
        stage_channels: Number of maps of each stage before them.
        min_size: Smallest side of an input image, in pixels.
        mean: Per-channel mean that the network was trained with, for values in [0, 1].
        std: Per-channel standard deviation, likewise.
        has_openvino_stages: Whether `openvino_stages` is defined.
        gains_by_winograd: Whether `differnet.extractors.winograd.quickened` makes a quicker copy of it.
    """

    channels: int
    stage_channels: tuple[int, ...]
    min_size: int = 64
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    has_openvino_stages: bool = False
    gains_by_winograd: bool = False

    _mean: Tensor
    _std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("_mean", torch.tensor(self.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(self.std).view(1, 3, 1, 1), persistent=False)

    def stages(self, normalised: Tensor) -> Iterator[Tensor]:
        """Compute the maps of every stage of normalised images, (B, 3, H, W), from fine to coarse.

        Yields:
            (B, C_i, h_i, w_i): what the local model describes cells by, the last with a stride of 16, and after these,
            last of all, the (B, C, h, w) feature maps.
        """
        raise NotImplementedError

    @property
    def backbone(self) -> nn.Module:
        """The module whose state dict is that of the checkpoint."""
        return self

    def openvino_stages(self, ops: Any, normalised: Any) -> list[Any]:  # noqa: ANN401 - OpenVINO is optional
        """Build the nodes of an OpenVINO graph that compute what `stages` does.

        Args:
            ops: OpenVINO's operator set.
            normalised: The output that holds normalised images, (1, 3, size, size) float32.

        Returns:
            An output for each stage, (1, C_i, h_i, w_i) float32; a graph drops the layers that nothing is asked from.
        """
        raise NotImplementedError

    def feature_maps(self, normalised: Tensor) -> Tensor:
        """Compute feature maps of normalised images, (B, 3, H, W) -> (B, C, h, w)."""
        for maps in self.stages(normalised):
            last = maps
        return last

    def forward(self, images: Tensor) -> Tensor:
        """Compute feature maps.

        Args:
            images: (B, 3, H, W) float32, RGB in [0, 1].

        Returns:
            (B, C, h, w) feature maps, in the dtype of `set_precision` (float32 unless changed).
        """
        return self.feature_maps(self._normalise(images))

    def forward_stages(self, images: Tensor, last: int = -2) -> list[Tensor]:
        """Compute the maps of every stage up to one, and no more layers than that takes.

        Args:
            images: As for `forward`.
            last: The last stage, counted from the feature maps, -1.
        """
        count = len(self.stage_channels) + 2 + last
        return list(islice(self.stages(self._normalise(images)), count))

    def place_of(self, stage: int) -> int:
        """Where the maps of a stage, counted from the feature maps, -1, are in what `forward_stages` gives."""
        return len(self.stage_channels) + 1 + stage

    def _normalise(self, images: Tensor) -> Tensor:
        normalised = (images - self._mean).div_(self._std)  # in place: one map of this size less
        return normalised.to(next(self.parameters(), normalised).dtype)

    def set_precision(self, dtype: torch.dtype) -> Extractor:
        """Compute the layers in another dtype; pixels are still normalised in float32. Returns itself."""
        for layers in self.children():
            layers.to(dtype)
        return self

    def freeze(self) -> Extractor:
        """Put the network into evaluation mode and stop gradients at its parameters; returns itself."""
        self.eval()
        self.requires_grad_(False)
        return self
