"""Finding the masks of test images in folders of masks, however deep both lie."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from differnet.images.layouts.names import is_mask_of
from differnet.images.layouts.tree import Folder

__all__ = ["GroundTruth"]


class GroundTruth:
    """The masks of a product.

    A mask is an image's if its stem, or its folder where an image has several, is the image's stem, with or without a
    word such as ``_mask`` after it, and no folder above it contradicts: of two, the one whose folders are more like the
    image's.

    Args:
        folders: Those that hold masks.
        kinds: Names of the kinds of defects: a mask that lies in the folder of one is of no other.
        base: The folder that all lie in: what is between it and a folder of masks counts, too, as in
            ``test/crack/gt/000.png``. None to look at what is below folders of masks alone.
    """

    def __init__(self, folders: Iterable[Folder], kinds: Iterable[str], base: Path | None = None) -> None:
        self._kinds = {kind.casefold() for kind in kinds}
        self._by_stem: dict[str, list[tuple[Path, tuple[str, ...]]]] = {}
        for folder in folders:
            above = (
                () if base is None or base not in folder.path.parents else folder.path.parent.relative_to(base).parts
            )
            for inner in folder.walk():
                parts = tuple(part.casefold() for part in (*above, *inner.path.relative_to(folder.path).parts))
                for mask in (*inner.images, *(mask for masks in inner.masks.values() for mask in masks)):
                    for stem in {mask.stem, is_mask_of(mask.stem) or mask.stem}:
                        self._by_stem.setdefault(stem, []).append((mask, parts))
                    if parts:  # ground_truth/logical_anomalies/000/000.png and 001.png are both of image 000
                        self._by_stem.setdefault(f"{inner.name}/", []).append((mask, parts[:-1]))

    def of(self, image: Path, kind: str, below: Iterable[str]) -> tuple[Path, ...]:
        """The masks of an image, sorted; none if there is none, or if two have equal claims.

        Args:
            image: The image.
            kind: Its kind of defect.
            below: Folders between that of its kind and the image.
        """
        wanted = (kind.casefold(), *(part.casefold() for part in below))
        own = self._best(self._by_stem.get(f"{image.stem}/", []), wanted)
        if own and (own[0].parent.name == image.stem):
            return tuple(sorted(own))
        found = self._best(self._by_stem.get(image.stem, []), wanted)
        named = [mask for mask in found if is_mask_of(mask.stem) == image.stem] or found
        return tuple(named[:1]) if len({mask.parent for mask in named}) == 1 else ()

    def _best(self, candidates: list[tuple[Path, tuple[str, ...]]], wanted: tuple[str, ...]) -> list[Path]:
        ranked = [
            (len(set(parts) & set(wanted)) - 0.1 * len(set(parts) - set(wanted)), mask)
            for mask, parts in candidates
            if wanted[0] in parts or not self._kinds.intersection(parts)
        ]
        most = max((rank for rank, _ in ranked), default=0.0)
        return sorted(mask for rank, mask in ranked if rank == most)
