"""Products over the wire, as the OpenAPI document describes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from differnet.server.wire.collection_schemas import CollectionStatus
from differnet.server.wire.schemas import CalibrationCard, ReviewWord

__all__ = [
    "AddedPictures",
    "ChoicesRequest",
    "CompareRequest",
    "Comparison",
    "ExportRequest",
    "History",
    "Job",
    "Jobs",
    "LeaveOutRequest",
    "NewProduct",
    "Pictures",
    "Product",
    "ProductDetails",
    "Products",
    "ReleaseRequest",
    "ReportRequest",
    "TrainRequest",
]

_STRICT = ConfigDict(extra="forbid")


class NewProduct(BaseModel):
    """A product to be made."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "bottle"}]})

    name: str = Field(min_length=1, max_length=200, description="Also of its released model.")


class ChoicesRequest(BaseModel):
    """What a product's trainings go by."""

    model_config = _STRICT

    region: tuple[int, int, int, int] | None = Field(
        None, description="What counts of the pictures, x, y, width, height in pixels; null for all of them."
    )
    false_reject_rate: float = Field(0.05, ge=0.001, le=0.5, description="Share of good parts that may be refused.")
    preset: Literal["fast", "default"] = Field("default", description="fast: quick; default: thorough.")
    views: Literal["auto", "none", "right-angles"] = Field(
        "auto", description="Parts aligned (none) or at any angle (right-angles); auto finds out from the pictures."
    )


class LeaveOutRequest(BaseModel):
    """Pictures to leave out of trainings, or to take in again."""

    model_config = _STRICT

    pictures: list[str] = Field(min_length=1, max_length=900, description="Their SHA-256.")
    left_out: bool = True


class TrainRequest(BaseModel):
    """Nothing: a training goes by the product's pictures and choices."""

    model_config = _STRICT


class ReleaseRequest(BaseModel):
    """A release, or taking one back."""

    model_config = _STRICT

    seen: str | None = Field(
        None,
        description="'token' of what was in service when this was decided; null for nothing. 409 if it is another.",
    )


class ReportRequest(BaseModel):
    """Nothing: a report is made of the parts that were reviewed."""

    model_config = _STRICT


class CompareRequest(BaseModel):
    """Two versions to compare on the parts that were reviewed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"versions": [1, 2]}]})

    versions: tuple[int, int]


class ExportRequest(BaseModel):
    """A version as a file for other runtimes."""

    model_config = _STRICT

    to: Literal["onnx", "openvino"] = "onnx"
    map: bool = Field(False, description="The file gives heat maps too.")


class Progress(BaseModel):
    """How far a job is."""

    stage: str
    done: int
    total: int
    share: float
    seconds_left: int | None


class Job(BaseModel):
    """Work that takes long."""

    id: str
    product: str
    kind: Literal["train", "compare", "export", "report"]
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    created: datetime
    started: datetime | None
    ended: datetime | None
    wanted: dict[str, Any] = Field(description="What it was asked for; of trainings the number of pictures.")
    progress: Progress | None
    result: dict[str, Any] | None = Field(description="Of a training the version, of an export or a report the file.")
    error: str | None


class Jobs(BaseModel):
    """Jobs that are not over, in the order in which they are done."""

    jobs: list[Job]


class InService(BaseModel):
    """The model that is served under a product's name."""

    model_config = ConfigDict(protected_namespaces=())

    token: str = Field(description="For 'seen' of a release.")
    model_id: str
    version: int | None = Field(description="null for a model that is none of the product's versions.")
    recalibrated: bool
    threshold: float | None


class Product(BaseModel):
    """A product."""

    id: str
    name: str
    created: datetime
    pictures: int
    versions: int
    in_service: InService | None
    active: Job | None = Field(description="The job that is under way, or waits.")


class Products(BaseModel):
    """All products, by name."""

    products: list[Product]


class Suspect(BaseModel):
    """A good picture that scored high by models that did not see it."""

    sha256: str
    filename: str | None
    score: float
    deviations: float
    far_off: bool
    left_out: bool
    uncounted: bool = False


class VersionCard(BaseModel):
    """What a training gave."""

    model_config = ConfigDict(protected_namespaces=())

    number: int
    created: datetime
    model_id: str
    choices: ChoicesRequest
    pictures: int
    images: int = Field(description="That were learnt from; those that could not be read are under 'failures'.")
    seconds: float
    image_size: int
    turned: bool = Field(description="Whether parts are looked at turned by right angles.")
    calibration: CalibrationCard | None
    held_out_scores: list[float]
    remarks: list[str]
    suspects: list[Suspect]
    failures: list[dict[str, str | None]]


class ProductDetails(Product):
    """A product with its choices, versions and jobs."""

    choices: ChoicesRequest
    versions_list: list[VersionCard] = Field(description="The newest first.")
    jobs: list[Job] = Field(description="The last ones, the newest first.")
    can_roll_back: bool
    pictures_needed: int = Field(description="That a training takes, given the false-reject rate.")
    collection: CollectionStatus | None = Field(description="Pictures that are taken from a camera or a folder.")
    reviewed: int = Field(description="Reviewed parts that versions can be compared on, 2000 at most.")
    reviewed_good: int = Field(description="Parts of it that were reviewed good.")
    reviewed_defective: int


class Picture(BaseModel):
    """A good picture."""

    sha256: str
    filename: str | None
    width: int
    height: int
    bytes: int
    created: datetime
    left_out: bool
    copies: int | None = Field(description="Number of the group of near-copies that it is in.")
    unusual_size: bool
    deviations: float | None = Field(description="Far off in the last training by so many deviations; null if not.")
    thumbnail_url: str
    image_url: str


class Pictures(BaseModel):
    """All pictures of a product, in the order in which they came."""

    pictures: list[Picture]


class AddedPicture(BaseModel):
    """What became of an upload."""

    filename: str | None
    sha256: str | None
    known: bool = Field(description="Whether the product had it already.")
    error: str | None


class AddedPictures(BaseModel):
    """One entry per file, in the order of the request."""

    pictures: list[AddedPicture]


class ComparedVersion(BaseModel):
    """How a version does on the reviewed parts."""

    number: int
    calibration: CalibrationCard | None
    held_out_scores: list[float]
    good: int
    defective: int
    false_rejects: int
    escapes: int
    to_review: int


class ComparedImage(BaseModel):
    """A reviewed part, as both versions see it."""

    id: str
    filename: str | None
    review: ReviewWord
    decisions: list[str | None]
    scores: list[float]


class Comparison(BaseModel):
    """Two versions on the same parts."""

    versions: list[ComparedVersion]
    images: list[ComparedImage]
    differ: list[str] = Field(description="Ids of those on which they decide otherwise.")
    mapped: list[str] = Field(description="Those of them that have heat maps here.")
    unusable: int
    learnt: int = Field(description="Reviewed parts that were left out, since a version learnt them.")


class HistoryEntry(BaseModel):
    """Who did what."""

    created: datetime
    key: str | None = Field(description="Id of the key; null where none was needed.")
    key_name: str | None
    action: str
    about: dict[str, Any]


class History(BaseModel):
    """Who did what with a product, the newest first."""

    history: list[HistoryEntry]
