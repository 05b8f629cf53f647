"""What several commands say of a calibration, and how they take a region of interest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from differnet.detector import DifferNet
    from differnet.images import RegionOfInterest

__all__ = ["calibration_sentence", "calibration_summary", "read_region"]

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
    interval = model.calibration.rate_interval() if record.source != "cross-fitted" else None
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
    sentence = (
        f"threshold {summary['threshold']:.4g}: refuses at most {summary['false_reject_rate']:.3g} of good parts that "
        f"are like the {summary['images']} {_SOURCES[summary['source']]}"
    )
    if summary["pareto"] is not None:
        return f"{sentence}; extrapolated by a generalised Pareto tail, without a guarantee."
    if summary["rate_interval95"] is None:
        return f"{sentence}, on average."
    low, high = summary["rate_interval95"]
    return f"{sentence}, on average; with so many images the true rate lies in {low:.3f} to {high:.3f} (95 %)."


def read_region(text: str, images: Sequence[str | os.PathLike[str]]) -> RegionOfInterest:
    """Read a region of interest: a box ``x,y,width,height``, or the path of a mask image.

    Args:
        text: What the user gave.
        images: The first one that can be read tells the size of the images.

    Raises:
        SettingsError: If a box is not one, or not within the images.
        ImageError: If the mask cannot be used, or has not the images' size.
    """
    from differnet.errors import ImageError  # noqa: PLC0415
    from differnet.images import RegionOfInterest, load_image, parse_box  # noqa: PLC0415

    first = None
    for path in images:
        try:
            first = load_image(path)
            break
        except ImageError:
            continue
    if first is None:
        raise ImageError(f"None of the {len(images)} images can be read; give PNG, JPEG, BMP, TIFF or WebP files.")
    if Path(text).is_file():
        region = RegionOfInterest.from_file(text)
        region.crop(first)
        return region
    if not any(character.isdigit() for character in text) or Path(text).suffix:
        raise ImageError(f"{text}: no such mask image, and not a box x,y,width,height; check the path.")
    return RegionOfInterest.from_box(parse_box(text), (first.shape[1], first.shape[0]))
