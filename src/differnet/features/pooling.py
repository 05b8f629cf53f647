"""From an extractor's maps to features: the mean of every map, at several sizes of the image (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from differnet.extractors import Extractor

__all__ = ["pool_maps", "pool_scales"]


def pool_scales(
    extractor: Extractor, images: Tensor, scales: int, *, stages: Sequence[int] = (-1,), deviation: bool = False
) -> Tensor:
    """Concatenate the mean feature maps of images at several sizes (paper, section 3.1).

    Args:
        extractor: The feature extractor.
        images: (B, 3, size, size) float32 in [0, 1].
        scales: Number of sizes; each is half the one before, by nearest neighbour as in the official code.
        stages: Which of the extractor's stages are pooled, counted from the last, -1, which is the paper's.
        deviation: Also append the standard deviation of every map: how unevenly a pattern is spread over the image.

    Returns:
        (B, d) float32 features, differentiable with respect to the images; d is the number of maps of these stages,
        times the scales, times 2 with deviations.
    """
    size = images.shape[-1]
    pooled = []
    for scale in range(scales):
        scaled = images if scale == 0 else functional.interpolate(images, size=size >> scale)
        maps = extractor.forward_stages(scaled, max(stages))
        pooled.append(pool_maps([maps[extractor.place_of(stage)] for stage in stages], deviation))
    return torch.cat(pooled, dim=1)


def pool_maps(maps: Sequence[Tensor], deviation: bool) -> Tensor:
    """Pool the maps of stages, each (B, C, h, w), as `pool_scales` does at each scale."""
    pooled = []
    for of_stage in (each.float() for each in maps):
        pooled.append(of_stage.mean(dim=(2, 3)))
        if deviation:
            pooled.append(of_stage.flatten(2).std(dim=2, correction=0))
    return torch.cat(pooled, dim=1)
