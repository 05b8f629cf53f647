"""VGG16's convolutional part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor, nn

from differnet.extractors.base import Extractor

__all__ = ["VGG16"]

_CONVOLUTIONS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(Extractor):
    """Thirteen convolutions in five stages, each closed by max-pooling, 512 feature maps.

    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", arXiv 1409.1556,
    with the parameter names of torchvision's ``vgg16.features``.
    """

    channels: ClassVar[int] = 512
    stage_channels: ClassVar[tuple[int, ...]] = (64, 128, 256, 512, 512)

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        previous = 3
        for stage in _CONVOLUTIONS:
            for channels in stage:
                layers += [nn.Conv2d(previous, channels, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
                previous = channels
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        self.features = nn.Sequential(*layers)

    def stages(self, normalised: Tensor) -> Iterator[Tensor]:
        """Yield the maps of each stage before its max-pooling, then the (B, 512, h, w) feature maps."""
        maps = normalised
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                yield maps
            maps = layer(maps)
        yield maps
