"""From the scores of good images to decisions: thresholds, p-values, and how far they can be trusted.

The default is split-conformal prediction (Vovk et al. 2005; Angelopoulos & Bates, arXiv 2107.07511; Bates et al.,
Annals of Statistics 2023): if the calibration images and the next good part are exchangeable, that part is refused
with a probability of at most the stated rate, whatever the distribution of scores. It needs ``ceil(1 / rate) - 1``
images. With fewer, the upper tail can be extrapolated with a generalised Pareto distribution, which no theorem of
that kind backs.

Nothing here needs torch, and deciding does not need scipy.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from differnet.errors import CalibrationError, DatasetError, DifferNetError, ModelFileError, SettingsError

__all__ = [
    "Calibration",
    "CalibrationRecord",
    "Decision",
    "ParetoTail",
    "Source",
    "Tail",
    "calibrate",
    "conformal_threshold",
    "gross_outliers",
    "images_needed",
    "p_value",
]

Tail = Literal["conformal", "generalized-pareto"]
Decision = Literal["accept", "review", "reject"]
Source = Literal["held-out", "cross-fitted", "images"]

_PARETO_IMAGES = 20
_PARETO_EXCEEDANCES = 10
_PARETO_ONE_IN = 5
_MAX_SHAPE = 0.5
# Below this the distribution is exponential to the last digit, and its formulas would divide by zero.
_TINY_SHAPE = 1e-9

_OUTLIER_IMAGES = 10
_OUTLIER_DEVIATIONS = 7.0
_OUTLIER_MIN_DEVIATION = 0.02
# A normal variable has this quantile at 0.85, and this many median absolute deviations to a standard deviation.
_NORMAL_85 = 1.0364
_NORMAL_MAD = 1.4826


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ParetoTail(_Record):
    """A generalised Pareto distribution of what scores exceed a high one by.

    Attributes:
        location: The score that is exceeded, one of the calibration scores.
        exceedances: Number of calibration scores above it.
        shape: 0 is an exponential tail, more is heavier.
        scale: In units of the score.
    """

    location: float
    exceedances: int = Field(ge=1)
    shape: float = Field(ge=0.0, le=_MAX_SHAPE)
    scale: float = Field(gt=0.0)

    def survival(self, score: float) -> float:
        """The chance that a score above the location is at least this."""
        reduced = max(score - self.location, 0.0) / self.scale
        if self.shape < _TINY_SHAPE:
            return math.exp(-reduced)
        return math.exp(-math.log1p(self.shape * reduced) / self.shape)

    def quantile(self, survival: float) -> float:
        """The score with this chance, in (0, 1], to be exceeded by a score above the location."""
        reduced = -math.log(survival)
        if self.shape >= _TINY_SHAPE:
            reduced = math.expm1(self.shape * reduced) / self.shape
        return self.location + self.scale * reduced


class CalibrationRecord(_Record):
    """What a model file says of its calibration; the scores themselves are a tensor beside it.

    Attributes:
        tail: How the thresholds come about.
        false_reject_rate: The stated rate.
        review_rate: The stated rate of parts that are at least looked at, or None.
        threshold: Parts above it are refused.
        review_threshold: Parts above it are at least looked at; None without a review rate.
        images: Number of calibration scores.
        source: Whether the scores are of images ``held-out`` from training, ``cross-fitted`` by models that had not
            seen the image, or of ``images`` that the user gave for calibration alone.
        pareto: The fitted tail, for ``generalized-pareto`` only.
    """

    tail: Tail
    false_reject_rate: float = Field(gt=0.0, lt=1.0)
    review_rate: float | None = Field(None, gt=0.0, lt=1.0)
    threshold: float
    review_threshold: float | None = None
    images: int = Field(ge=1)
    source: Source
    pareto: ParetoTail | None = None

    @model_validator(mode="after")
    def _check(self) -> CalibrationRecord:
        if (self.tail == "generalized-pareto") != (self.pareto is not None):
            raise ValueError("the tail 'generalized-pareto', and only that, has the parameters 'pareto'")
        if (self.review_rate is None) != (self.review_threshold is None):
            raise ValueError("review_rate and review_threshold must both be given or both be left out")
        if self.review_rate is not None and self.review_rate <= self.false_reject_rate:
            raise ValueError("review_rate must exceed false_reject_rate")
        return self


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores of good images, and the decisions that follow from them.

    ``decide(score)`` is ``reject`` exactly where ``p_value(score) <= false_reject_rate``, and not ``accept`` exactly
    where ``p_value(score) <= review_rate``.

    Attributes:
        scores: (n,) float64, finite, ascending (given in any order), read-only.
        false_reject_rate: Share of good parts that may be refused, in (0, 1).
        review_rate: Share of good parts that may be refused or sent to review, above `false_reject_rate` and below 1;
            None for no review.
        pareto: The tail beyond the scores; None for the conformal rule throughout.
        threshold: Parts that score above it are refused.
        review_threshold: Parts that score above it, up to `threshold`, are sent to review; None without review. With
            few images it may equal `threshold`, and then no part is.

    Raises:
        SettingsError: If a rate is not allowed.
        DatasetError: If a score is not finite.
        CalibrationError: If the images are too few for the rate.
    """

    scores: NDArray[np.float64]
    false_reject_rate: float
    review_rate: float | None = None
    pareto: ParetoTail | None = None
    threshold: float = field(init=False)
    review_threshold: float | None = field(init=False)

    def __post_init__(self) -> None:
        _check_rate("false_reject_rate", self.false_reject_rate)
        if self.review_rate is not None:
            _check_rate("review_rate", self.review_rate)
            if self.review_rate <= self.false_reject_rate:
                raise SettingsError(
                    f"review_rate is {self.review_rate} and must exceed false_reject_rate, {self.false_reject_rate}; "
                    "raise it, or leave it out for no review."
                )
        scores = _sorted_scores(self.scores)
        scores.flags.writeable = False
        object.__setattr__(self, "scores", scores)
        threshold = self._threshold(self.false_reject_rate)
        object.__setattr__(self, "threshold", threshold)
        # Rounding must not put the two the wrong way round where the rates are almost equal.
        review = None if self.review_rate is None else min(self._threshold(self.review_rate), threshold)
        object.__setattr__(self, "review_threshold", review)

    @property
    def tail(self) -> Tail:
        """How the thresholds come about."""
        return "conformal" if self.pareto is None else "generalized-pareto"

    @property
    def expected_rate(self) -> float:
        """The false-reject rate to expect on average over calibrations with as many images.

        For the conformal rule this is exact for continuous scores, and at most `false_reject_rate` because a
        threshold lies on a score. Where the threshold is extrapolated it is just the rate that was asked for.
        """
        if self._extrapolates(self.false_reject_rate):
            return self.false_reject_rate
        return _allowed(self.false_reject_rate, len(self.scores)) / (len(self.scores) + 1)

    def rate_interval(self, confidence: float = 0.95) -> tuple[float, float] | None:
        """Where the false-reject rate of this very threshold lies, calibration images being a random sample.

        Given n images of which k lie above the threshold, the rate is Beta(k + 1, n - k) distributed (Vovk 2012):
        exactly, for independent images with continuous scores that the model was not fitted to.

        Args:
            confidence: Share of calibrations whose interval holds the true rate; as much is left out on either side.

        Returns:
            The lower and upper end, or None where the threshold is extrapolated: its error depends on how well the
            fitted distribution holds, which the scores cannot tell.

        Raises:
            SettingsError: If the confidence is not in (0, 1).
        """
        _check_rate("confidence", confidence)
        if self._extrapolates(self.false_reject_rate):
            return None
        from scipy.special import betaincinv  # noqa: PLC0415 - deciding must not need scipy

        images = len(self.scores)
        allowed = _allowed(self.false_reject_rate, images)
        ends = (1 - confidence) / 2, (1 + confidence) / 2
        low, high = (float(betaincinv(allowed, images + 1 - allowed, end)) for end in ends)
        return low, high

    def p_value(self, score: float) -> float:
        """How extreme a score is: at most 5 % of good parts have a p-value of at most 0.05, and so on.

        It never rises with the score, and is never 0. Without a fitted tail, and up to the location of one, it is
        `p_value` of the calibration scores; beyond, it falls from there as the fitted tail does.

        Raises:
            DatasetError: If the score is NaN.
        """
        score = _checked_score(score)
        if self.pareto is None or score <= self.pareto.location:
            return p_value(self.scores, score)
        value = max(self._at_location(self.pareto) * self.pareto.survival(score), sys.float_info.min)
        # Rounding in the two formulas must not set the p-value against the decision.
        value = _on_its_side(value, score, self.false_reject_rate, self.threshold)
        if self.review_rate is not None and self.review_threshold is not None:
            value = _on_its_side(value, score, self.review_rate, self.review_threshold)
        return value

    @property
    def cuts(self) -> list[float]:
        """The scores at which the decision changes."""
        return [self.threshold] if self.review_threshold is None else [self.review_threshold, self.threshold]

    def decide(self, score: float) -> Decision:
        """What to do with a part.

        Raises:
            DatasetError: If the score is NaN.
        """
        score = _checked_score(score)
        if score > self.threshold:
            return "reject"
        if self.review_threshold is not None and score > self.review_threshold:
            return "review"
        return "accept"

    def margin(self, score: float) -> float:
        """``score - threshold``, in units of the score: positive where the part is refused."""
        return float(score) - self.threshold

    def record(self, source: Source) -> CalibrationRecord:
        """What to store in the model file beside the scores.

        Args:
            source: Where the scores came from.
        """
        return CalibrationRecord(
            tail=self.tail,
            false_reject_rate=self.false_reject_rate,
            review_rate=self.review_rate,
            threshold=self.threshold,
            review_threshold=self.review_threshold,
            images=len(self.scores),
            source=source,
            pareto=self.pareto,
        )

    @classmethod
    def restore(cls, record: CalibrationRecord, scores: ArrayLike) -> Calibration:
        """The calibration that a model file holds.

        Args:
            record: Of the file.
            scores: (n,) of the file, in float64 as they were.

        Raises:
            ModelFileError: If the two do not belong together.
        """
        damaged = "copy the model file again, or calibrate the model again."
        try:
            found = cls(np.asarray(scores, np.float64), record.false_reject_rate, record.review_rate, record.pareto)
        except DifferNetError as error:
            raise ModelFileError(f"The calibration in the model file is not valid ({error}); {damaged}") from None
        if len(found.scores) != record.images:
            raise ModelFileError(
                f"The calibration in the model file names {record.images} images but has {len(found.scores)} scores; "
                f"{damaged}"
            )
        tail = record.pareto
        if tail is not None and (
            tail.location not in found.scores or tail.exceedances != int((found.scores > tail.location).sum())
        ):
            raise ModelFileError(f"The tail in the model file was not fitted to the scores in it; {damaged}")
        # A conformal threshold is one of the scores, an extrapolated one may differ by how a processor rounds.
        tolerance = 0.0 if tail is None else 1e-9 * (abs(tail.location) + abs(record.threshold - tail.location))
        for stored, computed in (
            (record.threshold, found.threshold),
            (record.review_threshold, found.review_threshold),
        ):
            if stored is not None and computed is not None and not abs(stored - computed) <= tolerance:
                raise ModelFileError(f"A threshold in the model file does not follow from the scores in it; {damaged}")
        return found

    def _at_location(self, pareto: ParetoTail) -> float:
        """The p-value of a score just above the location, by which the tail's chances are multiplied."""
        return (1 + pareto.exceedances) / (len(self.scores) + 1)

    def _extrapolates(self, rate: float) -> bool:
        return self.pareto is not None and rate < self._at_location(self.pareto)

    def _threshold(self, rate: float) -> float:
        if self.pareto is not None and self._extrapolates(rate):
            return self.pareto.quantile(rate / self._at_location(self.pareto))
        return _conformal_threshold(self.scores, rate)


