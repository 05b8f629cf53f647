"""Products from good pictures to a model in service: trainings, versions, comparisons, exports."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from differnet.calibration import images_needed
from differnet.images import IMAGE_SUFFIXES
from differnet.server.collecting.collecting import Collecting
from differnet.server.collecting.sources import Sources
from differnet.server.inspecting.decoding import Decoding
from differnet.server.inspecting.model_repository import Place, Shelf
from differnet.server.limits import Limits
from differnet.server.problems import Problem
from differnet.server.products.catalogue import Catalogue, Row
from differnet.server.products.findings import Findings
from differnet.server.products.pictures import SUFFIXES, PictureStore
from differnet.server.products.queue import JobQueue
from differnet.server.products.releasing import Releasing
from differnet.server.products.runner import Runner
from differnet.server.products.tasks import MODEL
from differnet.server.products.worker import RESULT
from differnet.server.storage.database import Database
from differnet.server.storage.files import FileStore
from differnet.server.storage.records import Records
from differnet.training.splits import MIN_IMAGES

__all__ = ["Workshop", "pictures_needed"]

_MOST_COMPARED = 2000
_VIEWS: Mapping[str, Mapping[str, Any]] = {
    "auto": {"views.kind": "auto"},
    "none": {"views.kind": "none", "views.count": 1, "views.training_count": 1},
    "right-angles": {
        "views.kind": "right-angles",
        "views.count": 4,
        "views.training_count": 4,
        "scoring.aggregation": "features",
    },
}


def pictures_needed(choices: Mapping[str, Any]) -> int:
    """How many good pictures a training by a product's choices takes."""
    return max(images_needed(choices["false_reject_rate"]), MIN_IMAGES)


