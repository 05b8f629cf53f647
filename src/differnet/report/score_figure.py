"""A picture of an evaluation: the histogram of scores with the most and least anomalous images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from differnet.errors import MissingExtraError, OutputError
from differnet.evaluation.evaluate import Evaluation, ScoredImage
from differnet.images import read_image
from differnet.installing import install_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["save_score_figure"]

_EXAMPLES = 5
# Blue and vermilion of Okabe and Ito's palette, told apart by the colour-blind.
_GOOD, _DEFECTIVE = "#0072B2", "#D55E00"


def save_score_figure(evaluation: Evaluation, path: Path, title: str, credit: str = "") -> None:
    """Write a PNG with the score histogram and the highest- and lowest-scoring images.

    Args:
        evaluation: The scored images.
        path: The PNG to write.
        title: Heading.
        credit: Line below the picture, such as the images' source and licence.

    Raises:
        MissingExtraError: If matplotlib is not installed.
        OutputError: If the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError(f"Pictures need matplotlib. Run: {install_extra('demo')}") from None
    figure = Figure(figsize=(10, 7.2), layout="constrained")
    parts: Any = figure.subfigures(3, 1, height_ratios=[1.7, 1, 1])
    histogram, highest, lowest = parts
    _draw_histogram(histogram.subplots(), evaluation, title)
    ranked = sorted(evaluation.scored, key=lambda entry: entry.verdict.score)
    _draw_images(highest.subplots(1, _EXAMPLES), ranked[: -_EXAMPLES - 1 : -1])
    _draw_images(lowest.subplots(1, _EXAMPLES), ranked[:_EXAMPLES])
    highest.suptitle("highest scores", fontsize="medium", x=0.01, ha="left")
    lowest.suptitle("lowest scores", fontsize="medium", x=0.01, ha="left")
    if credit:
        lowest.supxlabel(credit, fontsize="x-small", color="0.4")
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place.") from None


def _draw_histogram(axes: Axes, evaluation: Evaluation, title: str) -> None:
    good = np.array([entry.verdict.score for entry in evaluation.scored if not entry.image.is_defective])
    defective = np.array([entry.verdict.score for entry in evaluation.scored if entry.image.is_defective])
    everything = np.concatenate((good, defective))
    low, high = everything.min(), everything.max()
    # Scores of gross defects are many times those of good parts; on a linear axis the good ones share one bin.
    logarithmic = low > 0.0 and high > 20.0 * np.median(good)
    bins = (np.geomspace if logarithmic else np.linspace)(low, high, 41).tolist()
    axes.hist(good, bins, alpha=0.75, color=_GOOD, label=f"good ({len(good)})")
    axes.hist(defective, bins, alpha=0.6, color=_DEFECTIVE, label=f"defective ({len(defective)})")
    if logarithmic:
        axes.set_xscale("log")
    axes.set(title=title, xlabel="anomaly score, higher is more anomalous", ylabel="images")
    axes.legend()


def _draw_images(axes: Iterable[Axes], entries: list[ScoredImage]) -> None:
    for place in axes:
        place.set_axis_off()
    for place, entry in zip(axes, entries, strict=False):
        place.imshow(read_image(entry.image.path))
        colour = _DEFECTIVE if entry.image.is_defective else _GOOD
        place.set_title(f"{entry.image.kind}, {entry.verdict.score:.3g}", fontsize="small", color=colour)
