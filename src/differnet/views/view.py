"""Which views there are: the transformations T of the paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from differnet.settings import ViewSettings

__all__ = ["View", "exact_views", "fixed_views", "random_views"]


@dataclass(frozen=True)
class View:
    """One transformation of an image.

    Attributes:
        degrees: Counter-clockwise rotation about the centre; corners that come from outside are black.
        mirrored: Whether the image is flipped left to right before it is rotated.
        brightness: Factor on all values.
        contrast: Factor on the difference to the image's mean grey.
        saturation: Factor on the difference to each pixel's grey.
    """

    degrees: float = 0.0
    mirrored: bool = False
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0

    @property
    def is_photometric(self) -> bool:
        """Whether the view changes colours."""
        return (self.brightness, self.contrast, self.saturation) != (1.0, 1.0, 1.0)


def fixed_views(settings: ViewSettings) -> tuple[View, ...]:
    """The views of a test image, the same for every image.

    ``rotations``: i * 360 / n degrees for i = 0..n-1 (paper, section 4.2). ``right-angles``, ``flips`` and
    ``symmetries``: exact symmetries of the square, 4, 4 and 8; a smaller count takes the first ones. ``none``: the
    image as it is.
    """
    if settings.kind == "rotations":
        return tuple(View(degrees=i * 360.0 / settings.count) for i in range(settings.count))
    return exact_views(settings.kind)[: settings.count]


def random_views(settings: ViewSettings, count: int, rng: np.random.Generator) -> tuple[View, ...]:
    """Draw views for training.

    ``rotations``: angles uniform in +-``settings.max_degrees``. The exact kinds: draws without replacement while
    there are enough. Brightness, contrast and saturation: factors uniform in 1 +- the setting.
    """
    if settings.kind == "rotations":
        angles = rng.uniform(-settings.max_degrees, settings.max_degrees, count)
        geometry = [(float(angle), False) for angle in angles]
    else:
        exact = exact_views(settings.kind)
        drawn = rng.choice(len(exact), count, replace=count > len(exact))
        geometry = [(exact[i].degrees, exact[i].mirrored) for i in drawn]
    return tuple(
        View(
            degrees,
            mirrored,
            brightness=_jitter(settings.brightness, rng),
            contrast=_jitter(settings.contrast, rng),
            saturation=_jitter(settings.saturation, rng),
        )
        for degrees, mirrored in geometry
    )


def exact_views(kind: str) -> tuple[View, ...]:
    """All views of a kind that move every pixel exactly, the image as it is first."""
    right_angles = tuple(View(degrees=90.0 * i) for i in range(4))
    if kind == "right-angles":
        return right_angles
    if kind == "flips":
        # Flipped from top to bottom is turned by 180 degrees and flipped from left to right.
        return tuple(View(degrees=degrees, mirrored=mirrored) for degrees in (0.0, 180.0) for mirrored in (False, True))
    if kind == "symmetries":
        return right_angles + tuple(View(degrees=90.0 * i, mirrored=True) for i in range(4))
    return (View(),)


def _jitter(strength: float, rng: np.random.Generator) -> float:
    return float(rng.uniform(max(0.0, 1.0 - strength), 1.0 + strength)) if strength > 0.0 else 1.0
