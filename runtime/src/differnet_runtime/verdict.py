"""What is said of one image: the same fields as `differnet` gives."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeAlias

__all__ = ["Decision", "Failure", "Verdict"]

Decision: TypeAlias = Literal["accept", "review", "reject"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on an image; the same fields in Python, CSV and JSON.

    Attributes:
        source: The path, or ``array[i]`` for the i-th input.
        score: The raw anomaly score, higher is more anomalous; never clipped or rescaled.
        threshold: Scores above it are refused; None if the model was not calibrated, as are the next three.
        margin: ``score - threshold``, in units of the score: positive where the part is refused.
        p_value: Share of good parts, in (0, 1], that score at least as high.
        decision: ``accept``, ``review`` or ``reject``.
        width: Width of the image, in pixels.
        height: Height of the image, in pixels.
        model_id: Tells models apart that could score differently: 12 hexadecimal digits.
        milliseconds: Time from the verdict before it (or from the start) to this one, reading included.
        views: Number of views that were scored.
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


@dataclass(frozen=True)
class Failure:
    """An image that could not be used.

    Attributes:
        source: The path, or the array's place in the input.
        reason: One sentence that says why and what to do.
    """

    source: str
    reason: str

    def __str__(self) -> str:
        """The reason, after the source where it does not name it."""
        return self.reason if self.source in self.reason else f"{self.source}: {self.reason}"

    def to_dict(self) -> dict[str, str]:
        """The fields as JSON values, the source under the name ``path`` as that of a verdict."""
        return {"path": self.source, "reason": self.reason}
