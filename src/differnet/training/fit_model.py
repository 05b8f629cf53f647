"""From images of good parts to a fitted model with its threshold."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import torch

from differnet.calibration import calibrate, images_needed
from differnet.features import FeatureExtraction
from differnet.flow import DENSITY_MODELS
from differnet.images import ImageSource, TrainingImages, TrainingLook, data_fingerprint, region_fingerprint
from differnet.images.failure import Failure, describe
from differnet.model_file.fitted_model import FittedModel
from differnet.model_file.manifest import Suspect, TrainingRecord
from differnet.model_file.tensors import Parts
from differnet.settings import Settings
from differnet.training.counting import choose_counted
from differnet.training.evidence import weigh_evidence
from differnet.training.fitted import Fitted
from differnet.training.fitting import fit
from differnet.training.labels import labels_of
from differnet.training.left_out import fit_cleaned
from differnet.training.progress import Progress
from differnet.training.remarks import remark_on_pages, remarks_of, remarks_on_shape
from differnet.training.state import TrainingState
from differnet.training.view_choice import ViewDecision, choose_views

__all__ = ["Outcome", "fit_model"]


@dataclass(frozen=True)
class Outcome:
    """What `fit_model` gives.

    Attributes:
        model: What was learnt.
        failures: Images that could not be used.
        view_decision: How the views were chosen; None unless that was asked for, by ``views.kind=auto``.
    """

    model: FittedModel
    failures: list[Failure]
    view_decision: ViewDecision | None


def fit_model(
    settings: Settings,
    extraction: FeatureExtraction,
    sources: Sequence[ImageSource],
    progress: Progress,
    *,
    extractor_sha256: str,
    names: Sequence[str],
    look: TrainingLook,
    recipe: str | None = None,
    labels: Sequence[Hashable] | None = None,
    state: TrainingState | None = None,
) -> Outcome:
    """Learn from images of good parts, and calibrate as the settings say.

    With too few images for the rate of the settings the model has no threshold. Which of them set it,
    `differnet.training.counting` chooses; the record says if they are of few groups.

    Args:
        settings: All settings.
        extraction: The path from images to features, with the region of interest.
        sources: Good images, in the order of their contents: chance divides them by their places, and what is learnt
            must not depend on how files are called.
        progress: Hears of the progress.
        extractor_sha256: Fingerprint of the extractor's weights.
        names: Of the images, for messages and the record.
        look: Takes note of the images.
        recipe: Text of the recipe that the settings come from, kept in the model.
        labels: Of each image; images with the same label show the same part.
        state: Keeps how far the training is, and goes on where another was stopped; None keeps nothing.

    Raises:
        DatasetError: If there are too few good images.
        DivergenceError: If training does not converge.
        ResumeError: If the state is damaged, or that of another training.
    """
    DENSITY_MODELS.find(settings.flow.kind)  # one that does not exist is refused before there is work
    state = state or TrainingState()
    if state.is_kept:
        state.begin(_identity(settings, extraction, sources, extractor_sha256, labels))
    started = time.perf_counter() - state.seconds_before
    if labels is None and settings.training.group_by:
        labels = labels_of(sources, settings.training.group_by)
    extraction = extraction.watched_by(look)
    decision = None
    if settings.views.kind == "auto":
        decision = choose_views(extraction, sources, settings)
        settings = decision.settings
    settings = weigh_evidence(settings, len(sources))
    cleaned = fit_cleaned(
        settings,
        extraction,
        sources,
        names,
        labels,
        fit=lambda given, of_given: fit(settings, extraction, given, progress, of_given, state=state),
    )
    fitted, chosen = cleaned.fitted, settings.calibration
    counted = choose_counted(fitted, settings)
    suspects = _marked(cleaned.suspects, {fitted.names[place] for place in counted.aside})
    kept = list(counted.places)
    groups = len({fitted.grouping.groups[place] for place in kept})
    scores = torch.cat([fitted.scores[kept], cleaned.scores])
    peaks = torch.cat([fitted.peaks[kept] if len(fitted.peaks) else fitted.peaks, cleaned.peaks])
    threshold = None
    if chosen.method != "none" and len(scores) >= images_needed(chosen.false_reject_rate):
        threshold = calibrate(
            scores.double().numpy(),
            chosen.false_reject_rate,
            chosen.review_rate,
            groups=groups if groups < len(kept) else None,
        )
    # Fitted on the CPU; what it judges is described where the network runs.
    local = None if fitted.local is None else fitted.local.to(extraction.device)
    model = FittedModel.describe(
        settings,
        Parts(fitted.flow, scores, peaks, None, local, fitted.scale, extraction.region, fitted.reference),
        features=extraction.features,
        extractor_sha256=extractor_sha256,
        training=_record(
            sources,
            extraction,
            fitted,
            suspects,
            seconds=time.perf_counter() - started,
            seen=look.result(),
        ).model_copy(
            update={
                "remarks": (
                    *remarks_of(fitted, suspects, settings, threshold),
                    *remarks_on_shape(look.result(), settings, extraction.region),
                    *remark_on_pages(look.result()),
                )
            }
        ),
        source=fitted.source,
        recipe=recipe,
    )
    if threshold is not None:
        model = model.calibrated(threshold, source=fitted.source)
    state.forget()
    return Outcome(model, _named(fitted.failures, sources, names), decision)


def _identity(
    settings: Settings,
    extraction: FeatureExtraction,
    sources: Sequence[ImageSource],
    extractor_sha256: str,
    labels: Sequence[Hashable] | None,
) -> dict[str, object]:
    """What tells a training from others, by what it is called in a message."""
    return {
        "settings": settings.model_dump(mode="json"),
        "images": data_fingerprint(sources),
        "groups": None if labels is None else [repr(label) for label in labels],
        "region of interest": region_fingerprint(extraction.region),
        "weights of the extractor": extractor_sha256,
        "device or precision": f"{extraction.device.type} {extraction.dtype}",
    }


def _named(failures: Sequence[Failure], sources: Sequence[ImageSource], names: Sequence[str]) -> list[Failure]:
    """With the names that images without a path have where they were given."""
    known = {describe(source, place): name for place, (source, name) in enumerate(zip(sources, names, strict=True))}
    return [replace(failure, source=known.get(failure.source, failure.source)) for failure in failures]


def _marked(suspects: Sequence[Suspect], uncounted: set[str]) -> tuple[Suspect, ...]:
    return tuple(
        suspect.model_copy(update={"uncounted": True})
        if suspect.name in uncounted and not suspect.left_out
        else suspect
        for suspect in suspects
    )


def _record(
    sources: Sequence[ImageSource],
    extraction: FeatureExtraction,
    fitted: Fitted,
    suspects: Sequence[Suspect],
    *,
    seconds: float,
    seen: TrainingImages | None,
) -> TrainingRecord:
    result, groups = fitted.result, len(set(fitted.grouping.groups))
    kept = result.history[result.kept_epoch - 1] if result.kept_epoch else None
    return TrainingRecord(
        origin="trained",
        images=fitted.images,
        held_out_images=fitted.held_out_images,
        groups=groups if groups < len(fitted.scores) else None,
        suspects=tuple(suspects),
        data_sha256=data_fingerprint(sources),
        region_sha256=region_fingerprint(extraction.region),
        members=fitted.flow.member_count,
        epochs=len(result.history),
        kept_epoch=result.kept_epoch,
        loss=kept.loss if kept else None,
        held_out_loss=kept.held_out_loss if kept else None,
        interrupted=result.interrupted,
        seconds=round(seconds, 3),
        device=str(extraction.device),
        precision="bfloat16" if extraction.dtype == torch.bfloat16 else "float32",
        seen=seen,
    )
