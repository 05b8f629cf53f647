"""What several commands say of a calibration, and of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from differnet.cli.console import say, warn

if TYPE_CHECKING:
    from pathlib import Path

    from differnet.detector import DifferNet
    from differnet.images import LabelledImage
    from differnet.inspection.verdict import Verdict

__all__ = [
    "UnlikeImages",
    "calibration_sentence",
    "calibration_summary",
    "pixel_scale_sentence",
    "say_empty_masks",
    "say_masks",
    "say_unlike",
]

_KINDS = 3
_SOURCES = {
    "held-out": "good images held out of training",
    "cross-fitted": "good images, each scored by a flow that did not see it",
    "images": "good images given for it",
}


def calibration_summary(model: DifferNet) -> dict[str, Any] | None:
    """The calibration as JSON values, None if there is none."""
    record = model.manifest.calibration if model.manifest is not None else None
    if record is None or model.calibration is None:
        return None
    known = record.source != "cross-fitted" or record.groups is not None
    interval = model.calibration.rate_interval() if known else None
    return {
        **record.model_dump(),
        "expected_rate": model.calibration.expected_rate,
        "rate_interval95": None if interval is None else list(interval),
    }


def calibration_sentence(model: DifferNet) -> str:
    """What the threshold promises, and how far."""
    summary = calibration_summary(model)
    if summary is None:
        return model.uncalibrated_reason
    above = f"Parts that score above {summary['threshold']:.4g} are refused"
    if summary["source"] == "by-hand":
        higher = sum(score > summary["threshold"] for score in model.calibration.scores) if model.calibration else 0
        held = f": {higher} of the {summary['images']} good images whose scores the model holds do"
        return f"{above}, a threshold set by hand{held if summary['images'] else ''}. No rate is promised."
    rate = f"{100 * summary['false_reject_rate']:.3g} %"
    if summary["groups"] is not None and summary["rate_interval95"] is not None:
        low, high = summary["rate_interval95"]
        return (
            f"{above}: {rate} of the {summary['images']} good images do. They are of {summary['groups']} independent "
            f"group(s) only: of other good parts {_percents(low, high)} may be refused."
        )
    likeness = f"good parts that are like the {summary['images']} {_SOURCES[summary['source']]}"
    sentence = f"{above}: at most {rate} of {likeness}"
    if summary["pareto"] is not None:
        return f"{sentence}; extrapolated by a generalised Pareto tail, without a guarantee."
    if summary["rate_interval95"] is None:
        return f"{sentence}, on average."
    low, high = summary["rate_interval95"]
    return f"{sentence}, on average; with so many images the true rate is {_percents(low, high)}."


def _percents(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f} % (95 % interval)"


def say_masks(images: Sequence[LabelledImage]) -> None:
    """Tell of how many defective images no mask was found: heat maps are measured by those of the others alone."""
    defective = [image for image in images if image.is_defective]
    without = [image for image in defective if image.mask is None]
    if not without:
        return
    if len(without) == len(defective):
        say(f"no mask was found of any of the {len(defective)} defective images; heat maps are not measured.")
    else:
        say(f"no mask was found of {len(without)} of {len(defective)} defective images, such as {without[0].path}.")


def say_empty_masks(masks: Sequence[Path]) -> None:
    """Warn of masks of defective images that mark nothing."""
    if masks:
        warn(
            f"{len(masks)} mask(s) of defective images mark nothing, such as {masks[0]}: where the defects are is not "
            f"known, and the heat maps of these images are not measured."
        )


class UnlikeImages:
    """Counts the images that are unlike the training images, and tells of them at the end."""

    def __init__(self) -> None:
        self._images = 0
        self._unlike: list[tuple[str, str]] = []

    def add(self, verdict: Verdict) -> None:
        """Take note of an image."""
        self._images += 1
        if verdict.unlike is not None:
            self._unlike.append((verdict.source, verdict.unlike))

    def warn(self) -> None:
        """Warn, if there were any."""
        say_unlike(self._images, self._unlike)


def say_unlike(images: int, unlike: Sequence[tuple[str, str]]) -> None:
    """Warn of images that are unlike the training images.

    Args:
        images: Of how many.
        unlike: Those that are, each with what it has unlike them.
    """
    if unlike:
        first = {said: source for source, said in reversed(unlike)}
        told = "; ".join(f"{said} ({first[said]})" for said in list(dict.fromkeys(said for _, said in unlike))[:_KINDS])
        warn(f"{len(unlike)} of {images} image(s) are unlike the training images: {told}.")


def pixel_scale_sentence(model: DifferNet) -> str:
    """On what scale pixels of more than eight bits are read; empty where that is the usual one."""
    scale = model.pixel_scale
    if scale is None:
        return ""
    ranges = [each for each in (scale.integer, scale.floating) if each is not None and each != (0.0, 65535.0)]
    if not ranges:
        return ""
    said = " and ".join(f"values {black:g} to {white:g}" for black, white in ranges)
    return f"pixels of more than eight bits are read on the scale of the training images: {said} become black to white."
