"""What training images looked like: to a ruler, and to the network; by which later ones are compared with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["APPEARANCE", "Reference", "appearance"]

APPEARANCE = ("light", "contrast", "sharpness", "colour")
"""What `appearance` measures."""

_STEP = 4
_MOST_IMAGES = 1000
_EPS = 1e-6


def appearance(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure an image: mean and standard deviation of its green, its steps from pixel to pixel, its colour.

    Every fourth row and column is looked at: 0.1 ms for an image of 320 x 320.

    Args:
        pixels: uint8 (height, width, 3), at the size that the network sees.

    Returns:
        float32 (4,): brightness and its standard deviation in [0, 255]; the logarithm of the mean step between
        neighbouring pixels in units of that deviation; the mean difference of red and blue.
    """
    green = pixels[::_STEP, ::_STEP, 1]
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(np.ascontiguousarray(green)))
    rows, columns = np.ascontiguousarray(pixels[::_STEP, :, 1]), np.ascontiguousarray(pixels[:, ::_STEP, 1])
    along = float(cv2.absdiff(rows[:, 1:], rows[:, :-1]).mean())
    down = float(cv2.absdiff(columns[1:], columns[:-1]).mean())
    sharpness = np.log((along + down + 0.1) / (deviation + 1.0))
    few = pixels[::_STEP, ::_STEP]
    colour = float(cv2.absdiff(np.ascontiguousarray(few[:, :, 0]), np.ascontiguousarray(few[:, :, 2])).mean())
    return np.array([mean, deviation, sharpness, colour], np.float32)


@dataclass(frozen=True, eq=False)
class Reference:
    """What training images looked like.

    Attributes:
        appearance: float32 (n, 4), see `appearance`; of 1000 images at most.
        features: float32 (2, d), mean and standard deviation of the features of the images' first view.
        images: Number of images that the features are of.
        dimension: Effective number of independent features, ``d^2 / trace(C^2)`` for their correlations C.
    """

    appearance: Tensor
    features: Tensor
    images: int
    dimension: float

    @classmethod
    def of(cls, looks: list[NDArray[np.float32]], features: Tensor) -> Reference | None:
        """Learn it of good images; None of fewer than two.

        Args:
            looks: `appearance` of each.
            features: (n, d) float32 of their first view.
        """
        if len(features) < 2 or len(looks) < 2:
            return None
        every = features.double().cpu()
        mean, deviation = every.mean(0), every.std(0, correction=0)
        standard = (every - mean) / (deviation + _EPS)
        # The squares of all correlations, summed, from whichever of the two products is smaller.
        product = standard.T @ standard if len(standard) > standard.shape[1] else standard @ standard.T
        squares = (product / len(standard)).square().sum().item()
        step = -(-len(looks) // _MOST_IMAGES)
        return cls(
            torch.from_numpy(np.stack(looks[::step])),
            torch.stack([mean, deviation]).float(),
            len(every),
            max(standard.shape[1] ** 2 / max(squares, _EPS), 1.0),
        )

    def state(self) -> dict[str, Tensor]:
        """The tensors of a model file, by name."""
        numbers = torch.tensor([self.images, self.dimension], dtype=torch.float64)
        return {"appearance": self.appearance, "features": self.features, "numbers": numbers}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> Reference:
        """The reverse of `state`.

        Raises:
            KeyError: If a tensor is missing; its argument is the name.
            ValueError: If a tensor is not as expected; likewise.
        """
        looks, features, numbers = state["appearance"], state["features"], state["numbers"]
        if looks.dim() != 2 or looks.shape[1] != len(APPEARANCE) or not len(looks) or not looks.isfinite().all():
            raise ValueError("appearance")
        if features.dim() != 2 or len(features) != 2 or not features.isfinite().all():
            raise ValueError("features")
        if numbers.shape != (2,) or not (numbers.isfinite().all() and (numbers >= 1).all()):
            raise ValueError("numbers")
        return cls(looks, features, int(numbers[0].item()), numbers[1].item())
