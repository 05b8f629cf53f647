"""Layouts: how the images of a product lie in folders. A new one is a file with its class, and a line here."""

from __future__ import annotations

import os
from pathlib import Path

from differnet.images.collect import Collection, collect_images
from differnet.images.layouts.good_images import ListLayout, PlainLayout
from differnet.images.layouts.layout import GOOD, LabelledImage, Layout, Recognition, Sureness
from differnet.images.layouts.mvtec import MvtecLayout
from differnet.registry import Registry

__all__ = [
    "GOOD",
    "LAYOUTS",
    "LabelledImage",
    "Layout",
    "Recognition",
    "Sureness",
    "find_layout",
    "read_good_images",
    "read_test_images",
]

LAYOUTS: Registry[Layout] = Registry("layout", MvtecLayout(), ListLayout(), PlainLayout())
"""Layouts by name; of those that are equally sure the first one reads a source."""


def find_layout(root: str | os.PathLike[str]) -> tuple[Layout, Recognition]:
    """Find the layout of a product.

    Args:
        root: A folder or file; need not exist.

    Returns:
        The layout that is surest of it, the first of several, and by what it knows.
    """
    source = Path(root)
    found = [(layout, recognition) for layout in LAYOUTS.values() if (recognition := layout.recognises(source))]
    return max(found, key=lambda each: each[1].sureness)


def read_good_images(root: str | os.PathLike[str]) -> Collection:
    """Find the good images to learn from.

    Args:
        root: A product in one of the `LAYOUTS`: in the MVTec layout (its ``train/good`` is read), a plain folder of
            good images, a list file, or a single image.

    Raises:
        DatasetError: If the folder does not exist, is empty, or has a ``train`` folder without ``good`` in it.
    """
    if not os.fspath(root):
        return collect_images(root)  # which says what is wrong
    layout, _ = find_layout(root)
    return layout.good_images(Path(root))


def read_test_images(root: str | os.PathLike[str]) -> tuple[LabelledImage, ...]:
    """Find the labelled test images of a product.

    Args:
        root: A product in one of the `LAYOUTS`: in that of MVTec a folder with ``test/good`` and ``test/<kind of
            defect>``; ``ground_truth`` may be absent.

    Returns:
        The images, sorted by kind and path.

    Raises:
        DatasetError: If there are no good or no defective test images.
    """
    layout, _ = find_layout(root)
    return layout.test_images(Path(root))
