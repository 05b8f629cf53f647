"""What is said of one image: its raw score, and what the calibration makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from differnet.calibration import Calibration, Decision

__all__ = ["Verdict", "give_verdict"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on an image; the same fields in Python, CSV and JSON.

    Attributes:
        source: The path, or ``array[i]`` for the i-th input.
        score: The raw anomaly score, higher is more anomalous; never clipped or rescaled.
        threshold: Scores above it are refused; None while the model is not calibrated, as are the next three.
        margin: ``score - threshold``, in units of the score: positive where the part is refused.
        p_value: Share of good parts, in (0, 1], that score at least as high; see `Calibration.p_value`.
        decision: ``accept``, ``review`` or ``reject``.
        width: Width of the image, in pixels.
        height: Height of the image, in pixels.
        model_id: Tells models apart that could score differently: 12 hexadecimal digits.
        milliseconds: Time from the verdict before it (or from the start) to this one, reading included.
        views: Number of views that were scored; see `differnet.scoring.sequential`.
        unlike: What the image has unlike the training images, such as another size or bit depth; None if nothing.
    """

    source: str
    score: float
    threshold: float | None
    margin: float | None
    p_value: float | None
    decision: Decision | None
    width: int
    height: int
    model_id: str
    milliseconds: float
    views: int = 1
    unlike: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values, the source under the name ``path``."""
        return {("path" if name == "source" else name): value for name, value in asdict(self).items()}

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """The names of `to_dict`, in order."""
        return tuple("path" if field.name == "source" else field.name for field in fields(cls))


def give_verdict(score: float, calibration: Calibration | None, **about: Any) -> Verdict:  # noqa: ANN401 - the fields
    """Decide on a score.

    Args:
        score: The raw anomaly score.
        calibration: None for a model without a threshold.
        about: The fields that do not depend on the calibration.
    """
    judged: Mapping[str, Any] = {"threshold": None, "margin": None, "p_value": None, "decision": None}
    if calibration is not None:
        judged = {
            "threshold": calibration.threshold,
            "margin": calibration.margin(score),
            "p_value": calibration.p_value(score),
            "decision": calibration.decide(score),
        }
    return Verdict(score=score, **judged, **about)
