"""What a report says: the figures at a glance, the facts about the model, a row per defect, the promise in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from differnet.calibration import Calibration, Source
from differnet.evaluation.evaluate import Evaluation
from differnet.evaluation.metrics import Figure, Need
from differnet.evaluation.rates import ErrorRates, binomial_interval
from differnet.model_file.manifest import Manifest
from differnet.report.curves import promised_range

__all__ = [
    "DefectRow",
    "Fact",
    "Tile",
    "counted",
    "defect_rows",
    "describe_curve",
    "describe_heat",
    "describe_promise",
    "describe_rates",
    "describe_roc",
    "describe_scores",
    "facts",
    "flat_settings",
    "number",
    "percent",
    "tiles",
]

_SPACE = "\N{NO-BREAK SPACE}"
_ORIGINS: Mapping[Source, str] = {
    "held-out": "good images held out of the training",
    "cross-fitted": "good images, each scored by a flow that was trained without it",
    "images": "good images given for calibration alone",
    "by-hand": "good images that the model holds",
}


@dataclass(frozen=True)
class Tile:
    """A figure of the summary.

    Attributes:
        label: What it is.
        value: The figure.
        detail: Its interval, or what it is to be compared with.
    """

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Fact:
    """A line of the table about the model.

    Attributes:
        name: What it is.
        value: As text.
    """

    name: str
    value: str


@dataclass(frozen=True)
class DefectRow:
    """A line of the table of defects.

    Attributes:
        kind: Kind of defect.
        images: Number of images.
        figures: Value and interval of each metric of the scores; the interval is empty where none is known.
        escapes: Number and share of images at most at the threshold, None without one.
        escapes_detail: Interval of the share, and how many of them are sent to review.
    """

    kind: str
    images: int
    figures: tuple[tuple[str, str], ...]
    escapes: str | None
    escapes_detail: str


def tiles(evaluation: Evaluation, calibration: Calibration | None) -> list[Tile]:
    """The summary at one glance."""
    chosen = [*_figure_tiles(evaluation.overall.figures, "scores")]
    for need in ("masks", "maps", "density"):
        chosen += _figure_tiles(evaluation.figures, need)
    if calibration is not None:
        review = calibration.review_threshold
        above = "refused is what scores above" if review is None else f"review above {number(review)}"
        chosen.append(Tile("Threshold", number(calibration.threshold), above))
        remarks = {"false_reject_rate": f"; stated {percent(calibration.false_reject_rate)}"}
        if review is not None:
            decisions = [entry.verdict.decision for entry in evaluation.scored if entry.image.is_defective]
            remarks["escape_rate"] = f"; {decisions.count('review')} of them to review"
        chosen += _figure_tiles(evaluation.figures, "decisions", remarks)
    images = Tile(
        "Test images",
        str(len(evaluation.scored)),
        f"{evaluation.good_images} good, {evaluation.overall.images} defective",
    )
    return [*chosen, images]


def facts(manifest: Manifest, evaluation: Evaluation, folder: str) -> list[Fact]:
    """What the model was made of, and what it was tested on.

    Args:
        manifest: Of the model.
        evaluation: Of the test.
        folder: That all test images lie in, empty if there is none.
    """
    training, settings = manifest.training, manifest.settings
    views = settings.views
    chosen = []
    if training.origin == "official":
        chosen.append(Fact("Trained by", "the authors' code; the images are not recorded"))
    else:
        chosen += [
            Fact("Trained on", f"{counted(training.images, 'good image')}, {training.held_out_images} more held out"),
            Fact("Fingerprint of these images", training.data_sha256[:16]),
            Fact("Training took", f"{_duration(training.seconds)} ({training.device}, {training.precision})"),
            Fact("Epochs", _epochs(manifest)),
        ]
    milliseconds = [entry.verdict.milliseconds for entry in evaluation.scored]
    chosen += [
        Fact("Extractor", f"{settings.extractor.name} at {counted(settings.extractor.scales, 'scale')}"),
        Fact("Fingerprint of its weights", manifest.extractor_sha256[:16]),
        Fact("Views", f"{views.count} ({views.kind}), {views.size} x {views.size} pixels"),
        Fact("Flow", _density(manifest)),
        Fact("Tested on", f"{counted(len(evaluation.scored), 'image')}{f' in {folder}' if folder else ''}"),
        Fact("Scoring took", f"{number(median(milliseconds))} ms an image (median)"),
        Fact("Model made", f"{manifest.created:%Y-%m-%d %H:%M} UTC by differnet {manifest.package_version}"),
    ]
    return chosen


def flat_settings(manifest: Manifest) -> list[Fact]:
    """All settings by their dotted names."""
    return [Fact(name, str(value)) for name, value in _flat(manifest.settings.model_dump())]


def defect_rows(evaluation: Evaluation, calibration: Calibration | None) -> list[DefectRow]:
    """A row per kind of defect, and one for all of them if there are several."""
    kinds = [*evaluation.per_defect]
    rows = []
    for kind in [*kinds, None] if len(kinds) > 1 else kinds:
        metrics = evaluation.overall if kind is None else evaluation.per_defect[kind]
        verdicts = [
            entry.verdict
            for entry in evaluation.scored
            if entry.image.is_defective and kind in (None, entry.image.kind)
        ]
        escapes, detail = None, ""
        if calibration is not None and verdicts:
            escaped = [verdict for verdict in verdicts if verdict.score <= calibration.threshold]
            escapes = f"{len(escaped)} of {len(verdicts)}"
            detail = _percents(*binomial_interval(len(escaped), len(verdicts)))
            if calibration.review_threshold is not None:
                detail += f"; {[verdict.decision for verdict in escaped].count('review')} to review"
        rows.append(
            DefectRow(
                kind="all kinds" if kind is None else kind,
                images=metrics.images,
                figures=tuple((_value(figure), _range(figure)) for figure in metrics.figures.values()),
                escapes=escapes,
                escapes_detail=detail,
            )
        )
    return rows


def describe_promise(calibration: Calibration, source: Source | None) -> list[str]:
    """What the threshold promises, a paragraph a string.

    Args:
        calibration: Of the model.
        source: Where its scores came from, None if that is not known.
    """
    images = len(calibration.scores)
    origin = "good images" if source is None else _ORIGINS[source]
    stated = percent(calibration.false_reject_rate)
    interval = calibration.rate_interval()
    if calibration.by_hand is not None:
        above = int((calibration.scores > calibration.threshold).sum())
        return [
            f"The threshold {number(calibration.threshold)} was set by hand, so that no rate is promised. Of the "
            f"scores of {counted(images, 'good image')} that the model holds, {above} lie above it."
        ]
    if interval is not None and calibration.groups is not None:
        low, high = interval
        paragraphs = [
            f"{stated} of the {images} {origin} score above the threshold {number(calibration.threshold)}. They are of "
            f"{counted(calibration.groups, 'independent group')} only, too few to promise a rate for other parts: with "
            f"95{_SPACE}% confidence their true rate lies between {percent(low)} and {percent(high)}, as far as so few "
            "can tell. Good images of more parts narrow that range."
        ]
    elif interval is None:
        paragraphs = [
            f"The threshold {number(calibration.threshold)} is for a false-reject rate of {stated}. It rests on the "
            f"scores of {images} {origin}, too few for that rate, so that it is extrapolated beyond them with a "
            "generalised Pareto distribution. No theorem backs such a rate: watch the observed one. More good images "
            "make a conformal threshold possible."
        ]
    else:
        paragraphs = [
            f"The threshold {number(calibration.threshold)} promises: of good parts like those it was calibrated with, "
            f"at most {stated} are refused. It rests on the scores of {images} {origin}, by the conformal rule, which "
            "assumes nothing about how the scores are distributed.",
            f"The promise holds on average over calibrations; {percent(calibration.expected_rate)} is what to expect.",
        ]
        if source == "cross-fitted":
            paragraphs[1] += (
                " The flow that is in use is another than those that scored the images, so how far this very "
                "threshold's true rate may lie from that is not known exactly."
            )
        else:
            low, high = interval
            paragraphs[1] += (
                f" This very calibration drew {images} images by chance: with 95{_SPACE}% confidence its true rate "
                f"lies between {percent(low)} and {percent(high)}. More calibration images narrow that range."
            )
    if calibration.review_rate is not None and calibration.review_threshold is not None:
        paragraphs.append(
            f"Parts that score above {number(calibration.review_threshold)} are at least sent to review: at most "
            f"{percent(calibration.review_rate)} of good parts, those refused included."
        )
    return paragraphs


def describe_rates(evaluation: Evaluation, calibration: Calibration) -> str:
    """What the good test images say about the promise; empty without rates."""
    if evaluation.rates is None:
        return ""
    rate, good = evaluation.rates.false_reject, evaluation.good_images
    refused = round(rate.value * good)
    observed = f"Of {counted(good, 'good test image')}, {refused} {'is' if refused == 1 else 'are'} refused"
    observed += f" ({percent(rate.value)}; {_percents(rate.low, rate.high)})"
    if calibration.rate_interval() is None:
        low, high = rate.low, rate.high
        inside = low <= calibration.false_reject_rate <= high
        return f"{observed}, which {'agrees' if inside else 'does not agree'} with the stated rate."
    images = len(calibration.scores)
    low, high = promised_range(round(calibration.expected_rate * (images + 1)), images, good)
    expected = f"{percent(low)} to {percent(high)}"
    if rate.value > high:
        return (
            f"{observed}. That is more than the promise explains (up to {percent(high)}): the test images differ from "
            "those of the calibration. Calibrate again with good images as they come now: differnet calibrate."
        )
    if rate.value < low:
        return f"{observed}, fewer than the promise explains ({expected}): a lower threshold might catch more."
    return f"{observed}. If the promise holds, 95{_SPACE}% of such tests give {expected}: the two agree."


def describe_roc(evaluation: Evaluation, rates: ErrorRates | None) -> tuple[str, str]:
    """What the ROC curve shows, and how to read it."""
    area = evaluation.overall.image_auroc.value
    shows = f"ROC curve with an area of {area:.3f}"
    if rates is not None:
        refused, caught = percent(rates.false_reject.value), percent(1 - rates.escape.value)
        shows += f"; at the threshold {refused} of good images are refused and {caught} of defective ones caught"
    caption = f"ROC curve: the share of defects caught against the good parts that it costs. Its area is {area:.3f}: "
    caption += "the chance that a defective part scores higher than a good one."
    return f"{shows}.", caption


def describe_scores(evaluation: Evaluation, unseen: int) -> tuple[str, str]:
    """What the histogram shows, and how to read it.

    Args:
        evaluation: What is drawn.
        unseen: Number of marks below the histogram.
    """
    shows = (
        f"Histogram of the scores of {evaluation.good_images} good and {evaluation.overall.images} defective images."
    )
    caption = "Scores of the test images. Where the two colours overlap, no threshold tells good from defective."
    if unseen:
        caption += " The marks below are good images that the flow was not trained on."
    return shows, caption


def describe_curve(calibration: Calibration, good_images: int) -> tuple[str, str]:
    """What the calibration curve shows, and how to read it."""
    shows = "Observed against stated false-reject rates of the good test images, for stated rates of up to 50 %."
    caption = (
        f"For any rate that might have been stated: the share of the {good_images} good test images that its threshold "
        f"refuses. The band holds 95{_SPACE}% of such curves' points if the promise holds, with "
        f"{len(calibration.scores)} calibration images."
    )
    return shows, caption


def describe_heat(fixed: bool) -> str:
    """How to read the colours of heat maps.

    Args:
        fixed: Whether they have the scale that was learnt from good images.
    """
    if fixed:
        return "1 is as hot as good parts get, but for the stated share of them; boxes surround what is hotter."
    return "1 is the hottest place of each image itself: compare places within an image, not images."


def counted(count: int, noun: str) -> str:
    """A number with its noun, which takes an s in the plural."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """A share in percent, to a tenth."""
    value = 100 * share
    digits = f"{value:.2g}" if 0 < value < 0.1 else f"{round(value, 1):g}"
    return f"{digits}{_SPACE}%"


def number(value: float) -> str:
    """Four digits are more than a score is good for."""
    return f"{value:.4g}"


def _percents(low: float, high: float) -> str:
    return f"{percent(low).removesuffix(f'{_SPACE}%')} to {percent(high)}"


def _figure_tiles(figures: Mapping[str, Figure], need: Need, remarks: Mapping[str, str] | None = None) -> list[Tile]:
    """Tiles of the metrics of one need; those that are not in the summary are named where a range is not known."""
    chosen = [figure for figure in figures.values() if figure.metric.needs == need]
    others = ", ".join(f"{figure.metric.label} {_value(figure)}" for figure in chosen if not figure.metric.in_summary)
    return [
        Tile(
            figure.metric.title,
            _value(figure),
            (_range(figure) or others) + (remarks or {}).get(figure.metric.name, ""),
        )
        for figure in chosen
        if figure.metric.in_summary
    ]


def _value(figure: Figure) -> str:
    return percent(figure.number) if figure.metric.is_share else f"{figure.number:.3f}"


def _range(figure: Figure) -> str:
    """The interval, empty where none is known."""
    if figure.interval is None:
        return ""
    low, high = figure.interval
    return _percents(low, high) if figure.metric.is_share else f"{low:.3f} to {high:.3f}"


def _density(manifest: Manifest) -> str:
    flow = manifest.settings.flow
    made_of = f"{flow.blocks} blocks, {flow.hidden} hidden units" if flow.kind == "real-nvp" else flow.kind
    return f"{manifest.features} features, {made_of}"


def _epochs(manifest: Manifest) -> str:
    training = manifest.training
    if not training.epochs:
        return "0, nothing was left to train"
    kept = f"{training.epochs}, that of number {training.kept_epoch} kept"
    return f"{kept}; interrupted" if training.interrupted else kept


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
