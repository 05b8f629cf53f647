"""What goes over the wire, as the OpenAPI document describes it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "CalibrateRequest",
    "Explanation",
    "Fault",
    "Inspection",
    "InspectionPage",
    "Inspections",
    "ModelCard",
    "ModelCards",
    "ModelDetails",
    "Recalibrated",
    "Receivers",
    "ReviewRequest",
    "Session",
    "Statistics",
    "Unusable",
]

_VERDICT: dict[str, Any] = {
    "id": "5f0c7d1e9a2b4c6d8e0f1a2b3c4d5e6f",
    "created": "2026-05-01T08:15:30.120000Z",
    "model": "bottle",
    "model_id": "1a2b3c4d5e6f",
    "filename": "part-0815.png",
    "path": "part-0815.png",
    "score": 14.2,
    "threshold": 11.8,
    "margin": 2.4,
    "p_value": 0.01,
    "decision": "reject",
    "width": 900,
    "height": 900,
    "milliseconds": 31.5,
    "views": 1,
    "unlike": None,
    "review": None,
    "reviewed_at": None,
    "note": None,
    "image_url": "/v1/inspections/5f0c7d1e9a2b4c6d8e0f1a2b3c4d5e6f/image",
    "thumbnail_url": "/v1/inspections/5f0c7d1e9a2b4c6d8e0f1a2b3c4d5e6f/thumbnail",
    "heat_map_url": "/v1/inspections/5f0c7d1e9a2b4c6d8e0f1a2b3c4d5e6f/heatmap.png",
    "explanation_url": "/v1/inspections/5f0c7d1e9a2b4c6d8e0f1a2b3c4d5e6f/explanation",
}

Decision = Literal["accept", "review", "reject"]
ReviewWord = Literal["good", "defective", "unsure"]


class Fault(BaseModel):
    """Why a request was not served."""

    detail: str = Field(examples=["There is no model 'botle'; GET /v1/models lists those there are."])


class Inspection(BaseModel):
    """A recorded verdict; scores are raw, higher is more anomalous."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VERDICT]})

    id: str
    created: datetime
    model: str
    model_id: str
    filename: str | None
    path: str
    score: float
    threshold: float | None
    margin: float | None
    p_value: float | None
    decision: Decision | None
    width: int
    height: int
    milliseconds: float
    views: int
    unlike: str | None = Field(description="What the image has unlike the training images, such as another size.")
    review: ReviewWord | None
    reviewed_at: datetime | None
    note: str | None
    image_url: str | None
    thumbnail_url: str
    heat_map_url: str
    explanation_url: str


class Unusable(BaseModel):
    """An image that could not be inspected."""

    filename: str | None
    error: str = Field(examples=["The file is not a PNG, JPEG, BMP, TIFF or WebP image; convert it."])


class Inspections(BaseModel):
    """One entry per image, in the order of the request."""

    inspections: list[Inspection | Unusable]


class InspectionPage(BaseModel):
    """A page of the list."""

    inspections: list[Inspection]
    next: str | None = Field(description="Give it as 'before' for the next page; null on the last.")
    total: int


class CalibrationCard(BaseModel):
    """The threshold of a model and what it promises."""

    threshold: float
    review_threshold: float | None
    false_reject_rate: float
    review_rate: float | None
    images: int
    source: str
    tail: str
    rate_interval: tuple[float, float] | None


class ModelCard(BaseModel):
    """A model on the shelf."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    status: Literal["ready", "error"]
    error: str | None = Field(description="Why the file as it is now cannot be read; the model before it is served.")
    model_id: str | None
    file: str
    loaded_at: datetime | None
    created: datetime | None
    package_version: str | None
    extractor: str | None
    image_size: int | None
    views: int | None
    training_images: int | None
    drift: str | None = Field(description="What recent images have unlike the training images; null if nothing.")
    calibration: CalibrationCard | None
    report_url: str | None


class ModelDetails(ModelCard):
    """A model with the scores that its threshold comes from."""

    held_out_scores: list[float] = Field(description="Of good images, ascending.")
    reviewed_good: int = Field(description="Inspected images that were reviewed good, and are still there.")


class ModelCards(BaseModel):
    """All models."""

    models: list[ModelCard]


class ReviewRequest(BaseModel):
    """What a person says of a part."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"review": "good", "note": "dust, wiped off"}]}
    )

    review: ReviewWord | None = Field(description="null takes back what was said.")
    note: str | None = Field(None, max_length=2000)


