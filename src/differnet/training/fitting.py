"""Learning from good images: features, flow, cells of good parts, and the scores that calibrate them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

from differnet.calibration import images_needed
from differnet.features import FeatureExtraction
from differnet.images import ImageSource
from differnet.settings import Settings
from differnet.training.cross_fitting import CrossFitting
from differnet.training.fitted import Fitted
from differnet.training.held_out import HeldOutFitting
from differnet.training.progress import Progress
from differnet.training.splits import split_held_out
from differnet.training.state import TrainingState

__all__ = ["Fitted", "FittingStrategy", "choose_strategy", "fit"]


class FittingStrategy(Protocol):
    """Learns from good images, and finds out how good images score that it did not learn from.

    Of what `fit` gives these hold:

    - ``scores[i]`` and ``peaks[i]`` are of the same image, by a flow and by cells that were fitted without it;
    - images of a group, those with the same label or found to be near-copies of each other, are never on both sides;
    - no image counts twice: of those given, `Fitted.images` were trained on, `Fitted.held_out_images` were not, and
      the others are in `Fitted.failures` (after Ctrl-C during cross-fitting, the folds not trained on are);
    - the same images in the same order with the same settings give the same tensors.
    """

    def fit(self, sources: Sequence[ImageSource], labels: Sequence[Hashable] | None = None) -> Fitted:
        """Learn from good images.

        Ctrl-C during training keeps the best state so far, and `TrainingResult.interrupted` tells.

        Args:
            sources: Of at least `differnet.training.MIN_IMAGES` images; those that cannot be read become failures.
            labels: Of each image; images with the same label show the same part.

        Raises:
            DatasetError: If too few of the images can be read.
            DivergenceError: If training does not converge.
        """
        ...


def choose_strategy(
    settings: Settings, extraction: FeatureExtraction, progress: Progress, images: int, state: TrainingState
) -> FittingStrategy:
    """Choose how to fit: by ``calibration.method``, see `differnet.settings.CalibrationSettings`.

    Args:
        settings: All settings.
        extraction: The path from images to features.
        progress: Hears of the progress.
        images: Number of good images.
        state: Keeps how far it is.

    Raises:
        DatasetError: If there are too few good images.
    """
    _, held_out = split_held_out(images, settings.training, settings.seed)
    calibration = settings.calibration
    cross_fits = calibration.method == "cross-fitted"
    if calibration.method == "auto" and settings.training.views == "bank":
        cross_fits = len(held_out) < images_needed(calibration.false_reject_rate) <= images
    return (CrossFitting if cross_fits else HeldOutFitting)(settings, extraction, progress, state)


def fit(
    settings: Settings,
    extraction: FeatureExtraction,
    sources: Sequence[ImageSource],
    progress: Progress,
    labels: Sequence[Hashable] | None = None,
    *,
    state: TrainingState | None = None,
) -> Fitted:
    """Learn from good images as the settings say.

    Args:
        settings: All settings.
        extraction: The path from images to features.
        sources: Good images.
        progress: Hears of the progress.
        labels: Of each image; images with the same label show the same part.
        state: Keeps how far it is; None keeps nothing.

    Raises:
        DatasetError: If there are too few good images.
        DivergenceError: If training does not converge.
    """
    strategy = choose_strategy(settings, extraction, progress, len(sources), state or TrainingState())
    return strategy.fit(sources, labels)
