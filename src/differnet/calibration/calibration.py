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

import numpy as np
from numpy.typing import ArrayLike, NDArray

from differnet.calibration.checks import check_rate, checked_score, sorted_scores
from differnet.calibration.conformal import allowed_refusals, p_value, threshold_of_sorted
from differnet.calibration.pareto import ParetoTail, fit_pareto_tail
from differnet.calibration.record import CalibrationRecord, Decision, Source, Tail
from differnet.errors import DifferNetError, ModelFileError, SettingsError

__all__ = ["Calibration", "calibrate", "set_by_hand"]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores of good images, and the decisions that follow from them.

    But for a threshold by hand, ``decide(score)`` is ``reject`` exactly where ``p_value(score) <= false_reject_rate``,
    and not ``accept`` exactly where ``p_value(score) <= review_rate``.

    Attributes:
        scores: (n,) float64, finite, ascending (given in any order), read-only.
        false_reject_rate: Share of good parts that may be refused, in (0, 1).
        review_rate: Share of good parts that may be refused or sent to review, above `false_reject_rate` and below 1;
            None for no review.
        pareto: The tail beyond the scores; None for the conformal rule throughout.
        groups: Number of groups that the images are of, where images of a group belong together (pictures of one part)
            and are no independent witnesses; the rate is then no promise. None where each stands alone.
        by_hand: The threshold that somebody set, whatever the scores say; None where it follows from them. The rates
            are then those that the scores show at it, if there are any, and no promise.
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
    groups: int | None = None
    by_hand: float | None = None
    threshold: float = field(init=False)
    review_threshold: float | None = field(init=False)

    def __post_init__(self) -> None:
        check_rate("false_reject_rate", self.false_reject_rate)
        if self.review_rate is not None:
            check_rate("review_rate", self.review_rate)
            if self.review_rate <= self.false_reject_rate:
                raise SettingsError(
                    f"review_rate is {self.review_rate} and must exceed false_reject_rate, {self.false_reject_rate}; "
                    "raise it, or leave it out for no review."
                )
        scores = sorted_scores(self.scores)
        scores.flags.writeable = False
        object.__setattr__(self, "scores", scores)
        if self.by_hand is not None and (not math.isfinite(self.by_hand) or self.review_rate or self.pareto):
            raise SettingsError(
                f"The threshold by hand is {self.by_hand}; give a finite number, without a review rate and a tail."
            )
        threshold = self._threshold(self.false_reject_rate) if self.by_hand is None else float(self.by_hand)
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
        if self._extrapolates(self.false_reject_rate) or self.by_hand is not None:
            return self.false_reject_rate
        return allowed_refusals(self.false_reject_rate, len(self.scores)) / (len(self.scores) + 1)

    def rate_interval(self, confidence: float = 0.95) -> tuple[float, float] | None:
        """Where the false-reject rate of this very threshold lies, calibration images being a random sample.

        Given n images of which k lie above the threshold, the rate is Beta(k + 1, n - k) distributed (Vovk 2012):
        exactly, for independent images with continuous scores that the model was not fitted to. Of images in G groups
        it is taken as if there were G of them: Beta(a (G + 1), (1 - a)(G + 1)) for the stated rate a.

        Args:
            confidence: Share of calibrations whose interval holds the true rate; as much is left out on either side.

        Returns:
            The lower and upper end, or None where the threshold was set by hand or is extrapolated: its error then
            depends on how well the fitted distribution holds, which the scores cannot tell.

        Raises:
            SettingsError: If the confidence is not in (0, 1).
        """
        check_rate("confidence", confidence)
        if self._extrapolates(self.false_reject_rate) or self.by_hand is not None:
            return None
        from scipy.special import betaincinv  # noqa: PLC0415 - deciding must not need scipy

        images = len(self.scores)
        allowed: float = allowed_refusals(self.false_reject_rate, images)
        if self.groups is not None:
            images, allowed = self.groups, self.false_reject_rate * (self.groups + 1)
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
        score = checked_score(score)
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
        score = checked_score(score)
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
            source=source if self.by_hand is None else "by-hand",
            scores_source=None if self.by_hand is None else source,
            pareto=self.pareto,
            groups=self.groups,
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
            found = cls(
                np.asarray(scores, np.float64),
                record.false_reject_rate,
                record.review_rate,
                record.pareto,
                record.groups,
                record.threshold if record.source == "by-hand" else None,
            )
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
        return threshold_of_sorted(self.scores, rate)


def calibrate(
    scores: ArrayLike,
    false_reject_rate: float,
    review_rate: float | None = None,
    tail: Tail = "conformal",
    *,
    groups: int | None = None,
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
        groups: See `Calibration.groups`.

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
            check_rate(name, rate)
    ascending = sorted_scores(scores)
    pareto = fit_pareto_tail(ascending) if tail == "generalized-pareto" else None
    review = None if review_rate is None else float(review_rate)
    return Calibration(ascending, float(false_reject_rate), review, pareto, groups)


def set_by_hand(scores: ArrayLike, threshold: float, false_reject_rate: float = 0.05) -> Calibration:
    """Take a threshold as somebody set it.

    Args:
        scores: (n,) scores of good images that the model was not fitted to, for p-values; may be empty.
        threshold: Parts that score above it are refused.
        false_reject_rate: What to take for the rate where there are no scores; else it is ``(k + 1) / (n + 1)`` for k
            scores above the threshold.

    Raises:
        SettingsError: If the threshold is not a finite number.
        DatasetError: If a score is not finite.
    """
    ascending = sorted_scores(scores)
    above = int((ascending > threshold).sum())
    rate = (above + 1) / (len(ascending) + 2) if len(ascending) == above else (above + 1) / (len(ascending) + 1)
    return Calibration(ascending, rate if len(ascending) else false_reject_rate, by_hand=float(threshold))


def _on_its_side(value: float, score: float, rate: float, threshold: float) -> float:
    return min(value, rate) if score > threshold else max(value, math.nextafter(rate, 1.0))
