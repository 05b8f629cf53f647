"""Products whose masks lie beside the images and alone say which are defective: KolektorSDD and KolektorSDD2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from differnet.errors import DatasetError, ImageError
from differnet.images.collect import Collection, collect_images
from differnet.images.layouts.layout import (
    GOOD,
    LabelledImage,
    Layout,
    Recognition,
    Sureness,
    by_kind,
    kept_for_testing,
    no_test_images,
)
from differnet.images.layouts.names import Split
from differnet.images.layouts.tree import Folder, read_tree
from differnet.images.masks import read_mask

__all__ = ["DEFECTIVE", "MasksBesideLayout"]

DEFECTIVE = "defective"
"""Kind of defects of which no more is known."""


class MasksBesideLayout(Layout):
    """``kos01/Part0.jpg`` with ``kos01/Part0_label.bmp``, or ``train/10000.png`` with ``train/10000_GT.png``.

    An image is defective if its mask marks a pixel (Tabernik et al., Journal of Intelligent Manufacturing 2020).
    Without folders ``train`` and ``test`` a fifth is kept for testing, folder by folder where there are several.
    """

    name = "masks beside images"

    def recognises(self, root: Path) -> Recognition | None:
        """By masks in every folder of images, none of which has a name that says what parts are there."""
        tree = read_tree(root)
        holding = [folder for folder in tree.walk() if folder.images and (folder is tree or not folder.role.is_mask)]
        named = any(
            folder.role.label is not None or folder.role.is_mask for folder in tree.walk() if folder is not tree
        )
        if not holding or named or not all(folder.masks for folder in holding):
            return None
        mask = next(iter(next(iter(holding[0].masks.values()))))
        return Recognition(Sureness.SURE, f"has masks beside its images, such as '{mask.name}'")

    def good_images(self, root: Path) -> Collection:
        """Those whose mask marks nothing, or that have none."""
        tree = read_tree(root)
        splits = _splits(tree)
        if splits and Split.TRAIN not in splits:
            raise DatasetError(f"{root}: has no folder 'train'; put images to learn from there, or name it by --good.")
        entries = [entry for folder in splits.get(Split.TRAIN, [tree]) for entry in _entries(folder)]
        found = collect_images([folder.path for folder in splits.get(Split.TRAIN, [tree])])
        good = [image for image, masks in entries if not _marked(masks)]
        kept = frozenset[Path]() if splits or len(good) == len(entries) else _kept(tree, good)
        learnt = set(good) - kept
        found.paths = [path for path in found.paths if path in learnt]
        masks = sum(len(masks) for _, masks in entries)
        found.set_aside.append(f"{len(entries) - len(good)} image(s) whose mask marks a defect and {masks} mask(s)")
        if kept:
            found.set_aside.append(f"{len(kept)} of {len(good)} good images, which are kept for 'differnet evaluate'")
        if not found.paths:
            raise DatasetError(f"{root}: every image has a mask that marks a defect; put images of good parts there.")
        return found

    def test_images(self, root: Path) -> tuple[LabelledImage, ...]:
        """Those of ``test``; without it, all defective ones and the good ones kept for this."""
        tree = read_tree(root)
        splits = _splits(tree)
        folders = splits.get(Split.TEST) or splits.get(Split.VALIDATION) or ([] if splits else [tree])
        entries = [entry for folder in folders for entry in _entries(folder)]
        good = [image for image, masks in entries if not _marked(masks)]
        defective = [(image, masks) for image, masks in entries if _marked(masks)]
        if not good or not defective:
            raise no_test_images(root, f"test/{GOOD}" if splits else "test")
        kept = good if splits else _kept(tree, good)
        marked = [LabelledImage(image, DEFECTIVE, masks[0], tuple(masks[1:])) for image, masks in defective]
        return by_kind([*(LabelledImage(image, GOOD) for image in kept), *marked])


def _splits(tree: Folder) -> dict[Split, list[Folder]]:
    found: dict[Split, list[Folder]] = {}
    for folder in tree.walk():
        if folder is not tree and folder.role.split is not None and folder.count:
            found.setdefault(folder.role.split, []).append(folder)
    return found


def _entries(folder: Folder) -> Iterator[tuple[Path, list[Path]]]:
    for inner in folder.walk():
        for image in inner.images:
            yield image, inner.masks.get(image.stem, [])


def _marked(masks: list[Path]) -> bool:
    try:
        return any(read_mask(mask).any() for mask in masks)
    except ImageError as error:
        raise DatasetError(f"{error} It says whether its image shows a defect; take both away if it is lost.") from None


def _kept(tree: Folder, good: list[Path]) -> frozenset[Path]:
    several = len({image.parent for image in good}) > 1
    # Images of one folder are often views of one part.
    return kept_for_testing(good, tree.path, (lambda name: name.parent.as_posix()) if several else Path.as_posix)
