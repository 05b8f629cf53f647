"""Which transformations leave good parts good? Chosen from good images alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from differnet.errors import DatasetError
from differnet.features import FeatureExtraction
from differnet.flow import Gaussian
from differnet.images import ImageSource
from differnet.settings import ViewSettings
from differnet.views import View, exact_views

__all__ = ["ViewDecision", "choose_views"]

# Images looked at; more would not change the choice.
_MOST_IMAGES = 60
_LEAST_IMAGES = 6
# A transformation counts as harmless if images are told from their transformed selves no better than this AUROC.
_TOLD_APART = 0.65
# From the most to the fewest transformations; the first that holds is taken.
_CANDIDATES = ("symmetries", "right-angles", "flips")


@dataclass(frozen=True)
class ViewDecision:
    """What was chosen, and why.

    Attributes:
        views: The settings with the kind of views that was chosen.
        told_apart: For each kind that was looked at, the highest AUROC, over its transformations, at which held-out
            good images are told from their transformed selves; 0.5 is not at all.
    """

    views: ViewSettings
    told_apart: dict[str, float]


def choose_views(
    extraction: FeatureExtraction, sources: Sequence[ImageSource], views: ViewSettings, seed: int
) -> ViewDecision:
    """Find the largest set of transformations under which good parts look like good parts.

    A Gaussian with shrunk covariance (`differnet.flow.Gaussian`) is fitted to the features of one half of the images as
    they are. If a transformation is a symmetry of the product, transformed images of the other half are as likely under
    it as they were before, and their scores cannot tell them apart: the AUROC between the two sets stays near 0.5. A
    kind of views is taken if that holds, up to 0.65, for all its transformations. Either half is looked at once.

    Training then learns from all views of the kind; the number of views that an image is scored by stays as set.
    Rotations by any angle are not looked at: turning pixels by an odd angle leaves traces, by which every image would
    be told apart.

    Args:
        extraction: Computes the features.
        sources: Good images.
        views: The settings, of kind ``auto``.
        seed: Of the halves.

    Raises:
        DatasetError: If fewer than 6 images can be read.
    """
    order = np.random.default_rng([seed, 4]).permutation(len(sources))[:_MOST_IMAGES]
    transformations = _transformations()
    every = [view for of_kind in transformations.values() for view in of_kind]
    unique = tuple(dict.fromkeys((View(), *every)))
    bank = extraction.bank([sources[i] for i in order], unique)
    if len(bank.sources) < _LEAST_IMAGES:
        raise DatasetError(
            f"{len(bank.sources)} readable image(s) are too few to choose views by; give {_LEAST_IMAGES} or more, or "
            "set views.kind."
        )
    told_apart = {}
    for kind, of_kind in transformations.items():
        energies = _held_out_energies(bank.features[:, [unique.index(view) for view in of_kind]])
        told_apart[kind] = max(_auroc(energies[:, 0], energies[:, place]) for place in range(1, len(of_kind)))
    kind = next((kind for kind in _CANDIDATES if told_apart[kind] <= _TOLD_APART), "none")
    available = len(exact_views(kind))
    chosen = views.model_copy(update={"kind": kind, "count": min(views.count, available), "training_count": available})
    return ViewDecision(ViewSettings.model_validate(chosen.model_dump()), told_apart)


def _transformations() -> dict[str, tuple[View, ...]]:
    """The views of each kind; the others are compared with the first."""
    return {kind: exact_views(kind) for kind in _CANDIDATES}


def _held_out_energies(features: torch.Tensor) -> torch.Tensor:
    """(N, V, d) features to (N, V) energies, each by a Gaussian of the first views of the other half's images."""
    energies = torch.empty(features.shape[:2])
    half = len(features) // 2
    parts = torch.arange(len(features)).split([half, len(features) - half])
    for seen, unseen in (parts, parts[::-1]):
        gaussian = Gaussian(features.shape[-1])
        gaussian.start([features[seen, 0]])
        energies[unseen] = gaussian.energy(features[unseen].flatten(0, 1)).view(len(unseen), -1)
    return energies


def _auroc(before: torch.Tensor, after: torch.Tensor) -> float:
    """Probability that a transformed image scores higher than an untransformed one, ties counted half."""
    from scipy.stats import rankdata  # noqa: PLC0415 - a second of imports that scoring must not need

    ranks = rankdata(np.concatenate([before.numpy(), after.numpy()]))
    count = len(before)
    return float((ranks[count:].sum() - count * (count + 1) / 2) / count**2)
