"""Products whose folders say by their names which parts are good, which defective, and what images are for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from differnet.errors import DatasetError
from differnet.images.collect import Collection, collect_images
from differnet.images.layouts.ground_truth import GroundTruth
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
from differnet.images.layouts.names import Label, Split
from differnet.images.layouts.tree import Folder, read_tree

__all__ = ["FlatLayout", "MvtecLayout", "find_base"]

_CHAIN = 4


@dataclass(frozen=True)
class _Part:
    """A folder with what is known of the images that lie in it itself, not in those below.

    Attributes:
        folder: The folder.
        top: It, or the one above whose name said what it is.
        split: What its images are for.
        label: Of the parts.
        kind: Of the defects.
    """

    folder: Folder
    top: Folder
    split: Split | None = None
    label: Label | None = None
    kind: str = GOOD


@dataclass
class _Reading:
    """What the folders of a product say.

    Attributes:
        base: The folder in which they lie side by side.
        parts: All that the names explain.
        masks: Folders of masks.
        unexplained: Folders with images that nothing explains.
    """

    base: Folder
    parts: list[_Part] = field(default_factory=list)
    masks: list[Folder] = field(default_factory=list)
    unexplained: list[Folder] = field(default_factory=list)

    def of(self, label: Label, *splits: Split | None) -> list[_Part]:
        return [part for part in self.parts if part.label is label and part.split in splits]

    def has(self, split: Split) -> bool:
        return any(part.split is split for part in self.parts)


class _NamedFolders(Layout):
    """What the two layouts below share: they differ in what tells them, and in what they say where images are missing.

    Names are compared without case, in several languages (`names.py`). Good parts are learnt from a folder for
    training if there is one. Tested is with what is in a folder for testing (else in one for validation); without one,
    with all defective parts and a fifth of the good ones, which is then not learnt from. Masks are never learnt.
    """

    def good_images(self, root: Path) -> Collection:
        """Good parts of the folder for training; without one, all that are not kept for testing."""
        reading = _read(root)
        learnt = self._to_learn(root, reading)
        found = collect_images(sorted({part.top.path for part in learnt}))
        good = {image for part in learnt for image in part.folder.images}
        kept = self._kept(reading, learnt)
        paths = [path for path in found.paths if path in good and path not in kept]
        masks = sum(len(each) for part in learnt for each in part.folder.masks.values())
        found.paths = paths
        if kept:
            found.set_aside.append(
                f"{len(kept)} of {len(good)} good images, which are kept for 'differnet evaluate' (--good learns from "
                f"all)"
            )
        if masks:
            found.set_aside.append(f"{masks} mask(s) beside images")
        found.set_aside += _set_aside(reading, learnt)
        if not paths:
            raise DatasetError(f"{learnt[0].top.path}: no images found; put the images of good parts there.")
        return found

    def test_images(self, root: Path) -> tuple[LabelledImage, ...]:
        """Those of the folder for testing; without one, all defective parts and the good ones kept for this."""
        reading = _read(root)
        good, defective = self._to_test(root, reading)
        masks = GroundTruth(reading.masks, {part.kind for part in defective}, reading.base.path)
        tested = [LabelledImage(image, GOOD) for image in good]
        for part in defective:
            below = part.folder.path.relative_to(reading.base.path).parts
            for image in part.folder.images:
                found = (*part.folder.masks.get(image.stem, ()), *masks.of(image, part.kind, below))
                tested.append(LabelledImage(image, part.kind, found[0] if found else None, found[1:]))
        return by_kind(tested)

    def _to_learn(self, root: Path, reading: _Reading) -> list[_Part]:
        split = Split.TRAIN if reading.has(Split.TRAIN) else None
        learnt = reading.of(Label.GOOD, split)
        if learnt:
            return learnt
        if split is Split.TRAIN:
            top = next(part for part in reading.parts if part.split is Split.TRAIN).top
            raise DatasetError(
                f"{top.path}: has no folder '{GOOD}'; put the images of good parts there, or say where they are: "
                f"--good {_example(root, top)}."
            )
        if any(part.split is not None for part in reading.parts) or not reading.parts:
            raise DatasetError(
                f"{root}: has no folder 'train/{GOOD}'; put the images of good parts there, or say where they are, by "
                f"--good."
            )
        others = reading.unexplained[0] if reading.unexplained else None
        choice = f", for example --good {_example(root, others)}" if others else " by --good"
        names = _names([part.top for part in reading.parts])
        raise DatasetError(
            f"{root}: has {names}, which by name hold defective parts, and no folder that by name holds good ones; say "
            f"where they are{choice}."
        )

    def _to_test(self, root: Path, reading: _Reading) -> tuple[list[Path], list[_Part]]:
        split = next((each for each in (Split.TEST, Split.VALIDATION) if reading.has(each)), None)
        if split is None:
            defective = [part for part in reading.parts if part.label is Label.DEFECTIVE and part.folder.images]
            if reading.has(Split.TRAIN):
                good = [image for part in reading.of(Label.GOOD, None) for image in part.folder.images]
            else:
                good = list(self._kept(reading, self._to_learn(root, reading))) if defective else []
            if not defective or not good:
                raise no_test_images(root, f"test/{GOOD}")
            return good, defective
        for part in reading.parts:
            if part.split is split and part.folder is part.top and part.label is not None and not part.folder.count:
                collect_images(part.folder.path)  # which says that there are none
        good = [image for part in reading.of(Label.GOOD, split) for image in part.folder.images]
        defective = [part for part in reading.of(Label.DEFECTIVE, split) if part.folder.images]
        if not good:
            raise no_test_images(root, f"{split.value}/{GOOD}")
        if not defective:
            raise no_test_images(root, f"{split.value}/<kind of defect>")
        return good, defective

    @staticmethod
    def _kept(reading: _Reading, learnt: list[_Part]) -> frozenset[Path]:
        """Good images that are tested with, not learnt from: none where folders set some apart."""
        defective = any(part.label is Label.DEFECTIVE and part.folder.images for part in reading.parts)
        if any(part.split is not None for part in reading.parts) or not defective:
            return frozenset()
        images = [image for part in learnt for image in part.folder.images]
        return kept_for_testing(images, reading.base.path)


class MvtecLayout(_NamedFolders):
    """A product as in MVTec AD (Bergmann et al., CVPR 2019): ``train/good``, ``test/<kind>``, ``ground_truth/<kind>``.

    Others follow it: MVTec LOCO (several masks of an image in a folder), BTAD (``ok`` and ``ko``), MVTec AD 2.
    """

    name = "MVTec"

    def recognises(self, root: Path) -> Recognition | None:
        """By folders for training and testing, or of masks alone."""
        base = find_base(read_tree(root))
        for folder in base.folders:
            if folder.role.split is not None:
                return Recognition(Sureness.SURE, f"has a folder '{folder.name}'")
        if base.folders and all(folder.role.is_mask for folder in base.folders) and not base.images:
            return Recognition(Sureness.SURE, f"has a folder '{base.folders[0].name}'")
        return None


class FlatLayout(_NamedFolders):
    """A product with its good and defective parts in folders side by side: OK, NG and MASK, or normal and abnormal."""

    name = "good and defective folders"

    def recognises(self, root: Path) -> Recognition | None:
        """By a folder of good or of defective parts."""
        base = find_base(read_tree(root))
        named = [folder for folder in base.folders if folder.role.label is not None]
        if not named or any(folder.role.split is not None for folder in base.folders):
            return None
        return Recognition(Sureness.SURE, f"has {_names(named)}")


def find_base(tree: Folder) -> Folder:
    """The folder whose folders lie side by side: that which was given, or the one that it, but for masks, has alone."""
    base = tree
    for _ in range(_CHAIN):
        inner = [folder for folder in base.folders if not folder.role.is_mask]
        if base.images or len(inner) != 1 or inner[0].role.says_something:
            return base
        base = inner[0]
    return base


def _read(root: Path) -> _Reading:
    tree = read_tree(root)
    reading = _Reading(find_base(tree))
    for folder in tree.walk():
        if folder.role.is_mask and folder is not tree:
            reading.masks.append(folder)
    _visit(reading, reading.base.folders, _Part(reading.base, reading.base))
    if any(part.split is not None or part.label is Label.DEFECTIVE for part in reading.parts):
        return reading
    if any(part.folder.role.is_whole for part in reading.of(Label.GOOD, None)):
        # Beside good parts, folders with names of their own hold kinds of defects, as those in MVTec's test do.
        kinds = [each for each in reading.unexplained if any(map(str.isalpha, each.name)) and each.role.label is None]
        for kind in kinds:
            reading.unexplained.remove(kind)
            _visit(reading, kind.folders, _add(reading, _Part(kind, kind, None, Label.DEFECTIVE, kind.name)))
    return reading


def _visit(reading: _Reading, folders: Iterable[Folder], above: _Part) -> None:
    siblings = list(folders)
    whole = any(each.role.label is Label.GOOD and each.role.is_whole for each in siblings)
    for folder in siblings:
        role = folder.role
        if role.is_mask:
            continue
        # Beside 'good', 'normal_crack' is no folder of good parts.
        label = None if role.label is Label.GOOD and whole and not role.is_whole else role.label
        if above.folder is reading.base and label is None and role.split is None:
            if folder.count:
                reading.unexplained.append(folder)
            continue
        split = above.split or role.split
        part = _Part(folder, folder if label or role.split else above.top, split, above.label, above.kind)
        if label is Label.DEFECTIVE and above.label is not Label.DEFECTIVE:
            part = _Part(folder, folder, split, Label.DEFECTIVE, folder.name)
        elif label is Label.GOOD and above.label is None:
            part = _Part(folder, folder, split, Label.GOOD)
        elif above.label is None and above.split in (Split.TEST, Split.VALIDATION) and not role.is_neutral:
            part = _Part(folder, folder, split, Label.DEFECTIVE, folder.name)
        _visit(reading, folder.folders, _add(reading, part))


def _add(reading: _Reading, part: _Part) -> _Part:
    reading.parts.append(part)
    return part


def _set_aside(reading: _Reading, learnt: list[_Part]) -> list[str]:
    """What lies where good parts are learnt from, and is not learnt, a phrase for each folder; tests are no news."""
    said: dict[Path, int] = {}
    for part in reading.parts:
        if part not in learnt and part.split not in (Split.TEST, Split.VALIDATION) and part.folder.images:
            said[part.top.path] = said.get(part.top.path, 0) + len(part.folder.images)
        if part in learnt:
            said |= {each.path: each.count for each in part.folder.other_sensors}
    said |= {each.path: each.count for each in reading.base.other_sensors}
    for folder in reading.unexplained:
        said[folder.path] = folder.count
    base = reading.base.path
    phrases = [f"{count} image(s) in '{path.relative_to(base).as_posix()}'" for path, count in said.items()]
    if reading.base.images:
        phrases.append(f"{len(reading.base.images)} image(s) beside the folders")
    if not any(part.split for part in reading.parts):
        masks = sum(folder.count for folder in reading.masks)
        phrases += [f"{masks} mask(s)"] if masks else []
    return phrases


def _names(folders: Iterable[Folder]) -> str:
    names = list(dict.fromkeys(f"'{folder.name}'" for folder in folders))
    return f"{'folders' if len(names) > 1 else 'a folder'} {', '.join(names)}"


def _example(root: Path, folder: Folder) -> str:
    return f"'{folder.path.relative_to(root).as_posix()}'"
