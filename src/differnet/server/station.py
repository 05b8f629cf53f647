"""The parts of the service and how they hang together, from files and database to the networks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from differnet.model_file.signing import TrustedKeys
from differnet.server.collecting.sources import Sources
from differnet.server.events import Events
from differnet.server.incoming.access import Access
from differnet.server.incoming.site import Site
from differnet.server.incoming.uploads import Receiver
from differnet.server.inspecting.batching import Batcher
from differnet.server.inspecting.decoding import Decoding
from differnet.server.inspecting.jobs import Recorded
from differnet.server.inspecting.model_repository import Shelf
from differnet.server.inspecting.recorder import Recorder
from differnet.server.limits import Limits
from differnet.server.metrics import Metrics
from differnet.server.products.workshop import Workshop
from differnet.server.reviewing.explaining import Explainer
from differnet.server.reviewing.recalibration import Recalibration
from differnet.server.reviewing.statistics import Statistics
from differnet.server.sending.courier import Courier
from differnet.server.storage.database import Database
from differnet.server.storage.files import FileStore
from differnet.server.storage.keyring import KeyRing
from differnet.server.storage.outboxes import Outbox
from differnet.server.storage.records import Records
from differnet.server.storage.retention import Retention
from differnet.server.wire.answers import inspection_json
from differnet.sinks import DeliveringSink

__all__ = ["Station"]

# Between two looks at whether the disk takes what is written.
_DISK_SECONDS = 5.0


class Station:
    """All parts of one service.

    Args:
        models: Folder of model files.
        data: Folder where images are kept.
        database: Where inspections are recorded; closed with the station.
        limits: What is taken on at most.
        keys_required: Whether a key is needed even while there is none.
        device: ``auto``, ``cpu``, ``cuda``.
        weights: See `DifferNet`.
        poll_seconds: Between two looks at the model folder.
        keep_days: Images are removed after so many; None keeps them.
        keep_bytes: Of images and heat maps together; None for no bound.
        public_names: See `Site`.
        trusted: See `Shelf`.
        training_cores: That a training may use.
        training_changes: To the settings of all trainings, under dotted names.
        sources: Cameras and folders that good pictures may be taken from; None for none.
        receivers: Where verdicts are sent on: by the name of the queue, the model whose verdicts they are (None for
            all) and the sink, which is closed by whoever opened it.

    Raises:
        DifferNetError: If a folder is missing or cannot be written.
    """

    def __init__(
        self,
        models: Path,
        data: Path,
        database: Database,
        *,
        limits: Limits | None = None,
        keys_required: bool = False,
        device: str = "auto",
        weights: str | None = None,
        poll_seconds: float = 1.0,
        keep_days: float | None = None,
        keep_bytes: int | None = None,
        public_names: Sequence[str] = (),
        trusted: TrustedKeys | None = None,
        training_cores: int = 1,
        training_changes: Mapping[str, Any] | None = None,
        sources: Sources | None = None,
        receivers: Mapping[str, tuple[str | None, DeliveringSink]] | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.database = database
        self.metrics = Metrics()
        self.events = Events()
        self.files = FileStore(data)
        self.records = Records(database)
        self.keyring = KeyRing(database)
        self.access = Access(self.keyring, required=keys_required)
        self.site = Site(public_names)
        self.receiver = Receiver(self.limits)
        self.shelf = Shelf(
            models,
            device=device,
            weights=weights,
            trusted=trusted,
            interval=poll_seconds,
            changed=self._shelf_changed,
        )
        self.recorder = Recorder(self.records, self.files, self._recorded)
        self.decoding = Decoding(self.limits.decoded_bytes)
        self.batcher = Batcher(self.shelf, self.recorder, self.limits, self.metrics, self.decoding)
        self.explainer = Explainer(
            database,
            self.files,
            self.shelf,
            self.batcher,
            self.metrics,
            decoding=self.decoding,
            seconds=self.limits.seconds,
        )
        self.statistics = Statistics(database)
        self.recalibration = Recalibration(
            database, self.records, self.files, self.shelf, data / "trained", seconds=self.limits.seconds
        )
        self.retention = Retention(database, self.files, self.metrics, days=keep_days, most_bytes=keep_bytes)
        self.workshop = Workshop(
            data,
            database,
            records=self.records,
            files=self.files,
            shelf=self.shelf,
            limits=self.limits,
            decoding=self.decoding,
            told=self._job_changed,
            cores=training_cores,
            device=device,
            weights=weights,
            changes=training_changes,
            sources=sources or Sources(),
        )
        self.couriers = [
            Courier(name, model, sink, Outbox(database, name, model))
            for name, (model, sink) in (receivers or {}).items()
        ]
        self._disk_tried = -float("inf")
        self._disk_said: str | None = None
        self.metrics.watch("waiting_images", "Images that wait or are being inspected.", lambda: self.batcher.waiting)
        self.metrics.watch("models", "Models that are served.", self._served)
        if self.couriers:
            self.metrics.watch(
                "undelivered_verdicts",
                "Verdicts that receivers have yet to take.",
                lambda: sum(courier.waiting for courier in self.couriers),
            )

    def start(self) -> None:
        """Start all threads."""
        self.keyring.valid()
        for courier in self.couriers:
            courier.start()
        self.recorder.start()
        self.shelf.start()
        self.retention.start()
        self.workshop.start()

    def stop(self) -> None:
        """Finish what is in flight, and end all threads."""
        self.workshop.stop()
        self.retention.stop()
        self.shelf.stop()
        self.batcher.stop()
        self.recorder.stop()
        for courier in self.couriers:
            courier.stop()
        self.database.close()

    def not_ready(self) -> str | None:
        """Why the service cannot inspect yet, or any more; None if it can."""
        if not self.shelf.scanned.is_set():
            return "The models are still being loaded."
        if not self._served():
            return f"There is no model to serve in {self.shelf.folder}."
        with self.database.reading() as connection:
            connection.exec_driver_sql("SELECT 1")
        return self._disk_trouble()

    def _disk_trouble(self) -> str | None:
        now = time.monotonic()
        if now - self._disk_tried > _DISK_SECONDS:
            self._disk_tried = now
            try:
                self.files.check_room()
                self._disk_said = None
            except OSError as error:
                self._disk_said = (
                    f"Images cannot be kept ({error.strerror or error}); free space, or set --keep-gigabytes lower."
                )
        return self._disk_said

    def _served(self) -> int:
        return sum(place.served is not None for place in self.shelf.places().values())

    def _recorded(self, rows: Sequence[Recorded]) -> None:
        for row in rows:
            self.metrics.inspections.labels(row["model"], row["decision"] or "none").inc()
            self.events.tell("inspection", inspection_json(row))
        for courier in self.couriers:
            courier.wake()

    def _job_changed(self, job: Mapping[str, Any]) -> None:
        self.events.tell("job", {name: job[name] for name in ("id", "product", "kind", "state")})

    def _shelf_changed(self) -> None:
        self.events.tell("models", {})
