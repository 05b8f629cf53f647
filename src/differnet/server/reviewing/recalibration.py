"""A new threshold from images that people reviewed good, tried first, then put into the model file."""

from __future__ import annotations

import copy
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from differnet.calibration import Calibration, images_needed
from differnet.detector import DifferNet
from differnet.errors import DifferNetError, OutputError, SettingsError
from differnet.files import replacing
from differnet.model_file.bundle import read_manifest
from differnet.server.inspecting.model_repository import Served, Shelf
from differnet.server.problems import Problem
from differnet.server.reviewing.reviewed_scores import ReviewedScores
from differnet.server.storage.database import Database, inspections
from differnet.server.storage.files import FileStore
from differnet.server.storage.records import Records
from differnet.server.wire.answers import calibration_card
from differnet.server.wire.schemas import CalibrateRequest

__all__ = ["Recalibration"]

_of = inspections.c
# Reviewed images are called a picked sample when this share of them was flagged, and twice the share of all images.
_PICKED = 0.1
# Each calibration takes one of the threads that answer requests, also while it waits for another.
_MOST_WAITING = 4
# So many images show whether a sample lacks flagged ones by chance.
_ENOUGH = 20


class Recalibration:
    """Sets thresholds from reviewed images.

    Inspection goes on meanwhile. Each image is scored once by a model: its score is kept, so that other rates are
    answered at once, and later only what was reviewed since is scored. Whoever asks is answered in time: if that does
    not suffice for all images, who asks again goes on from there.

    Args:
        database: With past inspections.
        records: The same, for reviewed images.
        files: Where the images are.
        shelf: The models.
        kept: Folder where model files are kept as training left them.
        seconds: For scoring images on one request.
    """

    def __init__(
        self, database: Database, records: Records, files: FileStore, shelf: Shelf, kept: Path, *, seconds: float
    ) -> None:
        self._database, self._records, self._shelf, self._kept = database, records, shelf, kept
        self._seconds = seconds
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(_MOST_WAITING)
        self._scores = ReviewedScores(files)

    def run(self, name: str, wanted: CalibrateRequest) -> dict[str, Any]:
        """Calibrate a model, or tell what that would change.

        Returns:
            As `differnet.server.wire.schemas.Recalibrated`.

        Raises:
            Problem: 404 without such a model, 409 if the images do not suffice, or another model was put in place
                meanwhile, 422 if a rate is not allowed, 503 if too many ask at once, or time does not suffice to score
                all images, 507 if the disk is full.
        """
        until = time.monotonic() + self._seconds
        if not self._room.acquire(blocking=False):
            raise _several()
        try:
            if not self._lock.acquire(timeout=self._seconds):
                raise _several()
            try:
                return self._run(name, wanted, until)
            finally:
                self._lock.release()
        finally:
            self._room.release()

    def _run(self, name: str, wanted: CalibrateRequest, until: float) -> dict[str, Any]:
        served = self._shelf.get(name)
        hashes = self._records.reviewed_good(name)
        try:
            model = self._measured(served, hashes, wanted=wanted, until=until)
            calibration = model.calibrate(false_reject_rate=wanted.false_reject_rate, review_rate=wanted.review_rate)
            answer = {
                "dry_run": wanted.dry_run,
                "images": len(hashes),
                "old": calibration_card(served.model),
                "new": calibration_card(model),
                "decisions": self._decisions(served, calibration),
                "warning": self._warning(served),
                "model_id": served.model_id,
            }
            if not wanted.dry_run:
                self._keep(served)
                self._put_in_place(served, model)
        except SettingsError as error:
            raise Problem(422, str(error)) from None
        except DifferNetError as error:
            if isinstance(error, Problem):
                raise
            raise Problem(409, str(error)) from None
        if not wanted.dry_run:
            self._shelf.refresh()
        return answer

    def _measured(self, served: Served, hashes: list[str], *, wanted: CalibrateRequest, until: float) -> DifferNet:
        """A copy of the model that has the scores of the images at hand."""
        include_training = wanted.include_training
        model = self._with_training(served) if include_training else served.model
        if not hashes:
            raise Problem(409, "No image of this model is reviewed good yet; review some, then calibrate.")
        _check_enough(len(hashes) + (len(model.held_out_scores) if include_training else 0), wanted)
        changed = copy.copy(model)
        # Any rate will do for the scores: half takes a single image.
        changed.calibrate(self._scores.of(served, hashes, until), false_reject_rate=0.5, keep_scores=include_training)
        return changed

    def _with_training(self, served: Served) -> DifferNet:
        """The model with the scores that training left."""
        kept = self._kept / f"{served.model_id}.safetensors"
        if kept.is_file():
            model = self._shelf.read(kept)
            if model.manifest is None or model.manifest.model_id != served.model_id:
                raise Problem(409, "The model file has just changed; try again in a moment.")
            return model
        record = None if served.model.manifest is None else served.model.manifest.calibration
        if record is not None and record.source == "images":
            raise Problem(
                409, "The model no longer holds the scores of its training; calibrate without 'include_training'."
            )
        return served.model

    def _keep(self, served: Served) -> None:
        """Keep the model file as it was before the service changed it for the first time."""
        kept = self._kept / f"{served.model_id}.safetensors"
        record = None if served.model.manifest is None else served.model.manifest.calibration
        if kept.exists() or (record is not None and record.source == "images"):
            return
        try:
            self._kept.mkdir(parents=True, exist_ok=True)
            with replacing(kept) as part:
                shutil.copyfile(served.file, part)
                # Another model may have been put in place since.
                if read_manifest(part) != served.model.manifest:
                    raise Problem(409, "The model file has just changed; try again in a moment.")
        except FileNotFoundError:
            raise Problem(409, "The model file has just been removed; try again in a moment.") from None
        except OSError as error:
            raise Problem(507, f"The old model file cannot be kept ({error.strerror}); nothing was changed.") from None

    def _put_in_place(self, served: Served, model: DifferNet) -> None:
        try:
            self._shelf.put_in_place(served, model.save)
        except (OSError, OutputError) as error:
            reason = getattr(error, "strerror", None) or error
            raise Problem(507, f"The model file cannot be written ({reason}); nothing was changed.") from None

    def _decisions(self, served: Served, calibration: Calibration) -> dict[str, Any]:
        """What was decided of all inspections by this model, and what would be."""
        decided = sa.case(
            (_of.score > calibration.threshold, "reject"),
            (_of.score > min(calibration.cuts), "review"),
            else_="accept",
        )
        query = (
            sa.select(_of.decision.label("before"), decided.label("after"), sa.func.count().label("number"))
            .where(_of.model == served.name, _of.model_id == served.model_id)
            .group_by("before", "after")
        )
        before = dict.fromkeys(("accept", "review", "reject"), 0)
        after, changed = dict(before), 0
        with self._database.reading() as connection:
            for row in connection.execute(query):
                if row.before is not None:
                    before[row.before] += row.number
                after[row.after] += row.number
                changed += row.number if row.before != row.after else 0
        return {"before": before, "after": after, "changed": changed}

    def _warning(self, served: Served) -> str | None:
        flagged = sa.func.sum(sa.case((_of.decision.in_(("review", "reject")), 1), else_=0))
        query = sa.select(sa.func.count(), flagged).where(_of.model == served.name)
        with self._database.reading() as connection:
            unseen, flagged_unseen = connection.execute(query.where(_of.review.is_(None))).one()
            good, flagged_good = connection.execute(query.where(_of.review == "good")).one()
        if not unseen:  # all were reviewed, so that none of them was picked
            return None
        share, usual = (flagged_good or 0) / max(good, 1), (flagged_unseen or 0) / unseen
        if share > _PICKED and share > 2 * usual:
            return (
                f"{share:.0%} of the images reviewed good had been flagged, of those not reviewed only {usual:.0%}: "
                "they are no random sample of good parts, and the new threshold lets more pass than the rate says. "
                "Review accepted images too."
            )
        if good >= _ENOUGH and not flagged_good and flagged_unseen:
            return (
                "None of the images reviewed good had been flagged: they are no random sample of good parts, and the "
                "new threshold refuses more than the rate says. Review the flagged ones too."
            )
        return None


def _several() -> Problem:
    return Problem(503, "Several calibrations are under way already; try again in a moment.", retry_after=10)


def _check_enough(images: int, wanted: CalibrateRequest) -> None:
    rate = wanted.false_reject_rate if wanted.review_rate is None else min(wanted.false_reject_rate, wanted.review_rate)
    needed = images_needed(rate)
    if images < needed:
        raise Problem(
            409,
            f"A rate of {rate:g} takes at least {needed} good images, there are {images}: review {needed - images} "
            "more as good, or allow a higher rate.",
        )
