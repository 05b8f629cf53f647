"""Which good images are trained on, which are held out, and the folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from differnet.errors import DatasetError
from differnet.images.failure import Failure
from differnet.settings import Settings, TrainingSettings

__all__ = ["MIN_IMAGES", "check_readable", "fold_places", "split_held_out"]

MIN_IMAGES = 5
"""Fewest good images that training accepts."""


def fold_places(count: int, settings: Settings) -> list[list[int]]:
    """Divide images into the folds of the cross-fitting; the places of each are sorted."""
    folds = min(settings.calibration.folds, count)
    order = np.random.default_rng([settings.seed, 0]).permutation(count)
    return [sorted(order[fold::folds].tolist()) for fold in range(folds)]


def split_held_out(count: int, settings: TrainingSettings, seed: int) -> tuple[list[int], list[int]]:
    """Divide images into those to train on and those held out.

    Args:
        count: Number of good images.
        settings: Tells the share; at least ``min_held_out`` are held out, but never more than half.
        seed: Of the choice.

    Returns:
        Places of the training images and of the held-out images, both sorted.

    Raises:
        DatasetError: If there are too few images.
    """
    if count < MIN_IMAGES:
        raise DatasetError(
            f"{count} good image(s) are too few to learn from; give at least {MIN_IMAGES}, better 20 or more."
        )
    held_out = 0
    if settings.held_out > 0.0:
        held_out = min(max(settings.min_held_out, round(count * settings.held_out)), count // 2)
    order = np.random.default_rng([seed, 0]).permutation(count).tolist()
    return sorted(order[held_out:]), sorted(order[:held_out])


def check_readable(readable: int, given: int, failures: Sequence[Failure]) -> None:
    """Refuse to learn from too few images.

    Args:
        readable: Number of training images that could be used.
        given: Number of all training images.
        failures: Those that could not be used.

    Raises:
        DatasetError: If fewer than two images could be used.
    """
    if readable < 2:
        raise DatasetError(
            f"{readable} of {given} training images can be read, which is too few; the first problem: "
            f"{failures[0].reason}"
        )
