"""Writes verdicts down, many in one transaction; only then are they told to anyone."""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections.abc import Callable, Sequence

from differnet.inspection.verdict import Verdict
from differnet.server.inspecting.jobs import Job, Recorded
from differnet.server.problems import Problem
from differnet.server.storage.database import VERDICT_COLUMNS, now
from differnet.server.storage.files import FileStore
from differnet.server.storage.records import Entry, Records

__all__ = ["Recorder", "other_images"]

_log = logging.getLogger(__name__)

_MOST_AT_ONCE = 256


class Recorder:
    """Takes verdicts, keeps image and row, and then completes the job.

    While a transaction is on its way, the verdicts that come are collected for the next.

    Args:
        records: Where rows go.
        files: Where originals go.
        recorded: Called with what was recorded, from the recorder's thread.
    """

    def __init__(
        self, records: Records, files: FileStore, recorded: Callable[[Sequence[Recorded]], None] = lambda rows: None
    ) -> None:
        self._records, self._files, self._recorded = records, files, recorded
        self._queue: queue.SimpleQueue[tuple[Job, Verdict] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Record what has come so far, and end."""
        self._queue.put(None)
        self._thread.join()

    def put(self, job: Job, verdict: Verdict) -> None:
        """Record a verdict; the job's future is completed when that is done."""
        self._queue.put((job, verdict))

    def _run(self) -> None:
        ended = False
        while not ended:
            taken = [self._queue.get()]
            while len(taken) < _MOST_AT_ONCE and not self._queue.empty():
                taken.append(self._queue.get())
            ended = taken[-1] is None
            jobs = [item for item in taken if item is not None]
            if jobs:
                self._record_safely(jobs)

    def _record_safely(self, jobs: list[tuple[Job, Verdict]]) -> None:
        try:
            self._record(jobs)
        except Exception:  # whatever it is, the next verdicts must be recorded
            _log.exception("inspections could not be recorded")
            for job, _ in jobs:
                if not job.future.done():
                    job.future.set_exception(
                        Problem(500, "The inspection could not be recorded; see the log of the service.")
                    )

    def _record(self, jobs: list[tuple[Job, Verdict]]) -> None:
        with self._files.pinned([job.sha256 for job, _ in jobs]):
            failed = self._files.store({job.sha256: job.upload.content for job, _ in jobs})
            entries = [(job, _entry(job, verdict)) for job, verdict in jobs if job.sha256 not in failed]
            rows = self._add([entry for _, entry in entries])
        for job, _ in jobs:
            if job.sha256 in failed:
                job.future.set_exception(_not_kept(failed[job.sha256]))
        new: list[Recorded] = []
        for (job, entry), row in zip(entries, rows, strict=True):
            if isinstance(row, Problem):
                job.future.set_exception(row)
                continue
            if row["sha256"] != job.sha256:  # two requests with one key came side by side
                job.future.set_exception(other_images())
                continue
            job.future.set_result(row)
            if row["id"] == entry.row["id"]:
                new.append(row)
        if new:
            self._recorded(new)

    def _add(self, entries: list[Entry]) -> Sequence[Recorded | Problem]:
        """Record all in one transaction; if that fails, each in its own, so that one spoils no other."""
        if not entries:
            return []
        try:
            return self._records.add(entries)
        except Problem as problem:
            if problem.status == 503:  # the database cannot be reached, for none of them
                return [problem] * len(entries)
            error: Exception = problem
        except Exception as failure:
            error = failure
        if len(entries) > 1:
            return [row for entry in entries for row in self._add([entry])]
        if isinstance(error, Problem):
            return [error]
        _log.error("an inspection could not be recorded", exc_info=error)
        return [Problem(500, "The inspection could not be recorded; see the log of the service.")]


def other_images() -> Problem:
    """What is said of an Idempotency-Key that other images have."""
    return Problem(422, "This Idempotency-Key came with other images before; give each request its own.")


def _not_kept(error: OSError) -> Problem:
    _log.error("an image could not be written", extra={"reason": str(error)})
    return Problem(507, "The image cannot be kept, the disk may be full; free space or set --keep-gigabytes lower.")


def _entry(job: Job, verdict: Verdict) -> Entry:
    time = now()
    row = {
        "id": uuid.uuid4().hex,
        "created": time,
        "hour": int(time.timestamp()) // 3600,
        "model": job.model,
        "filename": job.upload.filename,
        "sha256": job.sha256,
        "request": job.request,
        **{name: getattr(verdict, name) for name in VERDICT_COLUMNS},
    }
    return Entry(row, len(job.upload.content), job.media_type)
