"""Images of all requests go through the networks together: a bounded queue, and as many workers as there are cores."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from differnet.compute.threads import count_workers, use_cores
from differnet.images.failure import Failure
from differnet.inspection.verdict import Verdict
from differnet.server.inspecting.decoding import Decoding, capitalised, content_cost, decode_upload, known_media_type
from differnet.server.inspecting.jobs import Job, Recorded, Upload
from differnet.server.inspecting.model_repository import Served, Shelf
from differnet.server.inspecting.recorder import Recorder
from differnet.server.limits import Limits
from differnet.server.metrics import Metrics
from differnet.server.problems import Problem

__all__ = ["Batcher"]

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

# Prepared images that are worth a go of their own however many more are coming: the flow reads its weights once for
# all of them.
_ENOUGH = 8
# Of the threads that compute; a share of the cores goes to others all the same.
_NICENESS = 4
# How much the last images weigh in the estimate of when there is room again.
_MEMORY = 0.05


class Batcher:
    """Prepares images as they come, side by side, and gives the verdicts on all that are ready in one go.

    What is prepared is judged once it is twice what is being prepared: nothing waits for what may come, and under load
    the goes are large. The worker that finds it so judges: with a thread more than cores, all would be interrupted
    again and again. Other work of the networks, such as heat maps, has a thread of its own and so never waits long.

    Args:
        shelf: The models.
        recorder: Gets the verdicts.
        limits: How much may wait.
        metrics: Counts.
        decoding: Memory for decoded images.
    """

    def __init__(self, shelf: Shelf, recorder: Recorder, limits: Limits, metrics: Metrics, decoding: Decoding) -> None:
        self._shelf, self._recorder, self._limits, self._metrics = shelf, recorder, limits, metrics
        self._decoding = decoding
        self._ready: dict[Served, deque[Job]] = {}
        self._change = threading.Condition()
        self._waiting = 0
        self._coming = 0
        self._image_seconds = 0.05
        self._judged_at = 0.0
        self._cores = torch.get_num_threads()
        workers = count_workers()
        self._worker_cores = max(1, self._cores // workers)
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="inspect", initializer=_give_way)
        self._others = ThreadPoolExecutor(1, thread_name_prefix="explain")

    @property
    def waiting(self) -> int:
        """Images that wait or are being inspected."""
        return self._waiting

    def stop(self) -> None:
        """Finish what is there, and end."""
        self._workers.shutdown()
        self._others.shutdown()

    def check_room(self, images: int = 1) -> None:
        """See whether images can be taken.

        Raises:
            Problem: 503 if the queue is full.
        """
        if self._waiting + images > self._limits.waiting:
            seconds = max(1, math.ceil(self._waiting * self._image_seconds))
            raise Problem(
                503,
                f"The service is busy: {self._waiting} images wait already; try again in {seconds} s.",
                retry_after=seconds,
            )

    def submit(self, model: str, uploads: Sequence[Upload], requests: Sequence[str | None] = ()) -> list[Job]:
        """Take images to inspect, all or none.

        Args:
            model: Name of the model.
            uploads: The files.
            requests: Of each, see `Job`; none for requests that need not be known again.

        Raises:
            Problem: 503 if the queue has no room for them, 413 if it never has.
        """
        if len(uploads) > self._limits.waiting:
            raise Problem(413, f"The service takes at most {self._limits.waiting} images at once; send fewer.")
        with self._change:
            self.check_room(len(uploads))
            self._waiting += len(uploads)
            self._coming += len(uploads)
        known = requests or [None] * len(uploads)
        jobs = [Job(model, upload, request=request) for upload, request in zip(uploads, known, strict=True)]
        for job in jobs:
            job.future.add_done_callback(self._leave)
            self._workers.submit(self._inspect, job)
        return jobs

    def run(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Have other work of the networks done, beside the inspection."""

        def with_cores() -> _Result:
            use_cores(self._worker_cores if self._waiting else self._cores)
            return work()

        return self._others.submit(with_cores)

    def _leave(self, _future: Future[Recorded]) -> None:
        with self._change:
            self._waiting -= 1

    def _inspect(self, job: Job) -> None:
        # A lone image may have all cores; images side by side are quicker with a share each.
        use_cores(self._cores if self._waiting == 1 else self._worker_cores)
        self._prepare(job)
        with self._change:
            self._coming -= 1
            if job.served is not None and job.sample is not None:
                self._ready.setdefault(job.served, deque()).append(job)
        while taken := self._take():
            self._judge(*taken)

    def _prepare(self, job: Job) -> None:
        if job.future.cancelled():
            return
        try:
            job.served = self._shelf.get(job.model)
            content = job.upload.content
            with self._decoding.hold(content_cost(content), self._limits.seconds):
                job.media_type = known_media_type(content)
                job.sha256 = hashlib.sha256(content).hexdigest()
                image = decode_upload(content, self._limits.pixels, job.served.model.pixel_scale)
                job.sample = job.served.model.prepare(image)
        except Problem as problem:
            _fail(job, problem)
        except Exception:
            _log.exception("inspection failed", extra={"model": job.model, "images": 1})
            _fail(job, _inspection_failed())

    def _take(self) -> tuple[Served, list[Job]] | None:
        """What is ready for one model, None if it is not yet time; models take turns."""
        with self._change:
            ready = sum(len(jobs) for jobs in self._ready.values())
            if not ready or ready < min(2 * self._coming, _ENOUGH):
                return None
            served, jobs = next(iter(self._ready.items()))
            batch = [jobs.popleft() for _ in range(min(len(jobs), self._limits.batch))]
            del self._ready[served]
            if jobs:
                self._ready[served] = jobs  # behind the others
            return served, batch

    def _judge(self, served: Served, batch: list[Job]) -> None:
        running = [job for job in batch if job.future.set_running_or_notify_cancel()]
        if not running:
            return
        self._metrics.batch_images.observe(len(running))
        for job, result in zip(running, self._results(served, running), strict=True):
            job.sample = None
            if isinstance(result, Problem):
                job.future.set_exception(result)
            elif isinstance(result, Failure):
                job.future.set_exception(Problem(422, capitalised(result.reason)))
            else:
                self._recorder.put(job, result)
        now = time.perf_counter()
        spent = (now - max(self._judged_at, running[0].submitted)) / len(running)
        self._judged_at = now
        self._image_seconds += _MEMORY * (spent - self._image_seconds)

    def _results(self, served: Served, jobs: list[Job]) -> Sequence[Verdict | Failure | Problem]:
        """The verdicts on all in one go; if that fails, on each by itself, so that one spoils no other."""
        try:
            return served.model.inspect_prepared([job.sample for job in jobs if job.sample is not None])
        except Exception:
            _log.exception("inspection failed", extra={"model": served.name, "images": len(jobs)})
            if len(jobs) == 1:
                return [_inspection_failed()]
            return [result for job in jobs for result in self._results(served, [job])]


def _give_way() -> None:
    """What answers requests goes before what computes: it needs little, and soon."""
    if hasattr(os, "setpriority") and sys.platform == "linux":  # elsewhere it would be for the whole process
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _fail(job: Job, problem: Problem) -> None:
    if job.future.set_running_or_notify_cancel():
        job.future.set_exception(problem)


def _inspection_failed() -> Problem:
    return Problem(500, "The inspection failed; see the log of the service.")
