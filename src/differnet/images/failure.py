"""Images that could not be used, and what images are called."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from differnet.images import DecodedImage, ImageSource

__all__ = ["Failure", "describe"]


@dataclass(frozen=True)
class Failure:
    """An image that could not be used.

    Attributes:
        source: The path, or the array's place in the input.
        reason: One sentence that says why and what to do.
    """

    source: str
    reason: str

    def __str__(self) -> str:
        """The reason, after the source where it does not name it."""
        return self.reason if self.source in self.reason else f"{self.source}: {self.reason}"

    def to_dict(self) -> dict[str, str]:
        """The fields as JSON values, the source under the name ``path`` as that of a verdict."""
        return {"path": self.source, "reason": self.reason}


def describe(source: ImageSource, index: int) -> str:
    """Name an image for a message or a table: its path, or its place in the input."""
    if isinstance(source, np.ndarray):
        return f"array[{index}]"
    return f"image[{index}]" if isinstance(source, (bytes, DecodedImage)) else str(source)