def calibrate(
    scores: ArrayLike, false_reject_rate: float, review_rate: float | None = None, tail: Tail = "conformal"
) -> Calibration:
    """Find the thresholds for stated rates.

    Args:
        scores: (n,) scores of good images that the model was not fitted to, higher is more anomalous.
        false_reject_rate: Share of good parts that may be refused, in (0, 1).
        review_rate: Share of good parts that may be refused or sent to review, above `false_reject_rate` and below 1;
            None for no review.
        tail: ``conformal`` guarantees the rates and refuses when the images are too few for that;
            ``generalized-pareto`` extrapolates beyond the scores, from 20 images on and without a guarantee. In
            simulation at 1 %, it refused 0.4 to 3 % of good parts on average with 20 images, 1 to 2 % with 50, and
            0.7 to 1.3 % with 200; the heavier the tail of the scores, the more.

    Raises:
        SettingsError: If a rate or the tail is not allowed.
        DatasetError: If a score is not finite.
        CalibrationError: If the images are too few for the rate, or the tail cannot be fitted to them.
    """
    if tail not in ("conformal", "generalized-pareto"):
        raise SettingsError(f"There is no tail '{tail}'; choose 'conformal' or 'generalized-pareto'.")
    # The rates first: a wrong one should not be hidden behind what the fit has to say.
    for name, rate in (("false_reject_rate", false_reject_rate), ("review_rate", review_rate)):
        if rate is not None:
            _check_rate(name, rate)
    ascending = _sorted_scores(scores)
    pareto = _fitted_tail(ascending) if tail == "generalized-pareto" else None
    return Calibration(ascending, float(false_reject_rate), None if review_rate is None else float(review_rate), pareto)


