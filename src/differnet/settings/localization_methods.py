"""The methods of localization by name: one line each. Nothing is imported before a method is used."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LOCALIZATION_METHODS", "MethodEntry"]


class MethodEntry(NamedTuple):
    """Where a method is, and what settings are checked by.

    Attributes:
        method: The `differnet.localization.method.LocalizationMethod`, or ``module:class`` where it is, since settings
            are read in programs that start without torch.
        scores_images: Whether it learns a model of good cells, so that an image has a local score that can be joined to
            the flow's.
    """

    method: type | str
    scores_images: bool


LOCALIZATION_METHODS: dict[str, MethodEntry] = {
    "mixture": MethodEntry("differnet.localization.mixture.method:Mixture", scores_images=True),
    "neighbours": MethodEntry("differnet.localization.neighbours.method:Neighbours", scores_images=True),
    "gradient": MethodEntry("differnet.localization.gradient_method:Gradient", scores_images=False),
}
"""All methods; a further one is registered by a further entry, also from outside of the package."""
