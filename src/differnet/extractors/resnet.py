"""ResNet-18 without its classifier."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional

from differnet.extractors.base import Extractor
from differnet.extractors.entry import CatalogueEntry
from differnet.extractors.weights import WeightsSource

__all__ = ["ENTRY", "ResNet18"]


class _BasicBlock(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet18(Extractor):
    """Four stages of two residual blocks, 512 feature maps.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, with the parameter names of torchvision's
    ``resnet18``.
    """

    channels: int = 512
    stage_channels: tuple[int, ...] = (64, 128, 256)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(_BasicBlock(64, 64, 1), _BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(_BasicBlock(64, 128, 2), _BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(_BasicBlock(128, 256, 2), _BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(_BasicBlock(256, 512, 2), _BasicBlock(512, 512, 1))

    def stages(self, normalised: Tensor) -> Iterator[Tensor]:
        """Yield the maps of the first three stages, then the (B, 512, h, w) feature maps."""
        maps = functional.relu(self.bn1(self.conv1(normalised)))
        maps = functional.max_pool2d(maps, kernel_size=3, stride=2, padding=1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps = stage(maps)
            yield maps


_SOURCE = WeightsSource(hub_file="resnet18-f37072fd.pth")
ENTRY = CatalogueEntry("resnet18", ResNet18, _SOURCE)
