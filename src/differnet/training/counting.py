"""Which good images' scores set the threshold, and the scale of heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from differnet.calibration import calibrate, images_needed
from differnet.settings import Settings
from differnet.training.fitted import Fitted
from differnet.training.grouping import one_of_each
from differnet.training.suspects import counted_as_good, far_off

__all__ = ["Counted", "choose_counted"]


@dataclass(frozen=True)
class Counted:
    """Places among the images that were scored.

    Attributes:
        places: Of those that count, ascending.
        aside: Of those that are far off, and do not count for that.
    """

    places: tuple[int, ...]
    aside: frozenset[int] = frozenset()


def choose_counted(fitted: Fitted, settings: Settings) -> Counted:
    """Choose them.

    Of images that belong together one counts, unless the groups are too few for the rate: then all count.

    An image that is far off is a defect among the good ones, or a good part that is rare. A threshold that is its score
    lets most defects pass: learnt from 35 solar cells, two of them defective, 68 % of others (docs/verdicts.md). So
    where it would be one, those that are far off do not count, except as many as clean images have (`counted_as_good`),
    the strangest first, as long as enough are left to set a threshold. The stated rate is that of parts like those that
    count, then.

    Args:
        fitted: What was learnt.
        settings: All settings; ``training.outliers`` says whether those far off count.
    """
    groups, rate = fitted.grouping.groups, settings.calibration.false_reject_rate
    needed = images_needed(rate)
    places = one_of_each(groups, settings.seed)
    if len(set(groups)) < needed <= len(groups):
        places = list(range(len(groups)))
    off = far_off(fitted)
    if settings.training.outliers == "auto":
        counts = not _set_by(off, places, fitted, settings)
    else:
        counts = settings.training.outliers != "uncounted"
    # More than a third that is far off is no usual rest with outliers.
    if counts or 3 * len(off) > len(groups):
        return Counted(tuple(places))
    aside = _while_enough_are_left(_more_than_usual(off, fitted), places, needed)
    return Counted(tuple(place for place in places if place not in aside), aside)


def _more_than_usual(off: Sequence[int], fitted: Fitted) -> list[int]:
    """Those far off that are more than clean images have, the strangest first."""
    usual = counted_as_good(len(fitted.scores))
    return sorted(off, key=lambda place: -float(fitted.scores[place]))[: max(len(off) - usual, 0)]


def _while_enough_are_left(strangest: Sequence[int], places: Sequence[int], needed: int) -> frozenset[int]:
    """The first of them, no more than `places` can spare; copies, which are not among those, cost nothing."""
    aside: list[int] = []
    spare = len(places) - needed
    for place in strangest:
        spare -= place in places
        if spare < 0:
            break
        aside.append(place)
    return frozenset(aside)


def _set_by(off: Sequence[int], places: Sequence[int], fitted: Fitted, settings: Settings) -> bool:
    """Whether the threshold would be the score of one that is far off."""
    chosen = settings.calibration
    if chosen.method == "none" or len(places) < images_needed(chosen.false_reject_rate):
        return False
    scores = fitted.scores.double().numpy()
    threshold = calibrate(scores[list(places)], chosen.false_reject_rate, chosen.review_rate).threshold
    return any(scores[place] == threshold for place in off)
