"""Images that belong together: in one fold, on one side of a split, and one witness for the threshold."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from differnet.training.joining import join_groups
from differnet.training.name_pattern import telling_pattern
from differnet.training.near_copies import NearCopies

__all__ = ["Grouping", "group_images", "join_groups", "one_of_each"]


@dataclass(frozen=True)
class Grouping:
    """Which images belong together, and how that is known.

    Attributes:
        groups: The group of each image: the place of its first image.
        copies: Of each image, whether it is a near-copy of another one.
        pattern: A pattern by which names seem to tell which images show the same part; empty without, and where the
            groups were given.
    """

    groups: tuple[int, ...]
    copies: tuple[bool, ...]
    pattern: str = ""

    def of(self, places: Sequence[int]) -> Grouping:
        """The same for some of the images."""
        return Grouping(
            tuple(self.groups[place] for place in places), tuple(self.copies[place] for place in places), self.pattern
        )


def group_images(
    names: Sequence[str], labels: Sequence[Hashable] | None = None, seen: NearCopies | None = None
) -> Grouping:
    """Find out which images belong together.

    Args:
        names: Of the images.
        labels: Of each image; images with the same label belong together. None where that was not said.
        seen: What was seen of the images, in the same order, to find near-copies; None not to look for them.
    """
    if seen is None:
        return Grouping(join_groups(len(names), (), labels), (False,) * len(names))
    comparison = seen.compare()
    copies = {place for link in comparison.links for place in link}
    return Grouping(
        join_groups(len(names), comparison.links, labels),
        tuple(place in copies for place in range(len(names))),
        telling_pattern(names, comparison.nearest) if labels is None else "",
    )


def one_of_each(groups: Sequence[int], seed: int) -> list[int]:
    """Choose an image of each group at random; the places are sorted.

    A new part is to the chosen ones what they are to each other, which it is not to several pictures of one part: with
    one score of each group the conformal rule holds as for so many independent images (Lee, Barber and Willett,
    "Distribution-free inference with hierarchical data", 2023, on subsampling once).
    """
    order = np.random.default_rng([seed, 5]).permutation(len(groups)).tolist()
    chosen = {groups[place]: place for place in order}
    return sorted(chosen.values())
