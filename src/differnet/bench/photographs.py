"""Made-up photographs of parts, for who has no images at hand: as large and as hard to compress as real ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["link_images", "make_product", "photograph"]

_COARSE = 12
_NOISE = 4.0


def photograph(random: np.random.Generator, width: int, height: int, *, defective: bool = False) -> NDArray[np.uint8]:
    """A part with shading, texture and the noise of a camera; a defective one has a dark blot.

    Args:
        random: Source of what differs between the parts.
        width: In pixels.
        height: In pixels.
        defective: Whether there is a blot.

    Returns:
        uint8 (height, width, 3), RGB.
    """
    coarse = random.uniform(60, 190, (_COARSE, _COARSE, 3)).astype(np.float32)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    if defective:
        x, y = (int(random.uniform(0.2, 0.8) * side) for side in (width, height))
        cv2.circle(image, (x, y), max(4, min(width, height) // 12), (5.0, 5.0, 5.0), thickness=-1)
    grain = random.standard_normal((height, width, 1), dtype=np.float32) * _NOISE
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def make_product(folder: Path, *, width: int, height: int, training: int, testing: int) -> None:
    """Write a product in the MVTec layout.

    Args:
        folder: Where; it must not exist.
        width: Of all images, in pixels.
        height: Of all images, in pixels.
        training: Number of images in ``train/good``.
        testing: Number of images in each of ``test/good`` and ``test/blot``.
    """
    random = np.random.default_rng(0)
    for kind, count in (("train/good", training), ("test/good", testing), ("test/blot", testing)):
        (folder / kind).mkdir(parents=True)
        for i in range(count):
            image = photograph(random, width, height, defective=kind.endswith("blot"))
            cv2.imwrite(str(folder / kind / f"{i:03}.png"), image)


def link_images(images: list[Path], folder: Path, count: int) -> Path:
    """Make a folder of any number of images out of a few, by symbolic links to them in turn.

    Args:
        images: At least one.
        folder: The folder to make.
        count: Number of links.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True)
    for i in range(count):
        source = images[i % len(images)].resolve()
        (folder / f"{i:06}{source.suffix}").symlink_to(source)
    return folder
