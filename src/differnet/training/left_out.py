"""Learning again without the images that are far off, and what these say of the threshold all the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from differnet.features import FeatureExtraction, Sample
from differnet.images import ImageSource
from differnet.images.failure import describe
from differnet.model_file.manifest import Suspect
from differnet.scoring import score_features
from differnet.settings import Settings
from differnet.training.fitted import Fitted
from differnet.training.local_fitting import LocalFitting, Measurement
from differnet.training.splits import MIN_IMAGES
from differnet.training.suspects import counted_as_good, far_off, find_suspects
from differnet.views import fixed_views

__all__ = ["Cleaned", "fit_cleaned"]

# What is left may have others far off, which the first hid.
_MOST_ROUNDS = 2


@dataclass(frozen=True)
class Cleaned:
    """What was learnt, and what was left out for it.

    Attributes:
        fitted: What was learnt from the images that are left.
        suspects: Images that were left out, then those that are left and are the most suspicious.
        scores: (m,) float32 scores, by what was learnt, of those left out that count as good ones for the threshold.
        peaks: (m,) float32 hottest raw map values of the same.
    """

    fitted: Fitted
    suspects: tuple[Suspect, ...]
    scores: Tensor
    peaks: Tensor


def fit_cleaned(
    settings: Settings,
    extraction: FeatureExtraction,
    sources: Sequence[ImageSource],
    names: Sequence[str],
    labels: Sequence[Hashable] | None,
    *,
    fit: Callable[[Sequence[ImageSource], Sequence[Hashable] | None], Fitted],
) -> Cleaned:
    """Learn from good images, and where the settings say so again without those that are far off.

    Clean images have some that are far off, too. So many of those left out (`counted_as_good`), the least suspicious,
    are scored by what was learnt without them and set the threshold with the others: it is that of clean images, of
    which no more were left out.

    Args:
        settings: All settings.
        extraction: The path from images to features.
        sources: Good images.
        names: Of each image.
        labels: Of each image; images with the same label show the same part.
        fit: Learns from images and their labels.
    """
    places = list(range(len(sources)))
    fitted = _renamed(fit(sources, labels), names, places)
    failures, scored = fitted.failures, len(fitted.scores)
    out: list[tuple[int, Suspect]] = []
    for _ in range(_MOST_ROUNDS if settings.training.outliers == "left-out" else 0):
        off = far_off(fitted)
        # More than a third that is far off is no clean rest with outliers.
        if not off or len(places) - len(off) < MIN_IMAGES or 3 * (len(out) + len(off)) > scored:
            break
        found = {suspect.name: suspect for suspect in find_suspects(fitted)}
        gone = {fitted.places[number] for number in off}
        out += [(places[fitted.places[number]], found[fitted.names[number]]) for number in off]
        unread = {failure.source for failure in failures}
        places = [
            place
            for number, place in enumerate(places)
            if number not in gone and describe(sources[place], place) not in unread
        ]
        left = [sources[place] for place in places]
        fitted = _renamed(fit(left, None if labels is None else [labels[place] for place in places]), names, places)
    out.sort(key=lambda each: each[1].deviations)
    counted = [sources[place] for place, _ in out[: counted_as_good(scored)]]
    scores, peaks = _measured(settings, extraction, fitted, counted)
    suspects = [suspect.model_copy(update={"left_out": True}) for _, suspect in reversed(out)]
    return Cleaned(replace(fitted, failures=failures), (*suspects, *find_suspects(fitted)), scores, peaks)


def _renamed(fitted: Fitted, names: Sequence[str], places: Sequence[int]) -> Fitted:
    """With the names that the images have among all of them."""
    return replace(fitted, names=tuple(names[places[place]] for place in fitted.places))


def _measured(
    settings: Settings, extraction: FeatureExtraction, fitted: Fitted, sources: Sequence[ImageSource]
) -> tuple[Tensor, Tensor]:
    """The scores and the hottest raw map values of images by what was learnt without them."""
    if not sources:
        return torch.empty(0), torch.empty(0)
    cells = LocalFitting(settings, extraction, len(sources))
    measure = None if fitted.local is None else cells.measure_by(fitted.local)
    measured: list[Measurement] = []

    def visit(image: Sample) -> None:
        if measure is not None and image.cells is not None:
            measured.append(measure(image.cells))

    bank = extraction.bank(sources, fixed_views(settings.views), visit=visit, cells=cells.cells)
    scores = score_features(fitted.flow, bank.features, settings.scoring.aggregation)
    if fitted.scale is not None and measured:
        scores = fitted.scale.join(scores, torch.tensor([each.scores for each in measured]))
    return scores, torch.tensor([each.peak for each in measured])
