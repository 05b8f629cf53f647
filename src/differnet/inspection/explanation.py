"""A verdict with the places that led to it."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from differnet.errors import MissingExtraError, SettingsError
from differnet.inspection.verdict import Verdict
from differnet.installing import install_extra
from differnet.localization.overlay import draw_overlay, save_overlay
from differnet.localization.regions import Region

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Explanation"]


@dataclass(frozen=True, eq=False)
class Explanation:
    """The heat map of an image.

    Attributes:
        verdict: The verdict on the image.
        heat: float32 (height, width) in the image's own size, >= 0. On the fixed scale 1 is the hottest that good
            images get at the stated false-reject rate; otherwise 1 is the hottest of this very image.
        regions: Connected regions hotter than 1 and not smaller than what the map resolves (a cell, for
            ``neighbours``), hottest first; none unless the scale is fixed.
        scale_is_fixed: Whether the scale was learnt from good images.
        image: uint8 (height, width, 3), the image itself; None unless it was asked for, see `original`.
    """

    verdict: Verdict
    heat: NDArray[np.float32]
    regions: tuple[Region, ...]
    scale_is_fixed: bool
    image: NDArray[np.uint8] | None = None

    @property
    def original(self) -> NDArray[np.uint8]:
        """The image itself, uint8 (height, width, 3).

        Raises:
            SettingsError: If it was not asked for.
        """
        if self.image is None:
            raise SettingsError("The explanation holds no image; ask for it: explain_stream(..., with_images=True).")
        return self.image

    def overlay(self) -> NDArray[np.uint8]:
        """The image, beside it the image under its heat, regions and the scale of the colours.

        Returns:
            uint8 (rows, columns, 3), RGB; see `draw_overlay`.

        Raises:
            SettingsError: If the explanation holds no image.
        """
        return draw_overlay(self.original, self.heat, self.regions, caption=self._caption)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what `overlay` draws as a PNG.

        Raises:
            SettingsError: If the explanation holds no image.
            OutputError: If the file cannot be written.
        """
        save_overlay(path, self.original, self.heat, self.regions, caption=self._caption)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Show what `overlay` draws with matplotlib.

        Args:
            axes: Where; None for a new figure.

        Raises:
            SettingsError: If the explanation holds no image.
            MissingExtraError: If matplotlib is not installed.
        """
        try:
            import matplotlib.pyplot as plt  # noqa: PLC0415 - an optional package
        except ModuleNotFoundError:
            raise MissingExtraError(f"Plots need matplotlib. Run: {install_extra('report')}") from None
        picture = self.overlay()
        if axes is None:
            height, width = picture.shape[:2]
            axes = plt.figure(figsize=(width / 100, height / 100)).add_axes((0, 0, 1, 1))
        axes.imshow(picture)
        axes.set_axis_off()
        return axes

    @property
    def _caption(self) -> str:
        decision = self.verdict.decision
        return f"{'' if decision is None else f'{decision}, '}score {self.verdict.score:.3f}, {self.verdict.source}"

    def _repr_png_(self) -> bytes | None:
        if self.image is None:
            return None
        stream = io.BytesIO()
        Image.fromarray(self.overlay()).save(stream, format="PNG")
        return stream.getvalue()

    def __repr__(self) -> str:
        height, width = self.heat.shape
        return (
            f"Explanation({self.verdict.source!r}, {self.verdict.decision}, score {self.verdict.score:.4f}, "
            f"{len(self.regions)} regions, {width} x {height})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Verdict and regions as JSON values."""
        return {
            **self.verdict.to_dict(),
            "regions": [region.to_dict() for region in self.regions],
            "scale_is_fixed": self.scale_is_fixed,
        }
