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


def fold_places(groups: Sequence[int], settings: Settings) -> list[list[int]]:
    """Divide images into the folds of the cross-fitting, each group into one.

    Args:
        groups: The group of each image, see `join_groups`.
        settings: All settings.

    Returns:
        The places of each fold, sorted; as many folds as the settings say, but no more than groups.
    """
    members = _shuffled_groups(groups, settings.seed)
    folds: list[list[int]] = [[] for _ in range(min(settings.calibration.folds, len(members)))]
    for places in members:
        min(folds, key=len).extend(places)
    return [sorted(fold) for fold in folds]


def split_held_out(
    count: int, settings: TrainingSettings, seed: int, groups: Sequence[int] | None = None
) -> tuple[list[int], list[int]]:
    """Divide images into those to train on and those held out.

    Args:
        count: Number of good images.
        settings: Tells the share; at least ``min_held_out`` are held out, but never more than half.
        seed: Of the choice.
        groups: The group of each image, see `join_groups`: a group is not divided, and the share is met as well as can
            be; None where every image stands alone.

    Returns:
        Places of the training images and of the held-out images, both sorted.

    Raises:
        DatasetError: If there are too few images.
    """
    if count < MIN_IMAGES:
        raise DatasetError(
            f"{count} good image(s) are too few to learn from; give at least {MIN_IMAGES}, better 20 or more."
        )
    wanted = 0
    if settings.held_out > 0.0:
        wanted = min(max(settings.min_held_out, round(count * settings.held_out)), count // 2)
    held_out: list[int] = []
    for places in _shuffled_groups(range(count) if groups is None else groups, seed):
        if len(held_out) + len(places) <= wanted:
            held_out += places
    if wanted and not held_out:
        held_out = min(_shuffled_groups(groups or range(count), seed), key=len)
    chosen = set(held_out)
    return [place for place in range(count) if place not in chosen], sorted(held_out)


def _shuffled_groups(groups: Sequence[int], seed: int) -> list[list[int]]:
    """The places of each group, the groups in random order; a single group is divided after all."""
    if len(set(groups)) == 1:
        groups = range(len(groups))
    members: dict[int, list[int]] = {}
    for place in np.random.default_rng([seed, 0]).permutation(len(groups)).tolist():
        members.setdefault(groups[place], []).append(place)
    return [*members.values()]


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
