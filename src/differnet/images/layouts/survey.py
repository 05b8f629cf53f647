"""What would be learnt from a folder and tested with it, before anything is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from differnet.errors import DatasetError
from differnet.images.collect import Collection
from differnet.images.layouts import LabelledImage, find_layout, read_good_images, read_test_images
from differnet.images.pages import count_pages

__all__ = ["Survey", "survey"]

_SAMPLES = 3


@dataclass(frozen=True)
class Survey:
    """What a folder holds.

    Attributes:
        source: What was given.
        layout: The layout that reads it; ``chosen`` where folders were named.
        reason: By what it is known.
        learnt: What would be learnt from; no paths where that is refused.
        refusal: Why nothing would be learnt; empty if something would.
        tested: What would be tested with.
        no_test: Why nothing would be; empty if something would.
        several_pages: Files of either with several pages or frames, of which the first is read.
    """

    source: Path
    layout: str
    reason: str
    learnt: Collection
    refusal: str
    tested: tuple[LabelledImage, ...]
    no_test: str
    several_pages: tuple[Path, ...] = ()

    def lines(self) -> list[str]:
        """All in words, a line each."""
        lines = [f"{self.source}: read as '{self.layout}', because it {self.reason}"]
        if self.refusal:
            lines.append(f"learnt from: nothing. {self.refusal}")
        else:
            lines.append(_line("learnt from", "good", self.learnt.paths))
        if self.learnt.passed_over:
            lines.append(self.learnt.passed_over)
        for kind, images in self._by_kind().items():
            masks = sum(image.mask is not None for image in images)
            what = "good" if not images[0].is_defective else f"defective, '{kind}', {masks} with a mask"
            lines.append(_line("tested with", what, [image.path for image in images]))
        if self.no_test:
            lines.append(f"tested with: nothing. {self.no_test}")
        if self.several_pages:
            lines.append(
                f"{len(self.several_pages)} file(s) have several pages or frames, of each of which the first alone is "
                f"read: {', '.join(_samples([*self.several_pages]))}"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """All as JSON values."""
        found = self.learnt
        return {
            "folder": str(self.source),
            "layout": self.layout,
            "reason": self.reason,
            "learnt": {"images": len(found.paths), "samples": _samples(found.paths)},
            "refused": self.refusal or None,
            "passed_over": {
                "hidden": found.hidden,
                "not_images": found.not_images,
                "unreadable": [str(path) for path in found.unreadable],
                "linked": [str(path) for path in found.linked],
                "set_aside": found.set_aside,
            },
            "tested": [
                {
                    "kind": kind,
                    "defective": images[0].is_defective,
                    "images": len(images),
                    "masks": sum(image.mask is not None for image in images),
                    "samples": _samples([image.path for image in images]),
                }
                for kind, images in self._by_kind().items()
            ],
            "not_tested": self.no_test or None,
            "several_pages": [str(path) for path in self.several_pages],
        }

    def _by_kind(self) -> dict[str, list[LabelledImage]]:
        kinds: dict[str, list[LabelledImage]] = {}
        for image in self.tested:
            kinds.setdefault(image.kind, []).append(image)
        return kinds


def survey(
    root: str | os.PathLike[str],
    *,
    good: Sequence[str | os.PathLike[str]] | None = None,
    defective: Sequence[str | os.PathLike[str]] | None = None,
    masks: Sequence[str | os.PathLike[str]] | None = None,
) -> Survey:
    """Look at a folder: names, folders and numbers of pages; only masks are decoded, where they alone tell.

    Args:
        root: A product.
        good: As for `read_good_images`.
        defective: As for `read_test_images`.
        masks: As for `read_test_images`.

    Raises:
        DatasetError: If there is no such folder.
    """
    source = Path(root)
    if not os.fspath(root) or not source.exists():
        read_good_images(root)  # which says what is wrong
    learnt, refusal = Collection(), ""
    tested: tuple[LabelledImage, ...] = ()
    no_test = ""
    if good or defective or masks:
        name, reason = "chosen", "is read by the folders that were named"
    else:
        layout, recognition = find_layout(source)
        name, reason = layout.name, recognition.reason
    try:
        learnt = read_good_images(source, good=good)
    except DatasetError as error:
        refusal = str(error)
    try:
        tested = read_test_images(source, good=good if defective else None, defective=defective, masks=masks)
    except DatasetError as error:
        no_test = str(error)
    several = [path for path in (*learnt.paths, *(image.path for image in tested)) if _has_several_pages(path)]
    return Survey(source, name, reason, learnt, refusal, tested, no_test, tuple(several))


def _has_several_pages(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return count_pages(stream) > 1
    except (OSError, ValueError):
        return False


def _line(what: str, kind: str, paths: list[Path]) -> str:
    shown = ", ".join(_samples(paths)) + (", ..." if len(paths) > _SAMPLES else "")
    return f"{what}: {len(paths)} {kind}: {shown}"


def _samples(paths: list[Path]) -> list[str]:
    """The first, one of the middle and the last."""
    if len(paths) <= _SAMPLES:
        return [str(path) for path in paths]
    return [str(paths[place]) for place in (0, len(paths) // 2, -1)]
