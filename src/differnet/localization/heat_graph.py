"""The heat map as a graph: from the anomaly of cells to a map in the image's own size."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from differnet.images import RegionOfInterest
from differnet.localization.local_model import shown
from differnet.localization.seen_cells import seen_cells
from differnet.views import Tiling

__all__ = ["HeatGraph"]


class HeatGraph(nn.Module):
    """What `CellMethod.interpolate` and `Localizer.heat` do for a map of cells.

    Args:
        cells: Number of cells along a side, g.
        side: Of the raw map.
        scale: The raw value that becomes 1; None takes each image's own hottest.
        region: The region of interest, if any.
        smoothing: See `CellMethod`.
        tiling: How long images are cut, if they are.
    """

    _blur: Tensor
    _seen: Tensor
    _rows: Tensor
    _columns: Tensor
    _inside: Tensor
    _square: Tensor

    def __init__(
        self,
        cells: int,
        side: int,
        scale: float | None,
        region: RegionOfInterest | None,
        *,
        smoothing: float = 1.0,
        tiling: Tiling | None = None,
    ) -> None:
        super().__init__()
        self._side, self._tiling = side, tiling
        # What is interpolated to the image's own size.
        own = (side, side) if tiling is None else (tiling.height, tiling.width)
        self._own = own
        if tiling is not None:
            self.register_buffer("_square", _hat_matrix(tiling.size, side))
        self._scale = None if scale is None else float(np.logaddexp(np.float32(0.0), np.float32(scale)))
        self._region = region
        self.register_buffer("_blur", torch.from_numpy(_blur_matrix(side, smoothing * side / cells)))
        if region is not None:
            x, y, width, height = region.box
            inside = region.mask[y : y + height, x : x + width]
            self.register_buffer("_seen", torch.from_numpy(seen_cells(inside, side, tiling)))
            self.register_buffer("_inside", torch.from_numpy(inside.copy()))
            self.register_buffer("_rows", _hat_matrix(height, own[0]))
            self.register_buffer("_columns", _hat_matrix(width, own[1]))

    def forward(self, anomaly: Tensor, image: Tensor) -> Tensor:
        """Make the map of an anomaly of cells, (height, width) float32 in the size of the image (height, width, 3)."""
        finer = functional.interpolate(
            shown(anomaly)[None, None], size=(self._side, self._side), mode="bilinear", align_corners=False
        )[0, 0]
        raw = self._blur @ finer @ self._blur.T
        heat = functional.softplus(raw)
        if self._scale is None:
            hottest = raw if self._region is None else raw.masked_fill(~self._seen, -torch.inf)
            heat = heat / functional.softplus(hottest.max())
        else:
            heat = heat / self._scale
        if self._tiling is not None:
            heat = _restored(self._square @ heat @ self._square.T, self._tiling)
        height, width = image.shape[:2]
        if self._region is None:
            return _hat_matrix(height, self._own[0]) @ heat @ _hat_matrix(width, self._own[1]).T
        placed = torch.where(self._inside, self._rows @ heat @ self._columns.T, 0.0)
        x, y, box_width, box_height = self._region.box
        return functional.pad(placed, (x, width - x - box_width, y, height - y - box_height))


def _restored(square: Tensor, tiling: Tiling) -> Tensor:
    """What `Tiling.restore` does."""
    turned = square if tiling.wide else square.T
    strip = torch.cat([turned[lines, along] for lines, along in tiling.kept], dim=1)
    return strip if tiling.wide else strip.T


def _blur_matrix(side: int, sigma: float) -> np.ndarray:
    """The matrix that a blur multiplies either axis with, found by blurring images of which one row is 1."""
    rows = np.eye(side, dtype=np.float32)
    blurred = [
        cv2.GaussianBlur(np.repeat(row[:, None], side, axis=1), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)[:, 0]
        for row in rows
    ]
    return np.stack(blurred, axis=1)


def _hat_matrix(length: int, side: int) -> Tensor:
    """The (length, side) weights of a bilinear interpolation, as OpenCV's INTER_LINEAR has them."""
    places = (torch.arange(length, dtype=torch.float32) + 0.5) * (side / length) - 0.5
    places = places.clamp(0, side - 1).unsqueeze(1)
    return functional.relu(1.0 - (places - torch.arange(side, dtype=torch.float32)).abs())
