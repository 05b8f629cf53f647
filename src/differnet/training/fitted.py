"""What was learnt from good images, by whichever strategy."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from differnet.calibration import Source
from differnet.features.reference import Reference
from differnet.flow import DensityModel
from differnet.images.failure import Failure
from differnet.localization.local_model import LocalModel
from differnet.scoring import CommonScale
from differnet.training.grouping import Grouping
from differnet.training.maximum_likelihood import TrainingResult

__all__ = ["Fitted"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """What was learnt.

    Attributes:
        flow: The flow, or the ensemble of those that the folds gave.
        result: How its training went; of an ensemble, the last one's.
        images: Number of images that it was trained on.
        held_out_images: Number of images held out of that.
        local: The model of good cells; None for methods of localization without one.
        scale: Joins the scores of flow and cells; None where the flow's alone counts.
        scores: float32 (n,) scores of good images by a flow that was not trained on them.
        peaks: float32 (n,) hottest raw map values of those images; empty for models that map by gradient.
        source: Where the scores came from.
        places: Of the images that the scores are of, among those given.
        names: What these images are called.
        grouping: Which of these images belong together.
        reference: What the images looked like; None where there are too few.
        failures: Images that could not be used.
    """

    flow: DensityModel
    result: TrainingResult
    images: int
    held_out_images: int = 0
    local: LocalModel | None = None
    scale: CommonScale | None = None
    scores: Tensor = field(default_factory=lambda: torch.empty(0))
    peaks: Tensor = field(default_factory=lambda: torch.empty(0))
    source: Source = "held-out"
    places: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    grouping: Grouping = field(default_factory=lambda: Grouping((), ()))
    reference: Reference | None = None
    failures: tuple[Failure, ...] = ()
