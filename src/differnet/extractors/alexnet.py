"""AlexNet's convolutional part, the extractor of the paper."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor, nn

from differnet.extractors.base import Extractor

__all__ = ["AlexNet"]


class AlexNet(Extractor):
    """Five convolutions with the last max-pooling, 256 feature maps.

    Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv 1404.5997, with the
    parameter names of torchvision's ``alexnet.features``.
    """

    channels: ClassVar[int] = 256
    stage_channels: ClassVar[tuple[int, ...]] = (64, 192, 384, 256, 256)

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )

    def stages(self, normalised: Tensor) -> Iterator[Tensor]:
        """Yield the maps after each of the five convolutions, then the (B, 256, h, w) feature maps."""
        maps = normalised
        for layer in self.features:
            maps = layer(maps)
            if isinstance(layer, nn.ReLU):
                yield maps
        yield maps
