"""Layouts: how the images of a product lie in folders. A new one is a file with its class, and a line here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from differnet.images.collect import Collection, collect_images
from differnet.images.layouts.anomalib_folder import AnomalibFolderLayout
from differnet.images.layouts.chosen import chosen_good_images, chosen_test_images
from differnet.images.layouts.good_images import ListLayout, PlainLayout
from differnet.images.layouts.labelled_folders import FlatLayout, MvtecLayout
from differnet.images.layouts.layout import GOOD, LabelledImage, Layout, Recognition, Sureness
from differnet.images.layouts.masks_beside import MasksBesideLayout
from differnet.images.layouts.table import TableLayout, VisaLayout
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

LAYOUTS: Registry[Layout] = Registry(
    "layout",
    TableLayout(),
    ListLayout(),
    AnomalibFolderLayout(),
    VisaLayout(),
    MasksBesideLayout(),
    MvtecLayout(),
    FlatLayout(),
    PlainLayout(),
)
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


def read_good_images(
    root: str | os.PathLike[str], *, good: Sequence[str | os.PathLike[str]] | None = None
) -> Collection:
    """Find the good images to learn from.

    Args:
        root: A product in one of the `LAYOUTS`, a folder of good images, a table, a list file, anomalib's arguments, or
            a single image.
        good: Folders, files or patterns with the images of good parts, from the product's folder on, instead of what
            its layout says: ``["cam1", "cam2/ok*"]``.

    Raises:
        DatasetError: If the folder does not exist or has no such images, or if it is not clear which they are.
    """
    if good and os.fspath(root):
        return chosen_good_images(Path(root), good)
    if not os.fspath(root) or not _exists(root):
        return collect_images(root)  # which says what is wrong
    layout, _ = find_layout(root)
    return layout.good_images(Path(root))


def read_test_images(
    root: str | os.PathLike[str],
    *,
    good: Sequence[str | os.PathLike[str]] | None = None,
    defective: Sequence[str | os.PathLike[str]] | None = None,
    masks: Sequence[str | os.PathLike[str]] | None = None,
) -> tuple[LabelledImage, ...]:
    """Find the labelled test images of a product.

    Args:
        root: A product in one of the `LAYOUTS`.
        good: Folders, files or patterns with good images to test with, from the product's folder on, instead of what
            its layout says; they must not be those that were learnt from.
        defective: Those with defective parts. Good ones alone, or defective ones alone, show one rate each.
        masks: Folders of masks, if there are any; an image's is found by its name.

    Returns:
        The images, sorted by kind and path.

    Raises:
        DatasetError: If there are no good or no defective test images.
    """
    if good or defective or masks:
        return chosen_test_images(Path(root), good or (), defective or (), masks or ())
    if not os.fspath(root) or not _exists(root):
        collect_images(root)  # which says what is wrong
    layout, _ = find_layout(root)
    return layout.test_images(Path(root))


def _exists(root: str | os.PathLike[str]) -> bool:
    try:
        return Path(root).exists()
    except (OSError, ValueError):
        return False
