"""Training one product of a fleet: the same work in the calling process and in a Ray task."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from differnet.detector import DifferNet
from differnet.errors import DifferNetError, WeightsError
from differnet.extractors import Weights, check_settings
from differnet.fleet.products import Product
from differnet.images import RegionOfInterest, data_fingerprint, read_good_images, read_region, region_fingerprint
from differnet.model_file.manifest import Manifest
from differnet.settings import Settings, preset
from differnet.settings.recipe import Recipe, read_recipe
from differnet.sinks.rows import Columns, columns_of
from differnet.training.progress import Progress
from differnet.training.settled import as_settled

__all__ = ["TRAINING_COLUMNS", "TrainingJob", "TrainingRow", "train_product"]


@dataclass(frozen=True)
class TrainingJob:
    """What is to be trained.

    Attributes:
        product: The product.
        preset: What settings start from where there is no recipe.
        changes: Changes to the settings, the same for all products, recipes included.
        existing: What an earlier model of the product says of itself.
        device: Where to train.
    """

    product: Product
    preset: str = "default"
    changes: Mapping[str, Any] = field(default_factory=dict)
    existing: Manifest | None = None
    device: str = "auto"

    def recipe(self) -> Recipe | None:
        """The recipe, if the product has one."""
        return read_recipe(self.product.source, check_settings) if self.product.has_recipe else None

    def settings(self, recipe: Recipe | None) -> Settings:
        """All settings of the product."""
        start = preset(self.preset) if recipe is None else recipe.settings()
        return start.with_overrides(self.changes)


@dataclass(frozen=True)
class TrainingRow:
    """What became of a product.

    Attributes:
        product: Its name.
        status: ``trained``, ``unchanged`` (there is a model of the same images and settings), or ``failed``.
        reason: Why it failed, or what is remarkable.
        model_id: Of the model.
        images: Number of images that it was trained on.
        skipped_images: Number of images that could not be used.
        epochs: Finished epochs.
        held_out_loss: Held-out loss of the epoch that was kept.
        calibration_images: Number of good images that the threshold comes from.
        false_reject_rate: Share of good parts that may be refused.
        threshold: Scores above it are refused.
        seconds: Time that the product took.
        peak_mb: Most memory that the process which trained it had held up to then, in 10^6 bytes; None on
            Windows.
    """

    product: str
    status: Literal["trained", "unchanged", "failed"]
    reason: str | None = None
    model_id: str | None = None
    images: int | None = None
    skipped_images: int | None = None
    epochs: int | None = None
    held_out_loss: float | None = None
    calibration_images: int | None = None
    false_reject_rate: float | None = None
    threshold: float | None = None
    seconds: float | None = None
    peak_mb: float | None = None


TRAINING_COLUMNS: Columns = columns_of(TrainingRow)
"""The fields of `TrainingRow` as columns of a table."""


def train_product(
    job: TrainingJob, weights: Mapping[str, Weights | str], listener: Progress
) -> tuple[TrainingRow, bytes | None]:
    """Train a product, unless there is a model of the same images, region and settings.

    Args:
        job: What is to be trained.
        weights: Pretrained weights by the name of the extractor, or why they are not found.
        listener: Hears of the progress.

    Returns:
        What became of it, and the content of the model file if one was made. Errors are told in the row.

    Raises:
        KeyboardInterrupt: If the user stopped the training.
    """
    started = time.perf_counter()
    try:
        return _train(job, weights, listener, started)
    except DifferNetError as error:
        reason = str(error)
    except Exception as error:  # one product must not end the others' work
        reason = f"{type(error).__name__}: {error}"
    return TrainingRow(job.product.name, "failed", reason, seconds=_since(started)), None


def _train(
    job: TrainingJob, weights: Mapping[str, Weights | str], listener: Progress, started: float
) -> tuple[TrainingRow, bytes | None]:
    recipe = job.recipe()
    settings = job.settings(recipe)
    source, good = (job.product.source, ()) if recipe is None else (recipe.images, recipe.good)
    images = read_good_images(source, good=good).paths
    region = None if recipe is None or recipe.region is None else read_region(recipe.region, images)
    text = None if recipe is None else recipe.text_with(job.changes)
    made = job.existing
    # The images are read last: it takes longest.
    unchanged = made is not None and _is_unchanged(made, settings, text, region)
    if made is not None and unchanged and made.training.data_sha256 == data_fingerprint(images):
        return _row(job, made, "unchanged", _since(started)), None
    found = weights.get(settings.extractor.name)
    if isinstance(found, str):
        raise WeightsError(found)
    model = DifferNet(
        settings,
        region=region,
        device=job.device,
        weights=found,
        recipe=text,
    )
    model.fit(list(images), listener)
    if model.manifest is None or model.manifest.training.interrupted:
        raise KeyboardInterrupt
    with tempfile.TemporaryDirectory(prefix="differnet-") as folder:
        file = Path(folder) / "model.safetensors"
        model.save(file)
        content = file.read_bytes()
    remark = f"{len(model.failures)} image(s) skipped: {model.failures[0].reason}" if model.failures else None
    if model.calibration is None:
        remark = f"{remark} {model.uncalibrated_reason}" if remark else model.uncalibrated_reason
    return _row(job, model.manifest, "trained", _since(started), reason=remark, skipped=len(model.failures)), content


def _is_unchanged(made: Manifest, settings: Settings, recipe: str | None, region: RegionOfInterest | None) -> bool:
    return (
        made.settings == as_settled(settings, made.settings)
        and made.recipe == recipe
        and made.training.region_sha256 == region_fingerprint(region)
        and not made.training.interrupted
    )


def _row(
    job: TrainingJob,
    made: Manifest,
    status: Literal["trained", "unchanged"],
    seconds: float,
    *,
    reason: str | None = None,
    skipped: int | None = None,
) -> TrainingRow:
    record, calibration = made.training, made.calibration
    return TrainingRow(
        job.product.name,
        status,
        reason,
        made.model_id,
        record.images,
        skipped,
        record.epochs,
        record.held_out_loss,
        None if calibration is None else calibration.images,
        None if calibration is None else calibration.false_reject_rate,
        None if calibration is None else calibration.threshold,
        seconds,
        _peak_megabytes(),
    )


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 3)


def _peak_megabytes() -> float | None:
    try:
        import resource  # noqa: PLC0415 - Windows has none
    except ModuleNotFoundError:
        return None
    # Bytes on macOS, KiB elsewhere.
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)
