"""What is said of images that a threshold is set by, or tested: copies, images that were learnt from, defects."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from differnet.calibration import Calibration, chance_of_refusals, gross_outliers, images_needed, seem_learnt
from differnet.cli.console import warn
from differnet.detector import DifferNet
from differnet.evaluation import Evaluation
from differnet.inspection.measuring import Measured

__all__ = ["each_content_once", "far_above", "named", "remarks_on_scores", "warn_of_learnt_images"]

# Fewer scores than this say little of what is usual.
_LEAST_REFERENCE = 10
_MOST_NAMED = 5
_UNLIKELY = 0.001
_SHARE_AGAIN = 0.1


def each_content_once(paths: Sequence[Path], rate: float, others: int) -> tuple[list[Path], list[str]]:
    """The files without exact copies of others, and what was said of those.

    Where those left would be too few for the rate and all are not, copies stay, and that it is not promised is said.

    Args:
        paths: The files.
        rate: In (0, 1).
        others: Scores to which theirs are added.
    """
    contents: dict[bytes, Path] = {}
    for path in paths:
        try:
            content = hashlib.sha256(path.read_bytes()).digest()
        except (OSError, ValueError):  # which reading it will tell
            content = os.fsencode(path)
        contents.setdefault(content, path)
    once, needed = [*contents.values()], images_needed(rate) - others
    if len(once) == len(paths):
        return once, []
    said = f"{len(paths) - len(once)} of {len(paths)} images are exact copies of others"
    if len(once) < needed <= len(paths):
        said += (
            f": there are {len(once)} different ones, and a rate of {rate:g} takes {needed}, so it cannot be promised. "
            f"Give more good images."
        )
        once = [*paths]
    else:
        said += ", which say nothing new of the rate; each counts once."
    warn(said)
    return once, [said]


def far_above(detector: DifferNet, before: Tensor, measured: Measured, paths: Sequence[str]) -> list[str]:
    """The images that score so far above the others that they are probably defective.

    Args:
        detector: The model.
        before: Scores that it was calibrated by so far.
        measured: Of the images.
        paths: Those that were measured.
    """
    scores, scale = measured.scores, detector.fitted.scale
    reference = before if len(before) >= _LEAST_REFERENCE else None
    if scale is not None:
        scores, reference = scale.deviations(scores), None if reference is None else scale.deviations(reference)
    tail = 1.0 if scale is None else scale.tail
    return [paths[i] for i in gross_outliers(scores, reference, logarithmic=scale is not None, tail=tail)]


def named(suspects: Sequence[str]) -> list[str]:
    """What to say of the images that `far_above` found."""
    found = [
        f"{path}: scores far above the other images; if it is defective, remove it and calibrate again."
        for path in suspects[:_MOST_NAMED]
    ]
    if len(suspects) > _MOST_NAMED:
        found.append(f"{len(suspects) - _MOST_NAMED} more images score as far above; --json names all.")
    return found


def remarks_on_scores(
    old: Calibration | None, before: NDArray[np.float32], scores: NDArray[np.float32], *, added: bool
) -> list[str]:
    """Say what the scores of the images tell of these.

    Args:
        old: The calibration that the model had.
        before: (n,) scores that it was calibrated by.
        scores: (m,) of the images.
        added: Whether they were added to those.
    """
    found = (
        "" if old is None else _more_above_than_stated(old, scores),
        _lower_than_unseen(before, scores),
        _added_before(before, scores) if added else "",
    )
    return [said for said in found if said]


def _added_before(before: NDArray[np.float32], scores: NDArray[np.float32]) -> str:
    """What to say where the model holds the scores of many of the images already; else empty."""
    again = int(np.isin(scores, before).sum())
    if again < 2 or again < _SHARE_AGAIN * len(scores):
        return ""
    return (
        f"The model holds the scores of {again} of these {len(scores)} images already: if they were added before, they "
        f"count twice now. Leave out --add, or add others."
    )


def _lower_than_unseen(unseen: NDArray[np.float32], scores: NDArray[np.float32]) -> str:
    """What to say where scores lie far below those of images that training did not see; else empty."""
    if not seem_learnt(unseen, scores):
        return ""
    return (
        f"These {len(scores)} images score far below the {len(unseen)} good images that the model was calibrated by: "
        f"they may be among those that it learnt from. The new threshold would then refuse far more good parts than "
        f"stated; give good images that training did not see."
    )


def warn_of_learnt_images(detector: DifferNet, evaluation: Evaluation) -> None:
    """Warn if the good images that were tested with seem to be among those that the model learnt from."""
    good = [entry.verdict.score for entry in evaluation.scored if not entry.image.is_defective]
    unseen = detector.held_out_scores.numpy()
    if seem_learnt(unseen, np.array(good, np.float32)):
        warn(
            f"the {len(good)} good images score far below the {len(unseen)} good ones that set the threshold. "
            f"They may be among those that it learnt from, and then the figures are too good: test with others."
        )


def _more_above_than_stated(old: Calibration, scores: NDArray[np.float32]) -> str:
    """What to say where far more of the images lie above the old threshold than it explains; else empty."""
    refused = int((scores > old.threshold).sum())
    if chance_of_refusals(old, refused, len(scores)) >= _UNLIKELY:
        return ""
    return (
        f"{refused} of these {len(scores)} images score above the threshold that the model had, where "
        f"{old.false_reject_rate:.3g} was stated: they are defective, or not like those that it learnt from. The new "
        "threshold lets pass what is like them; look at them first."
    )
