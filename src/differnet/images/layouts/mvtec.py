"""The layout of MVTec AD: ``train/good``, ``test/<kind>``, ``ground_truth/<kind>``."""

from __future__ import annotations

from pathlib import Path

from differnet.errors import DatasetError
from differnet.images.collect import Collection, collect_images
from differnet.images.layouts.layout import GOOD, LabelledImage, Layout, Recognition, Sureness, no_test_images

__all__ = ["MvtecLayout"]


class MvtecLayout(Layout):
    """A product as in MVTec AD (Bergmann et al., CVPR 2019).

    Good images to learn from are in ``train/good``, test images in ``test/good`` and ``test/<kind of defect>``;
    ``ground_truth/<kind>`` may have ``NAME_mask.png`` or ``NAME.png`` for the image ``NAME``.
    """

    name = "MVTec"

    def recognises(self, root: Path) -> Recognition | None:
        """By any of its three folders."""
        for folder in ("train", "test", "ground_truth"):
            if (root / folder).is_dir():
                return Recognition(Sureness.SURE, f"has a folder '{folder}'")
        return None

    def good_images(self, root: Path) -> Collection:
        """Those of ``train/good``."""
        good = root / "train" / GOOD
        if good.is_dir():
            return collect_images(good)
        if good.parent.is_dir():
            raise DatasetError(f"{good.parent}: has no folder '{GOOD}'; put the images of good parts there.")
        raise DatasetError(f"{root}: has no folder 'train/{GOOD}'; put the images of good parts there.")

    def test_images(self, root: Path) -> tuple[LabelledImage, ...]:
        """Those of the folders in ``test``, which are named by the kind of defect."""
        test = root / "test"
        kinds = sorted(folder for folder in test.iterdir() if _is_kind(folder)) if test.is_dir() else []
        names = [folder.name for folder in kinds]
        if GOOD not in names:
            raise no_test_images(root, f"test/{GOOD}")
        if len(names) == 1:
            raise no_test_images(root, "test/<kind of defect>")
        return tuple(
            LabelledImage(path, folder.name, _find_mask(root, folder.name, path))
            for folder in kinds
            for path in collect_images(folder).paths
        )


def _is_kind(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith(".")


def _find_mask(root: Path, kind: str, image: Path) -> Path | None:
    folder = root / "ground_truth" / kind
    candidates = (folder / f"{image.stem}{suffix}" for suffix in ("_mask.png", ".png"))
    return next((mask for mask in candidates if mask.is_file()), None)
