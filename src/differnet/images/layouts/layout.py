"""What a layout is: which images in a folder are good ones to learn from, and which are to test with."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import ClassVar

from differnet.errors import DatasetError
from differnet.images.collect import Collection
from differnet.images.fingerprint import content_sample

__all__ = [
    "GOOD",
    "LabelledImage",
    "Layout",
    "Recognition",
    "Sureness",
    "by_kind",
    "kept_for_testing",
    "no_test_images",
]

GOOD = "good"
"""Kind of good parts, and the name of the folders that hold them."""

_SHARE_KEPT = 5
# So many good images the default's threshold takes: where there are few, fewer are kept.
_LEAST_LEARNT = 19


@dataclass(frozen=True)
class LabelledImage:
    """A test image with what is known about it.

    Attributes:
        path: The image file.
        kind: Kind of defect, ``good`` for good parts.
        mask: Ground-truth mask (white where defective), None when there is none.
        more_masks: Further masks of the image: what any of them marks is defective.
    """

    path: Path
    kind: str
    mask: Path | None = None
    more_masks: tuple[Path, ...] = ()

    @property
    def is_defective(self) -> bool:
        """True unless the image shows a good part."""
        return self.kind != GOOD


class Sureness(IntEnum):
    """How sure a layout is that a source is of its kind; of several layouts the surest reads it."""

    FALLBACK = 0
    """It takes what no other does."""
    LIKELY = 1
    """By structure."""
    SURE = 2
    """By names or contents that nothing else has."""


@dataclass(frozen=True)
class Recognition:
    """That a layout takes a source to be of its kind.

    Attributes:
        sureness: How sure it is.
        reason: By what it knows, in words that follow "because it": ``has a folder 'train'``.
    """

    sureness: Sureness
    reason: str


class Layout(ABC):
    """One way in which images of a product are laid out.

    Identities, for any source that `recognises` takes:

    - the same files give the same result, images in a stable order, each once;
    - no image is both one to learn from and one to test with;
    - every kind in `test_images` has at least one image, and ``good`` and another kind are among them;
    - a layout looks at names and folders, and decodes no image but masks that alone say which parts are defective.

    Attributes:
        name: Of the layout, in messages.
    """

    name: ClassVar[str]

    @abstractmethod
    def recognises(self, root: Path) -> Recognition | None:
        """Whether a source is of this layout; None if not. Never raises for a source that is missing or empty."""

    @abstractmethod
    def good_images(self, root: Path) -> Collection:
        """Find the good images to learn from.

        Raises:
            DatasetError: If there are none, or if it is not clear which they are.
        """

    def test_images(self, root: Path) -> tuple[LabelledImage, ...]:
        """Find the labelled test images, sorted by kind and path; a layout without any says so.

        Raises:
            DatasetError: If there are no good or no defective test images.
        """
        raise no_test_images(root, f"test/{GOOD}")


def no_test_images(root: Path, missing: str) -> DatasetError:
    """The error that says what an evaluation needs.

    Args:
        root: What was given.
        missing: The folder that is not there.
    """
    return DatasetError(
        f"{root}: has no folder '{missing}'; evaluation needs good images in 'test/{GOOD}' and defective ones "
        f"in 'test/<kind of defect>'. Images elsewhere are named by --good and --defective, of which one will do."
    )


def by_kind(images: Iterable[LabelledImage]) -> tuple[LabelledImage, ...]:
    """Test images in the order of their kinds and paths."""
    return tuple(sorted(images, key=lambda image: (image.kind, image.path.as_posix())))


def kept_for_testing(
    images: Sequence[Path], root: Path, group: Callable[[Path], str] = lambda image: image.as_posix()
) -> frozenset[Path]:
    """About a fifth of the good images, not learnt from, for products whose folders set none apart for testing.

    Args:
        images: All good images; their contents decide, so that a copy of the product, or one with other names, is
            divided alike.
        root: Of the product.
        group: Of an image's name from there on; images of a group stay together.
    """
    groups: dict[str, list[Path]] = {}
    for image in images if len(images) > 1 else ():
        groups.setdefault(group(image.relative_to(root)), []).append(image)
    mixed = sorted(groups, key=lambda name: _chance(name, groups[name]))
    kept: list[Path] = []
    for name in mixed[: max(1, round(len(mixed) / _SHARE_KEPT))]:
        if kept and len(images) - len(kept) - len(groups[name]) < _LEAST_LEARNT:
            break
        kept += groups[name]
    return frozenset(kept)


def _chance(name: str, images: Iterable[Path]) -> tuple[bytes, bytes]:
    """A random number that the contents of a group's images decide; its name, where two are alike."""
    contents = hashlib.sha256(b"".join(sorted(content_sample(image) for image in images))).digest()
    return contents, hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
