"""Where a defect is: the gradient of the flow's loss, led back to the pixels (paper, section 3.4)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from differnet.compute.full_float32 import full_float32
from differnet.compute.threads import count_workers
from differnet.extractors import Extractor
from differnet.features.pooling import pool_scales
from differnet.flow import DensityModel
from differnet.views import View, apply_views

__all__ = ["flow_gradient_map", "gradient_map"]

# Of the official localization.py, in pixels.
_SIGMA = 3.0
_CUBIC, _LINEAR, _NEAREST = 3, 1, 0


def gradient_map(
    extractor: Extractor,
    flow: DensityModel,
    image: NDArray[np.uint8],
    views: Sequence[View],
    scales: int,
    *,
    stages: Sequence[int] = (-1,),
    deviation: bool = False,
    coverage: bool = False,
    views_per_batch: int = 8,
) -> NDArray[np.float32]:
    """Locate what makes an image unlikely by the loss's gradient at its pixels (paper, section 3.4).

    The gradient at each view is turned back to the image's frame (cubic splines, zero from outside; exactly for right
    angles), smoothed by a Gaussian of 3 pixels, and its absolute value averaged over colours and views, then squared.

    The scale is the official code's: gradients of ``mean(||z||^2 / 2 - log |det dz/dy|) / d`` over the image's views
    at normalised pixels, which have a deviation of about 1. Maps of models with another number of views, or
    another extractor, do not compare. Everything is computed in float32, also with an extractor set to bfloat16, from
    its rounded weights; that one is copied at each call.

    Args:
        extractor: The frozen feature extractor.
        flow: The fitted flow, on the extractor's device. Neither network is changed, and no gradient is left on
            its parameters.
        image: uint8 (size, size, 3), resized already.
        views: The V fixed views, at least one.
        scales: Number of image sizes, as the flow was fitted with.
        stages: See `differnet.features.pooling.pool_scales`, as the flow was fitted with.
        deviation: Likewise.
        coverage: Average each pixel only over the views that show it. Rotations lose the corners, so that these
            get too small a value otherwise; pixels that no view shows are 0. False is the official map.
        views_per_batch: Views that go through the networks at once; memory grows with it, the result does not change.

    Returns:
        float32 (size, size), at least 0, higher is more anomalous.

    Raises:
        ValueError: If there is no view, or the image is not a square of three colours in uint8.
    """
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415 - 0.2 s of imports that scoring must not need

    _check(image, views)
    network = _in_float32(extractor)
    std = torch.tensor(extractor.std).view(1, 3, 1, 1)

    def magnitude(gradient: NDArray[np.float32], view: View) -> NDArray[np.float32]:
        turned = _turn_back(gradient, view, _CUBIC)
        return np.asarray(np.abs(gaussian_filter(turned, (0, _SIGMA, _SIGMA))).mean(axis=0))

    mean = _ViewMean(image.shape[0], coverage)
    # A view is turned by a single core, in half of the time that all of them take for its gradient.
    with ThreadPoolExecutor(count_workers(), thread_name_prefix="differnet-turn") as pool:
        for some, pixels in _batches(image, views, views_per_batch, flow.device):
            with torch.enable_grad(), full_float32():
                pixels.requires_grad_(True)
                features = pool_scales(network, pixels, scales, stages=stages, deviation=deviation)
                loss = flow.loss(features).sum() / len(views)
                # Asked for the pixels alone, the parameters get no gradient even if they would take one.
                (at_pixels,) = torch.autograd.grad(loss, pixels)
            # d normalised = d pixels / std, hence the factor.
            gradients = (at_pixels.cpu() * std).contiguous().numpy()
            for of_view, view in zip(pool.map(magnitude, gradients, some), some, strict=True):
                mean.add(of_view, view)
    return np.square(mean.value())


def flow_gradient_map(
    extractor: Extractor,
    flow: DensityModel,
    image: NDArray[np.uint8],
    views: Sequence[View],
    scales: int,
    *,
    coverage: bool = False,
    views_per_batch: int = 8,
) -> NDArray[np.float32]:
    """Locate what makes an image unlikely by the loss's gradient at its features; cheaper and coarser.

    Only the flow is differentiated, as Grad-CAM does at a network's last layers (Selvaraju et al., ICCV 2017): the
    gradient of the loss at the pooled features weighs the feature maps before pooling. With ``g[s, c]`` that
    gradient at scale s and channel c, and ``f[s, c]`` the map, a view has ``mean_s |sum_c g[s, c] f[s, c]|``, each
    scale brought to the view's size bilinearly. Views are turned back (bilinearly; exactly for right angles) and
    averaged. Unlike `gradient_map` the result is not squared.

    The extractor computes in its own precision, so that the features are those that are scored; the gradient is
    float32.

    Args:
        extractor: The frozen feature extractor.
        flow: The fitted flow, on the extractor's device.
        image: uint8 (size, size, 3), resized already.
        views: The V fixed views, at least one.
        scales: Number of image sizes, as the flow was fitted with.
        coverage: As in `gradient_map`.
        views_per_batch: As in `gradient_map`.

    Returns:
        float32 (size, size), at least 0, higher is more anomalous.

    Raises:
        ValueError: If there is no view, or the image is not a square of three colours in uint8.
    """
    _check(image, views)
    size = image.shape[0]
    mean = _ViewMean(size, coverage)
    for some, pixels in _batches(image, views, views_per_batch, flow.device):
        weighed = _weighed_maps(extractor, flow, pixels, scales) / len(views)
        for of_view, view in zip(weighed.cpu().numpy(), some, strict=True):
            mean.add(_turn_back(of_view, view, _LINEAR), view)
    return mean.value()


def _weighed_maps(extractor: Extractor, flow: DensityModel, pixels: Tensor, scales: int) -> Tensor:
    """The mean over scales of the feature maps' absolute sums, weighed by the loss's gradient: (B, size, size)."""
    size = pixels.shape[-1]
    with torch.no_grad():
        maps = [
            extractor(pixels if scale == 0 else functional.interpolate(pixels, size=size >> scale)).float()
            for scale in range(scales)
        ]
    with torch.enable_grad():
        pooled = torch.cat([of_scale.mean(dim=(2, 3)) for of_scale in maps], dim=1).requires_grad_(True)
        loss = flow.loss(pooled).sum()
        (at_features,) = torch.autograd.grad(loss, pooled)
    total = pixels.new_zeros(len(pixels), size, size)
    for of_scale, weights in zip(maps, at_features.chunk(scales, dim=1), strict=True):
        summed = torch.einsum("bc,bchw->bhw", weights, of_scale).abs().unsqueeze(1)
        total += functional.interpolate(summed, size=size, mode="bilinear", align_corners=False).squeeze(1)
    return total / scales


class _ViewMean:
    """The mean of the views' maps in the image's frame, of all views or of those that show a pixel."""

    def __init__(self, size: int, coverage: bool) -> None:
        self._coverage = coverage
        self._total = np.zeros((size, size))
        self._count = np.zeros((size, size))

    def add(self, turned_back: NDArray[np.float32], view: View) -> None:
        if self._coverage:
            shown = _turn_back(np.ones(self._total.shape, np.float32), view, _NEAREST)
            self._total += turned_back * shown
            self._count += shown
        else:
            self._total += turned_back
            self._count += 1.0

    def value(self) -> NDArray[np.float32]:
        return (self._total / np.maximum(self._count, 1.0)).astype(np.float32)


def _turn_back(values: NDArray[np.float32], view: View, order: int) -> NDArray[np.float32]:
    """Undo a view's geometry on (..., size, size) values, with splines of an order where it takes interpolation."""
    quarter_turns, rest = divmod(view.degrees, 90.0)
    if rest == 0.0:
        turned = np.rot90(values, -int(quarter_turns) % 4, axes=(-2, -1))
    else:
        from scipy.ndimage import rotate  # noqa: PLC0415 - as above

        turned = rotate(values, -view.degrees, axes=(-1, -2), reshape=False, order=order)
    # The view was flipped first, so that this comes last.
    return np.ascontiguousarray(turned[..., ::-1] if view.mirrored else turned)


def _batches(
    image: NDArray[np.uint8], views: Sequence[View], views_per_batch: int, device: torch.device
) -> Iterator[tuple[Sequence[View], Tensor]]:
    """Make the views few at a time, with their pixels in [0, 1] as (B, 3, size, size)."""
    for start in range(0, len(views), views_per_batch):
        some = views[start : start + views_per_batch]
        # NHWC bytes seen as NCHW are channels_last already.
        pixels = torch.from_numpy(apply_views(image, some)).to(device).permute(0, 3, 1, 2)
        yield some, pixels.float() / 255


def _in_float32(extractor: Extractor) -> Extractor:
    if all(parameter.dtype == torch.float32 for parameter in extractor.parameters()):
        return extractor
    return copy.deepcopy(extractor).set_precision(torch.float32)


def _check(image: NDArray[np.uint8], views: Sequence[View]) -> None:
    if not views:
        raise ValueError("a map needs at least one view")
    if image.dtype != np.uint8 or image.shape != (image.shape[0], image.shape[0], 3):
        raise ValueError(f"the image must be uint8 (size, size, 3), not {image.dtype} {image.shape}")
