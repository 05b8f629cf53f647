"""Do images still look like those of the training, and are as many refused as was stated?"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from differnet.calibration import Calibration, chance_of_refusals
from differnet.features import Sample
from differnet.features.reference import APPEARANCE, Reference, appearance
from differnet.inspection.observations import Observations
from differnet.inspection.verdict import Verdict

__all__ = ["DriftMonitor", "DriftReport", "compare"]

_LEAST_IMAGES, _LEAST_REFUSALS = 10, 5
# Chances of a false alarm, a hundredth together: of the refusals, of each measure of the looks, of the features.
_REFUSALS, _LOOKS, _FEATURES = 0.001, 0.001, 0.002
# Smaller differences are no concern, however sure: the chance that an image of now is above one of then, and the mean
# square shift of the features in their standard deviations.
_HIGHER, _SHIFT = 0.8, 0.15
_EPS = 1e-6

_WORDS = {
    "light": ("darker", "lighter"),
    "contrast": ("of less contrast", "of more contrast"),
    "sharpness": ("less sharp", "sharper or noisier"),
    "colour": ("less colourful", "more colourful"),
}


@dataclass(frozen=True)
class DriftReport:
    """What inspected images have unlike the training images.

    Attributes:
        images: Number of images with a verdict.
        refused: Number of those refused; None for a model without a threshold.
        stated: The stated false-reject rate; None for a model without a threshold.
        more_refused: Whether more are refused than the stated rate explains.
        differences: What they have unlike the training images, in words; empty if nothing, or nothing is known.
        compared: Whether the model knows what its training images looked like; models of before this do not.
        by_hand: Whether somebody set the threshold; `stated` is then the rate of the scores that the model holds.
    """

    images: int
    refused: int | None = None
    stated: float | None = None
    more_refused: bool = False
    differences: tuple[str, ...] = ()
    compared: bool = False
    by_hand: bool = False

    @property
    def is_raised(self) -> bool:
        """Whether it should be told: of 100 clean batches of images it is at most once."""
        return self.more_refused or bool(self.differences)

    @property
    def sentence(self) -> str:
        """What to tell; empty if nothing."""
        if not self.is_raised:
            return ""
        counts = ""
        if self.refused is not None and self.stated is not None:
            known = "of good ones lie above the threshold set by hand" if self.by_hand else "were stated"
            counts = f"{self.refused} of {self.images} images refused where {100 * self.stated:.3g} % {known}"
        if not self.differences:
            alike = ", though their light, contrast, sharpness and features are those of the training images"
            return f"{counts}{alike if self.compared else ''}: they are defective, or something else has changed."
        unlike = f"these images differ from the training images ({', '.join(self.differences)})"
        if not self.more_refused:
            return f"{unlike}{f'; {counts}' if counts else ''}.".capitalize()
        return f"{counts}: {unlike}."

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values, the sentence among them."""
        return {
            "images": self.images,
            "refused": self.refused,
            "stated": self.stated,
            "raised": self.is_raised,
            "more_refused": self.more_refused,
            "differences": list(self.differences),
            "sentence": self.sentence or None,
        }


class DriftMonitor:
    """Takes inspected images, and compares them with those of the training. May be used from several threads.

    Args:
        reference: What the training images looked like; None where that is not known.
    """

    def __init__(self, reference: Reference | None) -> None:
        self._reference = reference
        self._lock = threading.Lock()
        self._seen = Observations()

    def add(self, sample: Sample, verdict: Verdict) -> None:
        """Take an image and its verdict."""
        look = features = None
        if self._reference is not None:
            look = appearance(sample.pixels)[None]
            features = sample.features[0].float().cpu().numpy().astype(np.float64)
        with self._lock:
            self._seen.count(verdict.decision)
            if look is not None and features is not None:
                self._seen.look(look, features)

    def take(self) -> Observations:
        """What was seen since the last call, which is forgotten here."""
        with self._lock:
            seen, self._seen = self._seen, Observations()
        return seen

    def report(self, calibration: Calibration | None) -> DriftReport:
        """Compare what was taken so far, see `compare`."""
        seen = Observations()
        with self._lock:
            seen.merge(self._seen)
        return compare(seen, self._reference, calibration)


def compare(seen: Observations, reference: Reference | None, calibration: Calibration | None) -> DriftReport:
    """Compare inspected images with those of the training; of more than 1000 images, the looks of about the last 1000.

    Three questions are asked, of 100 clean images together wrongly answered at most once:

    - Are more refused than stated? By the beta-binomial distribution that the conformal rule gives.
    - Do light, contrast, sharpness or colour lie higher or lower? By the rank sum of Mann and Whitney, and only where
      an image of now lies above one of then in more than four of five pairs, or in fewer than one.
    - Have the means of the features moved? The sum of the squares of the shifts is a multiple of chi-square, with the
      degrees of freedom that the correlations leave (Satterthwaite 1946); and only where they moved by 0.4 standard
      deviations in the root mean square.

    Args:
        seen: The inspected images.
        reference: What the training images looked like; None where that is not known.
        calibration: The threshold that they were judged by.
    """
    by_hand = calibration is not None and calibration.by_hand is not None
    # Without scores nobody knows what a threshold by hand refuses.
    known = calibration is not None and (not by_hand or len(calibration.scores) > 0)
    counted = known and seen.judged == seen.images
    differences: tuple[str, ...] = ()
    if reference is not None and seen.looked >= _LEAST_IMAGES:
        differences = _differences(reference, seen)
    return DriftReport(
        seen.images,
        seen.refused if counted else None,
        calibration.false_reject_rate if calibration is not None and counted else None,
        calibration is not None and counted and _is_more(calibration, seen.refused, seen.images),
        differences,
        reference is not None and seen.looked >= _LEAST_IMAGES,
        by_hand,
    )


def _is_more(calibration: Calibration, refused: int, images: int) -> bool:
    few = images < _LEAST_REFUSALS or refused <= calibration.false_reject_rate * images
    return not few and chance_of_refusals(calibration, refused, images) < _REFUSALS


def _differences(reference: Reference, seen: Observations) -> tuple[str, ...]:
    looks, then = seen.looks, reference.appearance.numpy()
    found = []
    for place, name in enumerate(APPEARANCE):
        higher, chance = _rank_sum(looks[:, place], then[:, place])
        if chance < _LOOKS and not 1 - _HIGHER <= higher <= _HIGHER:
            found.append(_WORDS[name][higher > 0.5])
    if _features_moved(reference, seen.mean_features, seen.looked):
        found.append("in what the network sees, as by position, colours, compression, focus, noise or other parts")
    return tuple(found)


def _rank_sum(now: NDArray[np.float32], then: NDArray[np.float32]) -> tuple[float, float]:
    """The chance that one of now is above one of then, and that of a difference as great without any cause."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - takes half a second to import

    if np.ptp(np.concatenate([now, then])) == 0.0:
        return 0.5, 1.0
    found = mannwhitneyu(now, then, method="asymptotic")
    return float(found.statistic) / (len(now) * len(then)), float(found.pvalue)


def _features_moved(reference: Reference, now: NDArray[np.float64], images: int) -> bool:
    from scipy.special import gammaincc  # noqa: PLC0415 - inspecting must not need scipy

    mean, deviation = reference.features.double().numpy()
    varies = deviation > _EPS
    shift = (now[varies] - mean[varies]) / deviation[varies]
    moved = float(np.square(shift).mean()) if varies.any() else 0.0
    expected = 1 / images + 1 / reference.images
    half = reference.dimension / 2
    return moved > _SHIFT and float(gammaincc(half, half * moved / expected)) < _FEATURES
