"""What a model file says of its model."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from differnet.calibration import CalibrationRecord
from differnet.frozen_record import FrozenRecord
from differnet.images import TrainingImages
from differnet.settings import Settings
from differnet.settings.earlier import completed

__all__ = ["FORMAT_VERSION", "Manifest", "Suspect", "TrainingRecord"]

# 3: pooled stages are a list, the local score joins the flow's.
FORMAT_VERSION = 3


class Suspect(FrozenRecord):
    """A good image that scored high by a model that did not see it.

    Attributes:
        name: Its path, or place in the input.
        score: By that model.
        deviations: How far it lies above the median of all good images, see `differnet.calibration.deviations_above`.
        far_off: Whether that is so far that it should be looked at.
        left_out: Whether it was left out of training for that.
        uncounted: Whether it was learnt from for all that, but set neither the threshold nor the scale of the maps.
    """

    name: str
    score: float
    deviations: float
    far_off: bool = False
    left_out: bool = False
    uncounted: bool = False


class TrainingRecord(FrozenRecord):
    """How a model came about.

    Attributes:
        origin: ``trained`` here, or ``official`` for imported weights of the authors' code.
        images: Number of images that the flow was trained on.
        held_out_images: Number of good images held out.
        members: Number of flows in the ensemble.
        groups: Number of groups of images that belong together, of the images that were scored to calibrate; None where
            each stands alone.
        remarks: What should be known of the images, a sentence or two each: near-copies among them, for example.
        suspects: The most suspicious of these images first, see `differnet.training.suspects`.
        data_sha256: Fingerprint of all these images, empty for imported weights.
        region_sha256: Fingerprint of the region of interest, empty for whole images.
        epochs: Finished epochs.
        kept_epoch: The epoch whose weights are kept.
        loss: Training loss of the kept epoch.
        held_out_loss: Held-out loss of the kept epoch.
        interrupted: Whether the user stopped the training.
        seconds: Duration.
        device: Where it was trained.
        precision: What the extractor computed in, and computes in wherever the model is loaded.
        seen: What the training images were like, and the scale of their pixels, on which all others are read; None in
            files of earlier versions, which read the high byte of 16 bits.
    """

    origin: Literal["trained", "official"]
    images: int = Field(0, ge=0)
    held_out_images: int = Field(0, ge=0)
    members: int = Field(1, ge=1, le=50)
    groups: int | None = Field(None, ge=1)
    remarks: tuple[str, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    data_sha256: str = ""
    region_sha256: str = ""
    epochs: int = Field(0, ge=0)
    kept_epoch: int = Field(0, ge=0)
    loss: float | None = None
    held_out_loss: float | None = None
    interrupted: bool = False
    seconds: float = Field(0.0, ge=0.0)
    device: str = "cpu"
    precision: Literal["float32", "bfloat16"] = "float32"
    seen: TrainingImages | None = None


def _completed(settings: object) -> object:
    return completed(settings) if isinstance(settings, dict) else settings


class Manifest(FrozenRecord):
    """Everything about a model except its tensors.

    Attributes:
        format_version: Of the model file.
        package_version: Of the differnet that wrote it.
        created: Time of writing, UTC.
        settings: All settings of the detector.
        features: Number of features, d.
        extractor_sha256: Fingerprint of the extractor's weights, which are not copied into the file.
        model_id: Fingerprint of all that a raw score depends on, 12 hexadecimal digits.
        training: How the model came about.
        calibration: The threshold, None for a model without one.
        recipe: Text of the recipe that the model was made by, None if it was made without.
    """

    format_version: int = Field(FORMAT_VERSION, ge=1)
    package_version: str
    created: datetime
    settings: Annotated[Settings, BeforeValidator(_completed)]
    features: int = Field(ge=2)
    extractor_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    model_id: str = Field(pattern=r"^[0-9a-f]{12}$")
    training: TrainingRecord
    calibration: CalibrationRecord | None = None
    recipe: str | None = None
