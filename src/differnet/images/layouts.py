"""Folder layouts: MVTec (``train/good``, ``test/<kind>``, ``ground_truth/<kind>``) and plain folders of good images."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from differnet.errors import DatasetError
from differnet.images.collect import Collection, collect_images

__all__ = ["GOOD", "LabelledImage", "read_good_images", "read_test_images"]

GOOD = "good"
"""Name of the folders that hold good parts."""


@dataclass(frozen=True)
class LabelledImage:
    """A test image with what is known about it.

    Attributes:
        path: The image file.
        kind: Kind of defect, ``good`` for good parts.
        mask: Ground-truth mask (white where defective), None when there is none.
    """

    path: Path
    kind: str
    mask: Path | None = None

    @property
    def is_defective(self) -> bool:
        """True unless the image shows a good part."""
        return self.kind != GOOD


def read_good_images(root: str | os.PathLike[str]) -> Collection:
    """Find the good images to learn from.

    Args:
        root: A product in the MVTec layout (its ``train/good`` is read), a plain folder of good images, a list
            file, or a single image.

    Raises:
        DatasetError: If the folder does not exist, is empty, or has a ``train`` folder without ``good`` in it.
    """
    if not os.fspath(root):
        return collect_images(root)  # which says what is wrong
    root = Path(root)
    if (root / "train").is_dir():
        good = root / "train" / GOOD
        if not good.is_dir():
            raise DatasetError(f"{root / 'train'}: has no folder '{GOOD}'; put the images of good parts there.")
        return collect_images(good)
    if (root / "test").is_dir() or (root / "ground_truth").is_dir():
        raise DatasetError(f"{root}: has no folder 'train/{GOOD}'; put the images of good parts there.")
    return collect_images(root)


def read_test_images(root: str | os.PathLike[str]) -> tuple[LabelledImage, ...]:
    """Find the labelled test images of a product in the MVTec layout.

    Args:
        root: Folder with ``test/good`` and ``test/<kind of defect>``; ``ground_truth`` may be absent.

    Returns:
        The images, sorted by kind and path.

    Raises:
        DatasetError: If there are no good or no defective test images.
    """
    test = Path(root) / "test"
    kinds = sorted(folder for folder in test.iterdir() if _is_kind(folder)) if test.is_dir() else []
    names = [folder.name for folder in kinds]
    if GOOD not in names or len(names) == 1:
        missing = f"test/{GOOD}" if GOOD not in names else "test/<kind of defect>"
        raise DatasetError(
            f"{root}: has no folder '{missing}'; evaluation needs good images in 'test/{GOOD}' and defective ones "
            f"in 'test/<kind of defect>'."
        )
    return tuple(
        LabelledImage(path, folder.name, _find_mask(Path(root), folder.name, path))
        for folder in kinds
        for path in collect_images(folder).paths
    )


def _is_kind(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith(".")


def _find_mask(root: Path, kind: str, image: Path) -> Path | None:
    folder = root / "ground_truth" / kind
    candidates = (folder / f"{image.stem}{suffix}" for suffix in ("_mask.png", ".png"))
    return next((mask for mask in candidates if mask.is_file()), None)