def conformal_threshold(scores: ArrayLike, rate: float) -> float:
    """The threshold above which at most a stated share of good parts lies, on average over calibrations.

    A part is refused when its `p_value` is at most the rate, which is when it scores above the (k + 1)-th largest
    calibration score, ``k = floor(rate * (n + 1)) - 1``.

    Args:
        scores: (n,) of good images, in any order.
        rate: In (0, 1).

    Raises:
        SettingsError: If the rate is not in (0, 1).
        DatasetError: If a score is not finite.
        CalibrationError: If there are fewer than `images_needed`.
    """
    _check_rate("rate", rate)
    return _conformal_threshold(_sorted_scores(scores), rate)


def images_needed(rate: float) -> int:
    """The least number of good images with which the conformal rule can keep a rate: ``ceil(1 / rate) - 1``.

    Raises:
        SettingsError: If the rate is not in (0, 1).
    """
    _check_rate("rate", rate)
    # In exact numbers, 1 / 0.01 is a little under 100 or a little over, as the rounding of 0.01 has it.
    share = math.ceil(1 / Fraction(rate))
    if 1 / (share - 1) <= rate:
        share -= 1
    return share - 1


def p_value(scores_sorted: NDArray[np.float64], score: float) -> float:
    """The conformal p-value, ``(1 + number of calibration scores >= score) / (n + 1)``.

    Args:
        scores_sorted: (n,) of good images, ascending.
        score: Of the part in question.

    Raises:
        DatasetError: If the score is NaN.
    """
    images = len(scores_sorted)
    below = int(np.searchsorted(scores_sorted, _checked_score(score), side="left"))
    return (1 + images - below) / (images + 1)


