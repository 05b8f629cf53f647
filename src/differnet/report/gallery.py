"""The images worth a look: missed defects, false rejects, the most certain catches, each with its heat map."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from differnet.detector import DifferNet
from differnet.evaluation.evaluate import Evaluation, ScoredImage
from differnet.images.failure import Failure
from differnet.inspection.explanation import Explanation
from differnet.localization.overlay import DISPLAY_TOP, blend_heat
from differnet.model_file.manifest import Suspect
from differnet.report.content import number
from differnet.training.progress import Progress

__all__ = [
    "Card",
    "Choice",
    "Drawing",
    "Gallery",
    "choose_images",
    "colour_scale",
    "draw_gallery",
    "draw_suspects",
    "shared_folder",
]

_MOST_CARDS = 6
_MOST_REGIONS = 12
_SMALLEST_P = 1e-4
_LONG_SIDE = 360
_JPEG_QUALITY = 80
_SCALE_LEVELS = 256
_SCALE_GREY = 128

_Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class Choice:
    """A part of the gallery before anything is drawn.

    Attributes:
        name: Heading.
        what: One sentence that says which images these are.
        entries: The first of them, as many as are shown.
        total: How many there are.
        needs_threshold: Whether it is empty because the model has no threshold.
    """

    name: str
    what: str
    entries: Sequence[ScoredImage]
    total: int
    needs_threshold: bool = False


@dataclass(frozen=True)
class Drawing:
    """An image and its heat map.

    Attributes:
        image: Data URI.
        heat: Data URI of the image with its heat map over it.
        width: Of both, in pixels.
        height: Of both.
        scale_is_fixed: Whether heat 1 is the hottest of good images, not of this very image.
        boxes: Left, top, width and height of the hottest regions, in pixels of the drawing.
        regions: Number of all regions.
    """

    image: str
    heat: str
    width: int
    height: int
    scale_is_fixed: bool
    boxes: list[_Box]
    regions: int


@dataclass(frozen=True)
class Card:
    """An image of the gallery.

    Attributes:
        path: Where it lies, below the folder that all test images share.
        kind: Its label.
        is_defective: Likewise.
        score: As text.
        p_value: As text, empty for a model without a threshold.
        drawing: None if the image could not be drawn.
        problem: Why not.
    """

    path: str
    kind: str
    is_defective: bool
    score: str
    p_value: str
    drawing: Drawing | None = None
    problem: str = ""


@dataclass(frozen=True)
class Gallery:
    """A part of the gallery.

    Attributes:
        choice: Which images.
        cards: As drawn.
    """

    choice: Choice
    cards: list[Card]


def choose_images(evaluation: Evaluation, calibrated: bool) -> list[Choice]:
    """Choose what to show: the worst errors first, then what went best.

    Args:
        evaluation: Its verdicts say what was accepted and what was rejected.
        calibrated: Whether the model has a threshold; without one there are no errors, only high and low scores.
    """
    ascending = sorted(evaluation.scored, key=lambda entry: entry.verdict.score)
    descending = ascending[::-1]
    missed = [entry for entry in ascending if entry.image.is_defective and entry.verdict.decision == "accept"]
    refused = [entry for entry in descending if not entry.image.is_defective and entry.verdict.decision == "reject"]
    caught = [
        entry
        for entry in descending
        if entry.image.is_defective and (entry.verdict.decision == "reject" or not calibrated)
    ]
    return [
        _choice("Missed defects", "Defective parts that are accepted, lowest score first.", missed, not calibrated),
        _choice("False rejects", "Good parts that are refused, highest score first.", refused, not calibrated),
        _choice(
            "Most certain catches" if calibrated else "Highest-scoring defects",
            "Defective parts with the highest scores.",
            caught,
            False,
        ),
    ]


def draw_gallery(
    model: DifferNet, choices: Sequence[Choice], folder: str, method: str | None, listener: Progress
) -> list[Gallery]:
    """Compute the heat maps and draw the cards.

    Args:
        model: Explains the images.
        choices: What to draw.
        folder: That all test images lie in, left out of the paths; empty if there is none.
        method: Of the heat maps; None for the model's own.
        listener: Hears of the progress.
    """
    paths = [entry.image.path for choice in choices for entry in choice.entries]
    explanations = model.explain_stream(paths, method, with_images=True)
    drawn = 0
    galleries = []
    for choice in choices:
        cards = []
        for entry in choice.entries:
            cards.append(_draw_card(entry, next(explanations), folder))
            drawn += 1
            listener.images("heat maps", drawn, len(paths))
        galleries.append(Gallery(choice, cards))
    return galleries


def draw_suspects(model: DifferNet, method: str | None) -> Gallery:
    """Draw the most suspicious training images, as far as they are where they were.

    Args:
        model: Names them, and explains them.
        method: Of the heat maps; None for the model's own.
    """
    suspects = () if model.manifest is None else model.manifest.training.suspects
    there = [suspect for suspect in suspects if Path(suspect.name).is_file()]
    choice = Choice(
        "Most suspicious training images",
        "Good images that score highest by models that did not see them, in deviations above what is usual of good "
        "images. The maps are by the model that did see them, and cooler.",
        (),
        len(there),
    )
    shown = there[:_MOST_CARDS]
    cards = []
    for suspect, result in zip(
        shown, model.explain_stream([suspect.name for suspect in shown], method, with_images=True), strict=True
    ):
        kind = f"{suspect.deviations:.1f} deviations{_treated(suspect)}"
        card = Card(suspect.name, kind, suspect.far_off, number(suspect.score), "")
        if isinstance(result, Failure):
            cards.append(replace(card, problem=result.reason))
        else:
            cards.append(replace(card, drawing=_draw(result.original, result)))
    return Gallery(choice, cards)


def _treated(suspect: Suspect) -> str:
    return ", left out" if suspect.left_out else ", not counted for the threshold" if suspect.uncounted else ""


def shared_folder(evaluation: Evaluation) -> str:
    """The folder that all test images lie in, empty if there is none."""
    try:
        return os.path.commonpath([entry.image.path.parent for entry in evaluation.scored])
    except ValueError:  # absolute and relative paths, or several drives
        return ""


def colour_scale() -> str:
    """A strip of the colours from heat 0 to `DISPLAY_TOP`, as they look over mid-grey: a data URI."""
    heat = np.linspace(0.0, DISPLAY_TOP, _SCALE_LEVELS, dtype=np.float32)[None]
    grey = np.full((*heat.shape, 3), _SCALE_GREY, np.uint8)
    return _data_uri(blend_heat(grey, heat), "PNG")


def _choice(name: str, what: str, entries: Sequence[ScoredImage], needs_threshold: bool) -> Choice:
    return Choice(name, what, entries[:_MOST_CARDS], len(entries), needs_threshold)


def _draw_card(entry: ScoredImage, result: Explanation | Failure, folder: str) -> Card:
    verdict = entry.verdict
    card = Card(
        path=str(entry.image.path.relative_to(folder)) if folder else str(entry.image.path),
        kind=entry.image.kind,
        is_defective=entry.image.is_defective,
        score=number(verdict.score),
        p_value=_p_value(verdict.p_value),
    )
    if isinstance(result, Failure):
        return replace(card, problem=result.reason)
    return replace(card, drawing=_draw(result.original, result))


def _p_value(value: float | None) -> str:
    if value is None:
        return ""
    # Far out in an extrapolated tail, the digits mean nothing.
    return f"{value:.2g}" if value >= _SMALLEST_P else f"< {_SMALLEST_P:g}"


def _draw(image: NDArray[np.uint8], explanation: Explanation) -> Drawing:
    height, width = image.shape[:2]
    scale = _LONG_SIDE / max(width, height)
    shown_width, shown_height = max(1, round(width * scale)), max(1, round(height * scale))
    size = (shown_width, shown_height)
    how = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    small = cv2.resize(image, size, interpolation=how).astype(np.uint8, copy=False)
    heat = cv2.resize(explanation.heat, size, interpolation=how).astype(np.float32, copy=False)
    x_scale, y_scale = shown_width / width, shown_height / height
    return Drawing(
        image=_data_uri(small, "JPEG"),
        heat=_data_uri(blend_heat(small, heat), "JPEG"),
        width=shown_width,
        height=shown_height,
        scale_is_fixed=explanation.scale_is_fixed,
        boxes=[
            (
                round(region.x * x_scale, 1),
                round(region.y * y_scale, 1),
                round(region.width * x_scale, 1),
                round(region.height * y_scale, 1),
            )
            for region in explanation.regions[:_MOST_REGIONS]
        ],
        regions=len(explanation.regions),
    )


def _data_uri(pixels: NDArray[np.uint8], kind: str) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, quality=_JPEG_QUALITY)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
