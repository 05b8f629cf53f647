"""Products whose masks alone say which images are defective: KolektorSDD and KolektorSDD2, DAGM, images and masks."""

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
from differnet.images.layouts.names import Split, is_mask_of
from differnet.images.layouts.tree import OTHER_SENSORS, Folder, read_tree
from differnet.images.masks import read_mask

__all__ = ["DEFECTIVE", "MasksBesideLayout"]

DEFECTIVE = "defective"
"""Kind of defects of which no more is known."""


class MasksBesideLayout(Layout):
    """``kos01/Part0.jpg`` with ``kos01/Part0_label.bmp``, or ``train/10000.png`` with ``train/10000_GT.png``.

    Or with a folder of masks in that of the images, as in DAGM 2007 (``Train/Label/0576_label.PNG``), or beside the
    only one of images (``images/``, ``masks/``). An image is defective if its mask marks a pixel (Tabernik et al.,
    Journal of Intelligent Manufacturing 2020).
    Without folders ``train`` and ``test`` a fifth is kept for testing, folder by folder where there are several.
    """

    name = "masks beside images"

    def recognises(self, root: Path) -> Recognition | None:
        """By masks in every folder of images, none of which has a name that says what parts are there."""
        tree = read_tree(root)
        there = sum(len(masks) for folder in tree.walk() for masks in folder.masks.values())
        folders = [*_unmasked(tree)]
        there += tree.count - sum(len(folder.images) for folder, _ in folders)  # those in folders of masks
        if not there or any(folder.role.label is not None for folder, _ in folders if folder is not tree):
            return None
        masks = {folder.path: _masks_of(folder, above) for folder, above in folders if folder.images}
        found = [mask for of_folder in masks.values() for of_image in of_folder.values() for mask in of_image]
        # All of them, or it is not sure what the others mark.
        if len(found) < there or not all(
            masks[folder.path] or folder.role.split is Split.TRAIN for folder, _ in folders if folder.images
        ):
            return None
        mask = found[0]
        where = f"'{mask.name}'" if mask.parent in masks else f"'{mask.parent.name}/{mask.name}'"
        return Recognition(Sureness.SURE, f"has masks beside its images, such as {where}")

    def good_images(self, root: Path) -> Collection:
        """Those whose mask marks nothing, or that have none."""
        tree = read_tree(root)
        splits = _splits(tree)
        if splits and Split.TRAIN not in splits:
            raise DatasetError(f"{root}: has no folder 'train'; put images to learn from there, or name it by --good.")
        entries = [entry for folder in splits.get(Split.TRAIN, [tree]) for entry in _entries(tree, folder)]
        found = collect_images([folder.path for folder in splits.get(Split.TRAIN, [tree])])
        good = [image for image, masks in entries if not _marked(masks)]
        kept = frozenset[Path]() if splits or len(good) == len(entries) else _kept(tree, good)
        learnt = set(good) - kept
        found.paths = [path for path in found.paths if path in learnt]
        masks = sum(len(masks) for _, masks in entries)
        found.set_aside.append(f"{len(entries) - len(good)} image(s) whose mask marks a defect and {masks} mask(s)")
        others = tree.of_other_sensors()
        if others:
            found.set_aside.append(f"{len(others)} {OTHER_SENSORS}")
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
        entries = [entry for folder in folders for entry in _entries(tree, folder)]
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


def _entries(tree: Folder, folder: Folder) -> Iterator[tuple[Path, list[Path]]]:
    for inner, above in _unmasked(tree):
        if inner is folder or folder.path in inner.path.parents:
            masks = _masks_of(inner, above)
            for image in inner.images:
                yield image, masks.get(image.stem, [])


def _unmasked(folder: Folder, above: Folder | None = None) -> Iterator[tuple[Folder, Folder | None]]:
    """A folder and those below it that are not of masks, each with the one that it lies in."""
    yield folder, above
    for inner in folder.folders:
        if not inner.role.is_mask:
            yield from _unmasked(inner, folder)


def _masks_of(folder: Folder, above: Folder | None) -> dict[str, list[Path]]:
    """The masks of a folder's images by their stems: beside them, in a folder there, or in one beside the folder."""
    found = {stem: [*masks] for stem, masks in folder.masks.items()}
    stems = {image.stem for image in folder.images}
    places = [each for each in folder.folders if each.role.is_mask]
    beside = [] if above is None else above.folders
    if sum(not each.role.is_mask for each in beside) == 1:
        places += [each for each in beside if each.role.is_mask]
    for mask in (each for place in places for each in place.images):
        of = mask.stem if mask.stem in stems else is_mask_of(mask.stem)
        if of in stems and of is not None:
            found.setdefault(of, []).append(mask)
    return found


def _marked(masks: list[Path]) -> bool:
    try:
        return any(read_mask(mask).any() for mask in masks)
    except ImageError as error:
        raise DatasetError(f"{error} It says whether its image shows a defect; take both away if it is lost.") from None


def _kept(tree: Folder, good: list[Path]) -> frozenset[Path]:
    several = len({image.parent for image in good}) > 1
    # Images of one folder are often views of one part.
    return kept_for_testing(good, tree.path, (lambda name: name.parent.as_posix()) if several else Path.as_posix)