def gross_outliers(scores: ArrayLike, reference: ArrayLike | None = None) -> NDArray[np.intp]:
    """Calibration images that score so far above the others that they are probably defective.

    Meant for a warning only: dropping what looks bad from the calibration makes its rates wrong.

    Scores are compared as logarithms. An image is named when it lies over 7 deviations above the median; a deviation
    is the largest of: the median absolute deviation and the distance to the 0.85 quantile, both scaled to the
    standard deviation of a normal variable, and 0.02. Up to about a seventh of the images may be defective before
    they hide each other. In simulation, clean draws of 20 to 1000 lognormal (sigma 0.1 to 1) and gamma (shape 0.5 to
    20) scores are named in under 1 %; draws of an offset plus a heavy tail, whose logarithms are still heavy-tailed,
    more often. Where a score is not positive, all are shifted so that the lowest is as far above 0 as the median is
    above the lowest.

    Args:
        scores: (n,) of the images in question.
        reference: (m,) scores of the images to compare them with; by default these images themselves.

    Returns:
        Indices into `scores`, ascending; none when there are fewer than 10 images to compare with.

    Raises:
        DatasetError: If a score is not finite.
    """
    values = _finite_scores(scores)
    others = values if reference is None else _finite_scores(reference)
    if len(others) < _OUTLIER_IMAGES:
        return np.empty(0, np.intp)
    lowest = float(others.min())
    if lowest <= 0.0:
        shift = float(np.median(others)) - 2 * lowest
        values, others = values + shift, others + shift
    tiny = sys.float_info.min
    values, others = np.log(np.maximum(values, tiny)), np.log(np.maximum(others, tiny))
    median, upper = np.quantile(others, [0.5, 0.85])
    absolute = float(np.median(np.abs(others - median)))
    deviation = max(_NORMAL_MAD * absolute, float(upper - median) / _NORMAL_85, _OUTLIER_MIN_DEVIATION)
    return np.flatnonzero(values > median + _OUTLIER_DEVIATIONS * deviation)


def _conformal_threshold(ascending: NDArray[np.float64], rate: float) -> float:
    images = len(ascending)
    allowed = _allowed(rate, images)
    if not allowed:
        raise CalibrationError(_too_few(rate, images))
    return float(ascending[images - allowed])


def _allowed(rate: float, images: int) -> int:
    """The largest m with ``m / (images + 1) <= rate``: k + 1.

    Compared by the very division that `p_value` does: a quotient is rounded as a literal is, so that 0.05 is as much
    as 1 / 20, though 0.05 * 20 might not be 1.
    """
    allowed = int(rate * (images + 1))
    if (allowed + 1) / (images + 1) <= rate:
        return allowed + 1
    return allowed if allowed / (images + 1) <= rate else allowed - 1


