"""Images of all requests go through the networks together: a bounded queue, and a thread that takes all that waits."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from differnet.errors import ImageError
from differnet.features import Failure
from differnet.images import load_image
from differnet.server.jobs import Job, Recorded, Upload, media_type
from differnet.server.limits import Limits
from differnet.server.metrics import Metrics
from differnet.server.problems import Problem
from differnet.server.recorder import Recorder
from differnet.server.shelf import Shelf

__all__ = ["Batcher"]

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

# Clients that each wait for an answer would otherwise all be in the network together, and then all be answered and
# decoded while the network waits: with two halves, one does the one while the other does the other. Below this number
# the network takes longer for each image.
_FEWEST = 4
# How much the last images weigh in the estimate of when there is room again.
_MEMORY = 0.05


class Batcher:
    """Decodes images as they come, and inspects all that are ready in one go.

    While the network works on some images, those that come are decoded; the next go takes them all. Other work of the
    networks, such as heat maps, is put in between.

    Args:
        shelf: The models.
        recorder: Gets the verdicts.
        limits: How much may wait.
        metrics: Counts.
        decoders: Threads that decode.
    """

    def __init__(
        self, shelf: Shelf, recorder: Recorder, limits: Limits, metrics: Metrics, *, decoders: int = 2
    ) -> None:
        self._shelf, self._recorder, self._limits, self._metrics = shelf, recorder, limits, metrics
        self._ready: dict[str, deque[Job]] = {}
        self._tasks: deque[Callable[[], None]] = deque()
        self._change = threading.Condition()
        self._waiting = 0
        self._decoded_bytes = 0
        self._image_seconds = 0.05
        self._stopped = False
        self._decoders = ThreadPoolExecutor(decoders, thread_name_prefix="decode")
        self._thread = threading.Thread(target=self._run, name="inspect", daemon=True)

    @property
    def waiting(self) -> int:
        """Images that wait or are being inspected."""
        return self._waiting

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is there, and end."""
        self._decoders.shutdown()
        with self._change:
            self._stopped = True
            self._change.notify_all()
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the thread that inspects is there."""
        return self._thread.is_alive()

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

    def submit(self, model: str, uploads: Sequence[Upload]) -> list[Job]:
        """Take images to inspect, all or none.

        Args:
            model: Name of the model.
            uploads: The files.

        Raises:
            Problem: 503 if the queue has no room for them, 413 if it never has.
        """
        if len(uploads) > self._limits.waiting:
            raise Problem(413, f"The service takes at most {self._limits.waiting} images at once; send fewer.")
        with self._change:
            self.check_room(len(uploads))
            self._waiting += len(uploads)
        jobs = [Job(model, upload) for upload in uploads]
        for job in jobs:
            job.future.add_done_callback(self._leave)
            self._decoders.submit(self._decode, job)
        return jobs

    def run(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Have other work of the networks done, between two goes of inspection."""
        future: Future[_Result] = Future()

        def task() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work())
            except BaseException as error:  # whoever waits for it gets it
                future.set_exception(error)

        with self._change:
            self._tasks.append(task)
            self._change.notify_all()
        return future

    def _leave(self, _future: Future[Recorded]) -> None:
        with self._change:
            self._waiting -= 1

    def _decode(self, job: Job) -> None:
        if job.future.cancelled():
            return
        content = job.upload.content
        try:
            if media_type(content) is None:
                raise Problem(415, "The file is not a PNG, JPEG, BMP, TIFF or WebP image; convert it.")
            job.sha256 = hashlib.sha256(content).hexdigest()
            with self._change:
                # Decoded images are large: no more of them than the limit, but always one.
                self._change.wait_for(lambda: self._decoded_bytes < self._limits.decoded_bytes)
            pixels = load_image(content, max_pixels=self._limits.pixels)
        except Problem as problem:
            _fail(job, problem)
        except ImageError as error:
            _fail(job, Problem(422, _capitalised(str(error))))
        except MemoryError:
            _fail(job, Problem(422, "The image takes more memory than there is; reduce it."))
        except Exception:  # a decoder's own error, on a file made for that
            _log.exception("an image made its decoder fail")
            _fail(job, Problem(422, "The image is damaged in a way that its decoder cannot handle; replace the file."))
        else:
            job.pixels = pixels
            with self._change:
                self._decoded_bytes += pixels.nbytes
                self._ready.setdefault(job.model, deque()).append(job)
                self._change.notify_all()

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._ready or self._tasks or self._stopped)
                model, batch = self._take()
                task = self._tasks.popleft() if self._tasks else None
                if not batch and task is None and self._stopped:
                    return
            if batch:
                self._inspect(model, batch)
                with self._change:
                    self._decoded_bytes -= sum(job.pixels.nbytes for job in batch if job.pixels is not None)
                    self._change.notify_all()
                for job in batch:
                    job.pixels = None
            if task is not None:
                task()

    def _take(self) -> tuple[str, list[Job]]:
        """What is ready for one model, all of it or half of what is in flight; models take turns."""
        if not self._ready:
            return "", []
        model, jobs = next(iter(self._ready.items()))
        most = min(self._limits.batch, max(_FEWEST, self._waiting // 2))
        batch = [jobs.popleft() for _ in range(min(len(jobs), most))]
        del self._ready[model]
        if jobs:
            self._ready[model] = jobs  # behind the others
        return model, batch

    def _inspect(self, model: str, batch: list[Job]) -> None:
        running = [job for job in batch if job.future.set_running_or_notify_cancel()]
        started = time.perf_counter()
        try:
            served = self._shelf.get(model)
        except Problem as problem:
            for job in running:
                job.future.set_exception(problem)
            return
        self._metrics.batch_images.observe(len(running))
        done = 0
        try:
            sources = [job.pixels for job in running if job.pixels is not None]
            for job, result in zip(running, served.model.inspect_stream(sources), strict=True):
                if isinstance(result, Failure):
                    job.future.set_exception(Problem(422, _capitalised(result.reason)))
                else:
                    self._recorder.put(job, result)
                done += 1
        except Exception:
            _log.exception("inspection failed", extra={"model": model, "images": len(running) - done})
            for job in running[done:]:
                job.future.set_exception(Problem(500, "The inspection failed; see the log of the service."))
        if running:
            spent = (time.perf_counter() - started) / len(running)
            self._image_seconds += _MEMORY * (spent - self._image_seconds)


def _fail(job: Job, problem: Problem) -> None:
    if job.future.set_running_or_notify_cancel():
        job.future.set_exception(problem)


def _capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
