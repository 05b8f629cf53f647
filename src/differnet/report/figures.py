"""The figures of a report, as SVG that takes its colours and its font from the page around it."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from differnet.calibration import Calibration
from differnet.evaluation.rates import ErrorRates
from differnet.report.curves import CalibrationCurve, RocCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_calibration", "draw_roc", "draw_scores"]

# Blue and vermilion of Okabe and Ito's palette, told apart by the colour-blind.
_GOOD, _DEFECTIVE = "#0072b2", "#d55e00"
# Stand-ins, which no other part of a figure uses.
_INK, _GRID = "#010203", "#040506"
# The page lightens its colours on a dark ground.
_PAGE_COLOURS = {
    _INK: "currentColor",
    _GRID: "var(--line)",
    _GOOD: f"var(--good, {_GOOD})",
    _DEFECTIVE: f"var(--defective, {_DEFECTIVE})",
}
# 346 points wide: the text is readable at the width of a phone, and not huge at that of a desktop.
_SIZE = (4.8, 3.7)
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "differnet",
    "font.size": 9.0,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    # An SVG can ask the browser for any font; what is measured here is only about as wide.
    "font.family": "DejaVu Sans",
}
_BINS = 40
# Scores of gross defects are many times those of good parts; on a linear axis the good ones share one bin.
_LOGARITHMIC = 20.0
# And some are beyond all measure: what is more than this many times the usual good scores shares the last bar.
_FARTHEST = 100.0


def draw_roc(curve: RocCurve, rates: ErrorRates | None) -> str:
    """Draw the ROC curve with the operating point.

    Args:
        curve: What to draw.
        rates: At the threshold; None for a model without one.

    Returns:
        An SVG element.
    """
    with _figure() as (figure, axes):
        axes.plot([0, 100], [0, 100], color=_INK, linewidth=0.7, linestyle=(0, (2, 3)))
        axes.plot(100 * curve.false_reject, 100 * curve.caught, color=_GOOD, linewidth=1.6, drawstyle="steps-post")
        if rates is not None:
            refused, caught = rates.false_reject, 1 - rates.escape.value
            axes.errorbar(
                100 * refused.value,
                100 * caught,
                xerr=_bars(refused.value, refused.low, refused.high),
                yerr=_bars(caught, 1 - rates.escape.high, 1 - rates.escape.low),
                color=_DEFECTIVE,
                marker="o",
                markersize=5.5,
                linewidth=1.1,
                capsize=2.5,
                label="at the threshold, with 95 % intervals",
                zorder=3,
                clip_on=False,
            )
            axes.legend(loc="lower right")
        axes.set(xlabel="good images refused, %", ylabel="defective images caught, %", xlim=(0, 100), ylim=(0, 100.5))
        return _to_svg(figure, "roc")


def draw_scores(
    good: NDArray[np.float64],
    defective: NDArray[np.float64],
    unseen: NDArray[np.float64],
    calibration: Calibration | None,
) -> str:
    """Draw the histogram of scores with the thresholds.

    Args:
        good: Scores of good test images.
        defective: Scores of defective test images.
        unseen: Scores of good images that the threshold rests on, marked below the histogram; may be empty.
        calibration: Gives the thresholds; None for a model without one.

    Returns:
        An SVG element.
    """
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - an optional package

    thresholds = [] if calibration is None else [calibration.threshold]
    review = None if calibration is None else calibration.review_threshold
    if review is not None:
        thresholds.append(review)
    usual = max([float(np.quantile(good, 0.99)), *thresholds])
    everything = np.concatenate((good, defective, unseen, thresholds))
    low, high = float(everything.min()), float(everything.max())
    logarithmic = low > 0.0 and high > _LOGARITHMIC * float(np.median(good))
    if low == high:
        low, high = low - 0.5, high + 0.5
    beyond = low > 0.0 and high > _FARTHEST * usual
    if beyond:
        high = 10.0 ** math.ceil(math.log10(_FARTHEST * usual))
        good, defective, unseen = (np.minimum(scores, high) for scores in (good, defective, unseen))
    bins = (np.geomspace if logarithmic else np.linspace)(low, high, _BINS + 1).tolist()
    with _figure() as (figure, axes):
        for scores, colour, label in ((good, _GOOD, "good"), (defective, _DEFECTIVE, "defective")):
            axes.hist(scores, bins, color=colour, alpha=0.62, label=f"{label} ({len(scores)})")
        if logarithmic:
            axes.set_xscale("log")
            _label_decades(axes, low, high)
        if beyond:
            axes.annotate(
                f"last bar: {high:g} and more", (1, 1), xycoords="axes fraction", ha="right", va="top", fontsize=8.5
            )
        top = axes.get_ylim()[1]
        if len(unseen):
            # Below the axis of the histogram, where no bar hides them.
            axes.set_ylim(-0.07 * top, top)
            axes.vlines(unseen, -0.06 * top, -0.015 * top, color=_INK, linewidth=0.7, alpha=0.55)
            axes.plot([], [], "|", color=_INK, markersize=6, alpha=0.7, label=f"good, not trained on ({len(unseen)})")
        if calibration is not None:
            axes.axvline(calibration.threshold, color=_INK, linewidth=1.2, label="threshold")
        if review is not None:
            axes.axvline(review, color=_INK, linewidth=1.1, linestyle=(0, (4, 2)), label="review threshold")
        axes.set(xlabel="anomaly score, higher is more anomalous", ylabel="images")
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
        axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= top])
        axes.grid(visible=False, axis="x")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        return _to_svg(figure, "scores")


def draw_calibration(curve: CalibrationCurve, stated: float, rates: ErrorRates | None) -> str:
    """Draw stated against observed false-reject rates.

    Args:
        curve: What to draw.
        stated: The rate that the model's threshold is for.
        rates: At that threshold.

    Returns:
        An SVG element.
    """
    with _figure() as (figure, axes):
        axes.fill_between(
            100 * curve.stated,
            100 * curve.low,
            100 * curve.high,
            color=_INK,
            alpha=0.1,
            linewidth=0,
            step="post",
            label="95 % of observed rates, if it holds",
        )
        axes.plot([0, 50], [0, 50], color=_INK, linewidth=0.7, linestyle=(0, (2, 3)), label="stated = observed")
        axes.plot(
            100 * curve.stated,
            100 * curve.observed,
            color=_GOOD,
            linewidth=1.6,
            drawstyle="steps-post",
            label="good test images",
        )
        if rates is not None:
            refused = rates.false_reject
            axes.errorbar(
                100 * stated,
                100 * refused.value,
                yerr=_bars(refused.value, refused.low, refused.high),
                color=_DEFECTIVE,
                marker="o",
                markersize=5.5,
                linewidth=1.1,
                capsize=2.5,
                label="this model's threshold",
                zorder=3,
                clip_on=False,
            )
        ceiling = float(np.ceil(10 * max([0.5, *curve.high, *curve.observed])) * 10)
        axes.set(
            xlabel="stated false-reject rate, %",
            ylabel="observed on good test images, %",
            xlim=(0, max(50.0, 100 * stated)),
            ylim=(0, min(ceiling, 100.0)),
        )
        axes.legend(loc="upper left")
        return _to_svg(figure, "calibration")


@contextmanager
def _figure() -> Iterator[tuple[Figure, Axes]]:
    from matplotlib import style  # noqa: PLC0415 - an optional package
    from matplotlib.figure import Figure  # noqa: PLC0415

    # Whatever the user's own matplotlibrc says, a report looks the same.
    with style.context(["default", _STYLE]):
        figure = Figure(figsize=_SIZE, layout="constrained")
        yield figure, figure.subplots()


def _bars(value: float, low: float, high: float) -> NDArray[np.float64]:
    """Lengths of error bars in percent, (2, 1); an interval may end a rounding error on the wrong side."""
    return 100 * np.maximum([[value - low], [high - value]], 0.0)


def _label_decades(axes: Axes, low: float, high: float) -> None:
    """Ticks with plain numbers, also where the scores span less than two powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415

    subdivisions: Sequence[float] = (1.0, 2.0, 5.0) if high < 1000 * low else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=subdivisions))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _to_svg(figure: Figure, name: str) -> str:
    """Turn a figure into an element for the page: no prologue, ids of its own, the page's colours."""
    buffer = io.StringIO()
    unwanted = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=unwanted)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    # A style element within an SVG would hold for the whole page, which has the same rule for figures alone.
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="|url\()#', rf"\1#{name}-", text)
    # The page sets width and height, and the family of fonts.
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = text.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1)
    for stand_in, colour in _PAGE_COLOURS.items():
        text = text.replace(stand_in, colour)
    return text