def _too_few(rate: float, images: int) -> str:
    mend = f"give more good images, accept a rate of {_lowest_rate(images)} or more" if images else "give good images"
    return (
        f"A rate of {rate:.6g} needs at least {images_needed(rate)} good images for calibration, there are {images}: "
        f'{mend}, or ask for tail="generalized-pareto" (CLI: --tail generalized-pareto), which extrapolates from '
        f"{_PARETO_IMAGES} images on, without a guarantee."
    )


def _lowest_rate(images: int) -> str:
    """The lowest rate that the images allow, in three digits, rounded up so that it can be asked for as it stands."""
    rate = 1 / (images + 1)
    digits = 2 - math.floor(math.log10(rate))
    return f"{-(-(10**digits) // (images + 1)) / 10**digits:g}"


def _fitted_tail(ascending: NDArray[np.float64]) -> ParetoTail:
    """Fit a generalised Pareto distribution to the upper fifth of the scores, but at least 10.

    What exceeds a high threshold is about so distributed (Pickands 1975; Coles 2001, chapter 4). The likelihood is
    maximised for a shape in [0, 0.5]. A negative shape would set an end that no good part can exceed, which scores do
    not have; and maximum likelihood finds one so often in 10 exceedances that in simulation, at 1 % and 20 images,
    about 5 % of good parts were refused with shapes down to -0.5, against about 2 % with this bound. A shape above
    0.5 has no variance.

    Raises:
        CalibrationError: If there are fewer than 20 scores, or too few different ones.
    """
    images = len(ascending)
    if images < _PARETO_IMAGES:
        raise CalibrationError(
            f"The tail 'generalized-pareto' needs at least {_PARETO_IMAGES} good images, there are {images}; "
            "give more good images."
        )
    wanted = max(_PARETO_EXCEEDANCES, -(-images // _PARETO_ONE_IN))
    # Of equal scores, all exceed the location or none.
    lower = ascending[ascending < ascending[images - wanted]]
    upper = ascending[len(lower) :]
    excess = upper - lower[-1] if len(lower) else upper
    unit = float(excess.mean())
    if not len(lower) or excess[0] == excess[-1] or not sys.float_info.min < unit < math.inf:
        raise CalibrationError(
            "The scores of the good images are too much alike, or too far apart, to fit the tail 'generalized-pareto'; "
            "give more, and different, good images."
        )
    from scipy.optimize import minimize  # noqa: PLC0415 - deciding must not need scipy

    reduced = excess / unit

    def loss(parameters: NDArray[np.float64]) -> float:
        shape, log_scale = float(parameters[0]), float(parameters[1])
        scaled = reduced / math.exp(log_scale)
        if shape < _TINY_SHAPE:
            return log_scale + float(scaled.mean())
        return log_scale + (1 + 1 / shape) * float(np.log1p(shape * scaled).mean())

    # In units of the mean the scale is within [1 - shape, 1] for the moments, and far within these bounds for any fit.
    fit = minimize(loss, np.array([0.1, -0.1]), method="L-BFGS-B", bounds=[(0.0, _MAX_SHAPE), (-20.0, 5.0)])
    return ParetoTail(
        location=float(lower[-1]),
        exceedances=len(upper),
        shape=float(fit.x[0]),
        scale=unit * math.exp(float(fit.x[1])),
    )


def _on_its_side(value: float, score: float, rate: float, threshold: float) -> float:
    return min(value, rate) if score > threshold else max(value, math.nextafter(rate, 1.0))


def _check_rate(name: str, rate: float) -> None:
    # Written so that NaN fails it too.
    if not 0.0 < rate < 1.0:
        raise SettingsError(f"{name} is {rate} and must lie between 0 and 1, both excluded; 0.05 stands for 5 %.")


def _checked_score(score: float) -> float:
    if math.isnan(score):
        raise DatasetError("A score is not a number; train the model again.")
    # NumPy would compare a float32 with a threshold in float32, which rounds the threshold.
    return float(score)


def _finite_scores(scores: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(scores, np.float64).ravel()
    if not np.isfinite(values).all():
        raise DatasetError("A score is not a finite number; train the model again.")
    return values


def _sorted_scores(scores: ArrayLike) -> NDArray[np.float64]:
    return np.sort(_finite_scores(scores))
