"""Writing the report: everything on one page that needs no network and runs no script."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from differnet.calibration import Calibration
from differnet.detector import DifferNet
from differnet.errors import DatasetError, MissingExtraError, NotFittedError, OutputError
from differnet.evaluation.evaluate import Evaluation, evaluate
from differnet.evaluation.rates import ErrorRates
from differnet.installing import install_extra
from differnet.model_file.manifest import Manifest
from differnet.report.content import (
    counted,
    defect_rows,
    describe_curve,
    describe_heat,
    describe_promise,
    describe_rates,
    describe_roc,
    describe_scores,
    facts,
    flat_settings,
    number,
    percent,
    tiles,
)
from differnet.report.curves import calibration_curve, defective_scores, good_scores, roc_curve
from differnet.report.figures import draw_calibration, draw_roc, draw_scores
from differnet.report.gallery import (
    Gallery,
    choose_images,
    colour_scale,
    draw_gallery,
    draw_suspects,
    shared_folder,
)
from differnet.training.progress import Listener, Progress

__all__ = ["require_extra", "write_report"]

_TEMPLATE = "template.html.j2"


@dataclass(frozen=True)
class _Figure:
    """A drawing, what it shows for those who cannot see it, and how to read it."""

    svg: str
    shows: str
    caption: str


def require_extra() -> None:
    """Make sure that a report can be made, before long work begins.

    Raises:
        MissingExtraError: If jinja2 or matplotlib is not installed.
    """
    missing = [name for name in ("jinja2", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"Reports need {' and '.join(missing)}. Run: {install_extra('report')}")


def write_report(
    model: DifferNet,
    evaluation: Evaluation | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    credit: str = "",
    method: str | None = None,
    listener: Progress | None = None,
) -> None:
    """Write one HTML file about a model and how it did, with everything in it.

    The images shown are read again and explained again; those that changed or went away since are named as such.

    Args:
        model: The model that was evaluated; a calibrated one for error rates.
        evaluation: Its outcome, or the folder of the product to evaluate it with.
        path: The file to write; an existing one is replaced.
        title: Heading, such as the product's name; that of its folder where one is given.
        credit: Line at the end, such as the images' source and licence.
        method: Of the heat maps; None for the model's own.
        listener: Hears of the progress of the heat maps.

    Raises:
        MissingExtraError: If jinja2 or matplotlib is not installed.
        NotFittedError: If the model has learnt nothing.
        DatasetError: If the evaluation is of another model, or of another threshold.
        OutputError: If the file cannot be written.
    """
    require_extra()
    if model.manifest is None:
        raise NotFittedError("The model has not learnt anything yet; call fit() or load() first.")
    if not isinstance(evaluation, Evaluation):
        title = title or Path(evaluation).resolve().name
        evaluation = evaluate(model, evaluation, listener, method=method)
    if not evaluation.good_images or not evaluation.overall.images:
        raise DatasetError("A report compares good and defective images; give both, or use 'differnet evaluate'.")
    _check_evaluation(evaluation, model.manifest.model_id, model.calibration)
    choices = choose_images(evaluation, model.calibration is not None)
    galleries = draw_gallery(model, choices, shared_folder(evaluation), method, listener or Listener())
    suspects = draw_suspects(model, method)
    if suspects.cards:
        galleries.append(suspects)
    page = _render({"title": title, "credit": credit, **_contents(model, model.manifest, evaluation, galleries)})
    try:
        # File names that are not valid text are written with escapes; they must not cost the report.
        Path(path).write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); choose a folder that exists, is writable and has space."
        ) from None


def _contents(
    model: DifferNet, manifest: Manifest, evaluation: Evaluation, galleries: Sequence[Gallery]
) -> dict[str, Any]:
    """What the template shows, but for the names that the caller gives."""
    calibration = model.calibration
    rates = None if calibration is None else evaluation.rates
    source = None if manifest.calibration is None else manifest.calibration.source
    good, defective = good_scores(evaluation), defective_scores(evaluation)
    unseen = model.held_out_scores.numpy().astype(np.float64) if calibration is None else calibration.scores
    drawings = [card.drawing for gallery in galleries for card in gallery.cards if card.drawing is not None]
    return {
        "now": datetime.now(timezone.utc),
        "version": version("differnet"),
        "model": model,
        "evaluation": evaluation,
        "calibration": calibration,
        "rates": rates,
        "tiles": tiles(evaluation, calibration),
        "facts": facts(manifest, evaluation, shared_folder(evaluation)),
        "settings": flat_settings(manifest),
        "rows": defect_rows(evaluation, calibration),
        "promise": [] if calibration is None else describe_promise(calibration, source),
        "outcome": "" if calibration is None else describe_rates(evaluation, calibration),
        "roc": _Figure(draw_roc(roc_curve(good, defective), rates), *describe_roc(evaluation, rates)),
        "scores": _Figure(draw_scores(good, defective, unseen, calibration), *describe_scores(evaluation, len(unseen))),
        "curve": None if calibration is None else _draw_curve(calibration, good, rates),
        "galleries": galleries,
        "colour_scale": colour_scale(),
        "heat_note": describe_heat(all(drawing.scale_is_fixed for drawing in drawings)),
    }


def _check_evaluation(evaluation: Evaluation, model_id: str, calibration: Calibration | None) -> None:
    threshold = None if calibration is None else calibration.threshold
    for entry in evaluation.scored:
        if (entry.verdict.model_id, entry.verdict.threshold) != (model_id, threshold):
            raise DatasetError("The evaluation is of another model, or of another threshold; evaluate this one first.")


def _draw_curve(calibration: Calibration, good: NDArray[np.float64], rates: ErrorRates | None) -> _Figure:
    svg = draw_calibration(calibration_curve(calibration, good), calibration.false_reject_rate, rates)
    return _Figure(svg, *describe_curve(calibration, len(good)))


def _render(contents: dict[str, Any]) -> str:
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - an optional package

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(counted=counted, number=number, percent=percent)
    template = files("differnet.report").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(template).render(contents)