class CalibrateRequest(BaseModel):
    """How a new threshold is to be set."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"false_reject_rate": 0.05, "dry_run": True}]}
    )

    false_reject_rate: float = Field(0.05, gt=0.0, lt=1.0, description="Share of good parts that may be refused.")
    review_rate: float | None = Field(
        None, gt=0.0, lt=1.0, description="Share of good parts that may be refused or sent to review."
    )
    dry_run: bool = Field(True, description="Only tell what would change.")
    include_training: bool = Field(False, description="Also take the scores that the model was calibrated by so far.")


class DecisionCounts(BaseModel):
    """How many past inspections got, or would get, a decision."""

    accept: int
    review: int
    reject: int


class DecisionChange(BaseModel):
    """Past decisions as they were and as they would be."""

    before: DecisionCounts
    after: DecisionCounts
    changed: int


class Recalibrated(BaseModel):
    """A new threshold beside the old."""

    model_config = ConfigDict(protected_namespaces=())

    dry_run: bool
    images: int = Field(description="Images reviewed good.")
    old: CalibrationCard | None
    new: CalibrationCard
    decisions: DecisionChange
    warning: str | None
    model_id: str


class Region(BaseModel):
    """A connected region hotter than good images get, in pixels of the image."""

    x: int
    y: int
    width: int
    height: int
    area: int
    peak: float
    mean: float
    peak_x: int | None = Field(None, description="Where it is hottest; null in what an earlier version kept.")
    peak_y: int | None = None


class Explanation(BaseModel):
    """Where an image differs from good ones."""

    regions: list[Region]
    scale: Literal["fixed", "image"] = Field(
        description="fixed: 1 is the hottest that good images get; image: 1 is the hottest of this image."
    )
    hottest: float


class Session(BaseModel):
    """What the caller may do."""

    role: Literal["inspect", "review", "admin"]
    key_required: bool
    version: str


class Receiver(BaseModel):
    """Where verdicts are sent on."""

    name: str = Field(description="Of its queue.")
    model: str | None = Field(description="Whose verdicts it takes; null takes all.")
    receiver: str
    waiting: int = Field(description="Verdicts that it has yet to take.")
    delivered: int = Field(description="Since the service was started.")
    refused: int = Field(description="Verdicts that it did not want, since then.")
    trouble: str | None = Field(description="Why it cannot take any now.")


class Receivers(BaseModel):
    """All of them."""

    receivers: list[Receiver]


class Counts(BaseModel):
    """Inspections by decision; total counts those without a threshold too."""

    accept: int
    review: int
    reject: int
    total: int


class ReviewCounts(BaseModel):
    """Reviews by word."""

    good: int
    defective: int
    unsure: int


class FalseRejects(BaseModel):
    """How often good parts were probably refused in an hour."""

    model_config = ConfigDict(populate_by_name=True)

    from_: datetime = Field(alias="from")
    to: datetime
    inspected: int
    rejected: int
    rejected_reviewed_good: int
    estimate: float | None = Field(description="Share of good parts that were refused; null without a review.")


class ControlPoint(BaseModel):
    """A subgroup of consecutive inspections."""

    time: datetime
    mean: float
    count: int
    out_of_control: bool


class ControlChart(BaseModel):
    """Means of consecutive subgroups of scores against the calibration's."""

    centre: float | None
    upper: float | None
    lower: float | None
    points: list[ControlPoint]


class Escapes(BaseModel):
    """Defective parts among accepted ones, by those drawn at random and looked at."""

    good: int
    defective: int
    estimate: float | None
    interval: list[float] | None = Field(description="95 %, exact.")


class Statistics(BaseModel):
    """How a model does."""

    counts: Counts
    reviewed: ReviewCounts
    false_reject_estimate: list[FalseRejects]
    escape_estimate: Escapes
    control_chart: ControlChart
    drift: str | None
