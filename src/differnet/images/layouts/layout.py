"""What a layout is: which images in a folder are good ones to learn from, and which are to test with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import ClassVar

from differnet.errors import DatasetError
from differnet.images.collect import Collection

__all__ = ["GOOD", "LabelledImage", "Layout", "Recognition", "Sureness", "no_test_images"]

GOOD = "good"
"""Kind of good parts, and the name of the folders that hold them."""


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
    - a layout looks at names and folders, and decodes no image.

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
            DatasetError: If there are none.
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
        f"in 'test/<kind of defect>'."
    )
