"""Images that the user names: which folders or patterns hold good parts, defective ones and masks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from differnet.errors import DatasetError
from differnet.images.collect import IMAGE_SUFFIXES, Collection, collect_images, is_hidden
from differnet.images.layouts.ground_truth import GroundTruth
from differnet.images.layouts.layout import GOOD, LabelledImage, by_kind
from differnet.images.layouts.names import Label, Role, Split, is_made_of_pictures, read_role
from differnet.images.layouts.tree import OTHER_SENSORS, Folder, read_tree

__all__ = ["chosen_good_images", "chosen_test_images"]


def chosen_good_images(root: Path, good: Sequence[str | os.PathLike[str]]) -> Collection:
    """The images of folders and files that were named as those of good parts.

    What lies deeper in a named folder and is itself named as defective, as masks or for testing is left out.

    Args:
        root: The product's folder.
        good: Folders, files, or patterns such as ``cam*/ok``, from the product's folder on or, if there is no such
            thing, from the working folder on.

    Raises:
        DatasetError: If one of them is nowhere, or there are no images.
    """
    chosen = [path for each in good for path in _matches(root, each, good=True)]
    found = collect_images(chosen)
    left_out: set[Path] = set()
    masks: set[Path] = set()
    others: set[Path] = set()
    for folder in (read_tree(path) for path in chosen if path.is_dir()):
        for inner in folder.walk():
            masks.update(mask for each in inner.masks.values() for mask in each)
        others.update(folder.of_other_sensors())
        for inner in _strangers(folder):
            left_out.update(inner.all_images())
    # What another choice names outright is not left out.
    outright = {path for path in chosen if not path.is_dir()}
    kept = [path for path in found.paths if path in outright or path not in left_out | masks | others]
    phrases = {
        "image(s) of deeper folders that are named as defective, masks or for testing": left_out - masks,
        "mask(s) beside images": masks,
        OTHER_SENSORS: others - left_out,
    }
    for phrase, paths in phrases.items():
        count = len(paths.intersection(found.paths) - outright)
        if count:
            found.set_aside.append(f"{count} {phrase}")
    found.paths = kept
    if not kept:
        raise DatasetError(f"{root}: {', '.join(map(str, good))} hold no images of good parts; name another --good.")
    return found


def chosen_test_images(
    root: Path,
    good: Sequence[str | os.PathLike[str]],
    defective: Sequence[str | os.PathLike[str]],
    masks: Sequence[str | os.PathLike[str]] = (),
) -> tuple[LabelledImage, ...]:
    """The test images of folders that were named.

    Args:
        root: The product's folder.
        good: As for `chosen_good_images`; these must not be those that were learnt from.
        defective: Folders, files or patterns of defective parts; the kind is the folder's name.
        masks: Folders of masks, found by the images' names.

    Raises:
        DatasetError: If one of them is nowhere, holds no images, or an image is named as good and as defective.
    """
    if not good and not defective:
        raise DatasetError(f"{root}: name the images to test with, good or defective, by --good or --defective.")
    good_paths = chosen_good_images(root, good).paths if good else ()
    kinds: dict[Path, tuple[str, tuple[str, ...]]] = {}
    beside: dict[Path, list[Path]] = {}
    for path in (path for each in defective for path in _matches(root, each)):
        folder = read_tree(path) if path.is_dir() else Folder(path.parent, [path])
        for inner in _without_masks(folder):
            below = inner.path.relative_to(folder.path).parts
            for image in inner.images:
                kinds[image] = (path.resolve().name if path.is_dir() else path.parent.resolve().name, below)
                beside[image] = inner.masks.get(image.stem, [])
    both = sorted(set(good_paths) & set(kinds))
    if both:
        raise DatasetError(f"{both[0]}: is named as good and as defective; name each image once.")
    if defective and not kinds:
        raise DatasetError(f"{root}: {', '.join(map(str, defective))} hold no images; name another --defective.")
    found = [read_tree(path) for each in masks for path in _matches(root, each)]
    truth = GroundTruth(found, {kind for kind, _ in kinds.values()})
    tested = [LabelledImage(image, GOOD) for image in good_paths]
    for image, (kind, below) in kinds.items():
        all_masks = (*beside[image], *truth.of(image, kind, below))
        kind_name = f"{kind} (defective)" if kind == GOOD else kind
        tested.append(LabelledImage(image, kind_name, all_masks[0] if all_masks else None, all_masks[1:]))
    return by_kind(tested)


def _matches(root: Path, wanted: str | os.PathLike[str], *, good: bool = False) -> list[Path]:
    text = os.fspath(wanted)
    if not text:
        raise DatasetError("--good, --defective or --masks is empty; give a folder or a pattern, '*' for all.")
    for place in (root / text, Path(text)):
        if place.exists():
            return [place]
    pattern = Path(text)
    try:
        if pattern.is_absolute():
            found = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
        else:
            found = root.glob(text)
        paths = sorted(path for path in found if not is_hidden(path.name))
    except (ValueError, NotImplementedError) as error:
        raise DatasetError(f"'{text}' is no pattern ({error}); write such as 'cam*/ok'.") from None
    if not paths:
        there = [folder.name for folder in read_tree(root).folders][:10]
        known = f"; the folders there are {', '.join(there)}" if there else ""
        raise DatasetError(f"{root}: has nothing named '{text}'{known}.")
    # A pattern is not meant for what it happens to match; whoever wants that names it.
    meant = [path for path in paths if not (good and path.is_dir() and _is_unmeant(path.name))]
    return [path for path in meant if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES]


def _strangers(top: Folder) -> Iterator[Folder]:
    for folder in top.folders:
        if _is_stranger(folder.role):
            yield folder
        else:
            yield from _strangers(folder)


def _is_unmeant(name: str) -> bool:
    return _is_stranger(read_role(name)) or is_made_of_pictures(name)


def _is_stranger(role: Role) -> bool:
    return role.is_mask or role.label is Label.DEFECTIVE or role.split in (Split.TEST, Split.VALIDATION)


def _without_masks(top: Folder) -> Iterator[Folder]:
    yield top
    for folder in top.folders:
        if not folder.role.is_mask:
            yield from _without_masks(folder)
