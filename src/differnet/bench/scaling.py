"""How the cost of an image grows with its size, with the size that the extractor sees, and with the number of views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2

from differnet.bench.results import VIEWS, Point, Scaling
from differnet.bench.stages import seconds_per_image
from differnet.detector import DifferNet
from differnet.images import MIN_SIDE, load_image
from differnet.model_file.bundle import read_bundle, write_bundle
from differnet.settings import Settings

__all__ = ["Variants", "scale_extractor_size", "scale_image_size", "scale_views"]

_FACTORS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)
_QUICK_FACTORS = (0.5, 1.0, 2.0)
_MOST_PIXELS = 16_000_000
_SIDES = (0.5, 0.75, 1.0, 1.5, 2.0)
_QUICK_SIDES = (0.5, 0.75, 1.0)
# As the settings demand of the smallest scale.
_SMALLEST_SIDE = 64
# Not from 1: a single view may share its pass of the network with the local model, further ones do not.
_VIEWS = (2, 8, 16, 32, 64)
_QUICK_VIEWS = (2, 4, 8)


class Variants:
    """One model with other settings of its views: its scores mean nothing then, what it costs does.

    Args:
        path: The model file.
        folder: Where variants of it are written; it must exist.
        device: As for `DifferNet`.
        weights: As for `DifferNet`.
    """

    def __init__(self, path: Path, folder: Path, *, device: str, weights: str | None) -> None:
        self._manifest, self._tensors = read_bundle(path)
        self._folder = folder
        self._device = device
        self._weights = weights

    @property
    def settings(self) -> Settings:
        """Of the model as it is."""
        return self._manifest.settings

    def load(self, overrides: Mapping[str, object]) -> DifferNet:
        """The model with these settings changed."""
        changed = self._manifest.model_copy(update={"settings": self.settings.with_overrides(overrides)})
        file = self._folder / "variant.safetensors"
        write_bundle(file, changed, self._tensors)
        return DifferNet.load(file, device=self._device, weights=self._weights)


def scale_image_size(
    model: DifferNet, images: Sequence[Path], folder: Path, repetitions: int, *, quick: bool
) -> Scaling:
    """Seconds of an image by the megapixels of its file.

    Args:
        model: A fitted model without a region of interest, which would fix the size.
        images: Photographs; they are written anew at other sizes.
        folder: Where to; it must exist.
        repetitions: Medians are over so many.
        quick: Whether fewer and smaller sizes do.
    """
    decoded = [load_image(path) for path in images]
    largest = max(image.shape[0] * image.shape[1] for image in decoded)
    points = []
    for factor in _QUICK_FACTORS if quick else _FACTORS:
        if factor > 1.0 and largest * factor**2 > _MOST_PIXELS:
            break
        paths, pixels = [], 0
        for i, image in enumerate(decoded):
            sides = [max(MIN_SIDE, round(side * factor)) for side in image.shape[1::-1]]
            paths.append(folder / f"{factor:g}_{i:03}.png")
            # BGR is what OpenCV writes.
            cv2.imwrite(str(paths[-1]), cv2.resize(image, sides, interpolation=cv2.INTER_CUBIC)[:, :, ::-1])
            pixels += sides[0] * sides[1]
        points.append(Point(pixels / len(paths) / 1e6, seconds_per_image(model, paths, repetitions)))
    return Scaling.of("size of the image file", "megapixels", points)


def scale_extractor_size(variants: Variants, images: Sequence[Path], repetitions: int, *, quick: bool) -> Scaling:
    """Seconds of an image by the megapixels that the extractor sees."""
    settings = variants.settings
    smallest = _SMALLEST_SIDE << (settings.extractor.scales - 1)
    # All networks reduce an image by 32.
    wanted = (round(settings.views.size * factor / 32) * 32 for factor in (_QUICK_SIDES if quick else _SIDES))
    points = []
    for side in sorted({max(smallest, side) for side in wanted}):
        model = variants.load(_sides(settings, side, smallest))
        points.append(Point(side**2 / 1e6, seconds_per_image(model, images, repetitions)))
    if len(points) == 1:  # a model of the smallest size there is
        model = variants.load(_sides(settings, 2 * smallest, smallest))
        points.append(Point(4 * smallest**2 / 1e6, seconds_per_image(model, images, repetitions)))
    return Scaling.of("size that the extractor sees", "megapixels", points)


def _sides(settings: Settings, side: int, smallest: int) -> dict[str, int]:
    """What changes the side that images are resized to, and in proportion the one that the flow sees."""
    flow = settings.views.flow_size
    if flow is None:
        return {"views.size": side}
    return {"views.size": side, "views.flow_size": max(round(min(flow / settings.views.size, 1.0) * side), smallest)}


def scale_views(variants: Variants, images: Sequence[Path], repetitions: int, *, quick: bool) -> Scaling:
    """Seconds of an image by the number of its views, rotations of any angle."""
    points = []
    for count in _QUICK_VIEWS if quick else _VIEWS:
        model = variants.load({"views.kind": "rotations", "views.count": count})
        points.append(Point(count, seconds_per_image(model, images, repetitions)))
    return Scaling.of(VIEWS, "views", points)