class Workshop:
    """All parts of the work on products.

    Args:
        data: Data folder; ``products`` is made in it.
        database: With its tables.
        records: Of inspections, for reviewed pictures.
        files: Images of inspections.
        shelf: The models in service.
        limits: Of pictures.
        decoding: Memory for decoded images.
        told: Called with a job after every change of it.
        sources: Cameras and folders that good pictures may be taken from.
        cores: That a job may use.
        device: ``auto``, ``cpu``, ``cuda``, for jobs.
        weights: See `DifferNet`.
        changes: To the settings of all trainings, under dotted names.
    """

    def __init__(
        self,
        data: Path,
        database: Database,
        *,
        records: Records,
        files: FileStore,
        shelf: Shelf,
        limits: Limits,
        decoding: Decoding,
        told: Callable[[Row], None],
        sources: Sources,
        cores: int = 1,
        device: str = "auto",
        weights: str | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        self._records, self._files, self._shelf, self._told = records, files, shelf, told
        self._compute = {"device": device, "weights": weights}
        self._changes = dict(changes or {})
        self.catalogue = Catalogue(database)
        self.pictures = PictureStore(data / "products", self.catalogue, limits, decoding)
        self.collecting = Collecting(sources, self.pictures, self.catalogue, limits)
        self.findings = Findings(self.pictures)
        self.queue = JobQueue(database)
        self.releasing = Releasing(self.catalogue, shelf, self.pictures.folder, self.version_file)
        self.runner = Runner(self.queue, self.job_folder, self._task, self._done, self._changed, cores=cores)

    def start(self) -> None:
        """Go on with what was under way."""
        self.pictures.sweep({row["id"] for row in self.catalogue.all()})
        for version in self.catalogue.removed_versions():  # whose files a killed process left
            shutil.rmtree(self.version_folder(version), ignore_errors=True)
        self.runner.start()
        self.collecting.start()

    def stop(self) -> None:
        """End; what is under way goes on at the next start."""
        self.collecting.stop()
        self.runner.stop()

    def job_folder(self, job: Row) -> Path:
        """Where a job's files lie; those of a training are its version's."""
        folder = self.pictures.folder(job["product"])
        return folder / ("versions" if job["kind"] == "train" else "jobs") / job["id"]

    def version_folder(self, version: Row) -> Path:
        """Where a version's files lie."""
        return self.pictures.folder(version["product"]) / "versions" / version["job"]

    def version_file(self, version: Row) -> Path:
        """A version's model file.

        Raises:
            Problem: 410 if it is gone.
        """
        file = self.version_folder(version) / MODEL
        if not file.is_file():
            raise Problem(410, "The version's model file is no longer there; train again.")
        return file

    def current_file(self, product: Row, version: Row) -> Path:
        """A version's model file: the one in service, which may have been calibrated anew, if that is it."""
        place = self.place(product)
        if place is not None and place.served is not None and place.served.model_id == version["model_id"]:
            return place.file
        return self.version_file(version)

    def place(self, product: Row) -> Place | None:
        """What is in service under a product's name."""
        return self._shelf.places().get(product["name"])

    def remove(self, product: str, key: str | None) -> None:
        """Remove a product with its pictures and versions; a model in service stays there.

        Raises:
            Problem: 404 if there is none, 409 while work on it is not over.
        """
        if self.collecting.is_running(product):
            raise Problem(409, "Pictures of this product are being taken; stop that first.")
        self.catalogue.remove(product, key)
        self.pictures.remove_all(product)

    def train(self, product: str, key: str | None) -> Row:
        """Queue a training by the pictures and choices as they are now.

        Raises:
            Problem: 409 if pictures are missing, or it is under way already.
        """
        row = self.catalogue.get(product)
        choices = row["choices"]
        rate = choices["false_reject_rate"]
        chosen = [picture for picture in self.catalogue.pictures(product) if not picture["left_out"]]
        needed = pictures_needed(choices)
        if len(chosen) < needed:
            raise Problem(
                409,
                f"A false-reject rate of {100 * rate:.3g} % takes at least {needed} good pictures, there are "
                f"{len(chosen)}: add {needed - len(chosen)} more, or allow a higher rate.",
            )
        region = choices["region"]
        if region is not None:
            fits = [picture for picture in chosen if _within(region, picture)]
            if len(fits) < needed:
                raise Problem(409, "The region of interest lies outside most pictures; draw it anew.")
        job = self._add(row, "train", {"choices": choices, "pictures": [each["sha256"] for each in chosen]}, key)
        self.catalogue.note(row, "train", key, {"pictures": len(chosen), **choices})
        return job

    def compare(self, product: str, numbers: tuple[int, int], key: str | None) -> Row:
        """Queue a comparison of two versions on what was reviewed.

        Raises:
            Problem: 404 if there is no such version, 409 if nothing was reviewed.
        """
        row = self.catalogue.get(product)
        for number in numbers:
            self.version_file(self.catalogue.version(product, number))
        if not self._records.reviewed(row["name"], 1):
            raise Problem(
                409,
                "No part of this product was reviewed as good or defective yet: release a version, inspect parts, and "
                "judge some in Review; then versions can be compared on them.",
            )
        return self._add(row, "compare", {"versions": list(numbers)}, key)

    def export(self, product: str, number: int, to: str, *, with_map: bool, key: str | None) -> Row:
        """Queue an export.

        Raises:
            Problem: 404 if there is no such version.
        """
        row = self.catalogue.get(product)
        self.version_file(self.catalogue.version(product, number))
        job = self._add(row, "export", {"version": number, "to": to, "map": with_map}, key)
        self.catalogue.note(row, "export", key, {"version": number, "to": to})
        return job

    def report(self, product: str, number: int, key: str | None) -> Row:
        """Queue a report on a version, by what was reviewed.

        Raises:
            Problem: 404 if there is no such version, 409 if no good or no defective parts were reviewed.
        """
        row = self.catalogue.get(product)
        version = self.catalogue.version(product, number)
        self.version_file(version)
        if {image["review"] for image in self._reviewed(row, [version])[0]} != {"good", "defective"}:
            raise Problem(
                409, "A report compares good parts with defective ones: inspect some, and judge both kinds in Review."
            )
        return self._add(row, "report", {"version": number}, key)

    def remove_version(self, product: str, number: int, key: str | None) -> None:
        """Remove a version that is not in service, with its files.

        Raises:
            Problem: 404 if there is none, 409 if it is in service, or work on it is under way.
        """
        shutil.rmtree(self.version_folder(self.releasing.remove(product, number, key)), ignore_errors=True)

    def cancel(self, job: str, key: str | None) -> None:
        """End a job.

        Raises:
            Problem: 404 if there is none, 409 if it is over.
        """
        row = self.queue.get(job)
        self.runner.cancel(job)
        self.catalogue.note(self.catalogue.get(row["product"]), "cancel", key, {"kind": row["kind"]})

    def result(self, job: Row) -> Any:  # noqa: ANN401 - JSON
        """What a comparison found.

        Raises:
            Problem: 409 if it is not done, 410 if its files are gone.
        """
        if job["state"] != "done":
            raise Problem(409, "The work is not done yet; wait for its end.")
        try:
            return json.loads((self.job_folder(job) / RESULT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise Problem(410, "What this work made is no longer there; do it again.") from None

    def _add(self, product: Row, kind: str, wanted: Mapping[str, Any], key: str | None) -> Row:
        job = self.queue.add(product["id"], kind, wanted, key)
        self.runner.wake()
        return job

    def _task(self, job: Row) -> dict[str, Any]:
        """What a job's process is told."""
        product = self.catalogue.get(job["product"])
        wanted = job["wanted"]
        if job["kind"] == "train":
            return {**self._training(product, wanted), **self._compute}
        if job["kind"] in ("export", "report"):
            version = self.catalogue.version(product["id"], wanted["version"])
            model = str(self.current_file(product, version))
            about = {"name": product["name"], "model": model, **self._compute}
            if job["kind"] == "report":
                return {
                    **about,
                    "version": wanted["version"],
                    "images": [_named(image) for image in self._reviewed(product, [version])[0]],
                }
            return {**about, "to": wanted["to"], "map": wanted["map"]}
        versions = [self.catalogue.version(product["id"], number) for number in wanted["versions"]]
        images, learnt = self._reviewed(product, versions)
        models = [
            {"number": version["number"], "file": str(self.current_file(product, version))} for version in versions
        ]
        return {"models": models, "images": images, "learnt": learnt, **self._compute}

    def _reviewed(self, product: Row, versions: Sequence[Row]) -> tuple[list[dict[str, Any]], int]:
        """Reviewed parts that none of some versions learnt, and how many they did.

        Raises:
            Problem: 409 if there is none of the first.
        """
        learnt = {sha256 for version in versions for sha256 in version["about"]["pictures"]}
        rows = self._records.reviewed(product["name"], _MOST_COMPARED)
        images = [
            {
                "id": row["id"],
                "filename": row["filename"],
                "review": row["review"],
                "path": str(self._files.image(row["sha256"])),
                "media_type": row["media_type"],
            }
            for row in rows
            if row["sha256"] not in learnt
        ]
        if not images:
            raise Problem(409, "All reviewed parts are among the pictures that a version learnt; review others.")
        return images, len(rows) - len(images)

    def _training(self, product: Row, wanted: Mapping[str, Any]) -> dict[str, Any]:
        choices, chosen = wanted["choices"], set(wanted["pictures"])
        pictures = [row for row in self.catalogue.pictures(product["id"]) if row["sha256"] in chosen]
        changes = {
            **_VIEWS[choices["views"]],
            "calibration.false_reject_rate": choices["false_reject_rate"],
            **self._changes,
        }
        return {
            "pictures": [[str(self.pictures.file(row)), row["filename"]] for row in pictures],
            "choices": choices,
            "preset": choices["preset"],
            "region": choices["region"],
            "changes": changes,
        }

    def _done(self, job: Row, result: Any) -> None:  # noqa: ANN401 - JSON
        if job["kind"] == "train":
            self.queue.end_with_version(job, result)
        else:
            self.queue.end(job["id"], "done", result=None if job["kind"] == "compare" else result)
            self._forget_old(job["product"])

    def _forget_old(self, product: str) -> None:
        """Remove files of comparisons and exports that are no longer listed."""
        listed = {job["id"] for job in self.queue.of(product)}
        folder = self.pictures.folder(product) / "jobs"
        for each in list(folder.iterdir()) if folder.is_dir() else ():
            if each.name not in listed:
                shutil.rmtree(each, ignore_errors=True)

    def _changed(self, identity: str) -> None:
        self._told(self.queue.get(identity))


def _within(region: list[int], picture: Row) -> bool:
    x, y, width, height = region
    return bool(x + width <= picture["width"] and y + height <= picture["height"])


def _named(image: Mapping[str, Any]) -> dict[str, Any]:
    """With a name for its file, which those of images are told by."""
    name = PurePath(image["filename"] or image["id"]).name
    if PurePath(name).suffix.lower() not in IMAGE_SUFFIXES:
        name += SUFFIXES[image["media_type"]]
    return {**image, "name": name}
