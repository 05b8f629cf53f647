"""What this project promises of speed and size, beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from differnet.bench.results import IMAGES, VIEWS, BarResult, CaseResult, Scaling

__all__ = ["compare"]

_GIGA = 1e9
_MEGA = 1e6
_FULL_VIEWS = 64


def compare(
    cases: Sequence[CaseResult], scaling: Sequence[Scaling], model_bytes: int, size: tuple[int, int]
) -> tuple[BarResult, ...]:
    """Set the promises, meant for two cores and the 209 training images of MVTec AD bottle, beside measurements.

    Args:
        cases: Whole commands.
        scaling: How costs grow.
        model_bytes: Size of the model file.
        size: Width and height of the images, in pixels.
    """
    by_name: Mapping[str, CaseResult] = {case.name: case for case in cases}
    by_quantity: Mapping[str, Scaling] = {one.quantity: one for one in scaling}
    pixels = f"{size[0]} x {size[1]} px"
    train, once = by_name.get("train"), by_name.get("score 1 image")
    scored = by_quantity.get(IMAGES)
    most = None if scored is None else max(scored.points, key=lambda point: point.x)
    views = by_quantity.get(VIEWS)
    full = None if views is None else next((point for point in views.points if point.x == _FULL_VIEWS), None)
    trained_on = "" if train is None else f"{train.images} images, {pixels}"
    return (
        BarResult("train", "s", 120, 45, None if train is None else train.seconds.median, trained_on),
        BarResult(
            "score, an image beyond start", "s", 0.15, 0.05, None if scored is None else scored.fit.slope, pixels
        ),
        BarResult("score one image", "s", 4, 2, None if once is None else once.seconds.median, pixels),
        BarResult("score by 64 views, an image", "s", 0.6, 0.35, None if full is None else full.seconds),
        BarResult("model file", "MB", 40, 15, model_bytes / _MEGA),
        BarResult(
            "peak memory of train", "GB", 1.5, 1, None if train is None else train.peak_bytes.max / _GIGA, trained_on
        ),
        BarResult(
            "peak memory of score",
            "GB",
            0.8,
            0.5,
            None if most is None or most.peak_bytes is None else most.peak_bytes / _GIGA,
            "" if most is None else f"{most.x:g} images (promised: 10,000)",
        ),
        BarResult("--help", "s", 0.5, 0.2, by_name["--help"].seconds.median if "--help" in by_name else None),
    )
