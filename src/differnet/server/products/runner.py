"""Does jobs one after the other, each in a process of its own with few cores and low priority."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from differnet.server.problems import Problem
from differnet.server.products.catalogue import Row
from differnet.server.products.queue import JobQueue
from differnet.server.products.worker import RESULT

__all__ = ["Runner"]

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_END_SECONDS = 10.0
_STDERR_LINES = 20
# A share of the work, and seconds, after which there is something to say of the time that is left.
_SURE_SHARE, _SURE_SECONDS = 0.06, 3.0


class Runner:
    """Takes jobs from the queue.

    Its process ends with the service, however that ends: then the job is queued again at the next start, and a
    training goes on where it was.

    Args:
        queue: The jobs.
        folder: Where a job's files lie.
        task: What a job's process is to be told.
        done: Called with a job and its result; writes down its end.
        told: Called after every change.
        cores: That a process may use.
    """

    def __init__(
        self,
        queue: JobQueue,
        folder: Callable[[Row], Path],
        task: Callable[[Row], Mapping[str, Any]],
        done: Callable[[Row, Any], None],
        told: Callable[[str], None],
        *,
        cores: int,
    ) -> None:
        self._queue, self._folder, self._task, self._done, self._told = queue, folder, task, done, told
        self._cores = cores
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._job: str | None = None
        self._unwanted: str | None = None
        self._progress: dict[str, Any] = {}
        self._begun = 0.0
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin, with what was under way when the service ended."""
        for job in self._queue.recover():
            shutil.rmtree(self._folder(job), ignore_errors=True)
        self._thread.start()

    def stop(self) -> None:
        """End; what is running is done at the next start."""
        self._stop.set()
        self._wake.set()
        self._end_process()
        if self._thread.ident is not None:
            self._thread.join(2 * _END_SECONDS)

    def wake(self) -> None:
        """There is a new job."""
        self._wake.set()

    def cancel(self, identity: str) -> None:
        """End a job.

        Raises:
            Problem: 404 if there is none, 409 if it is over.
        """
        if self._queue.cancel(identity):
            self._told(identity)
            return
        with self._lock:
            self._unwanted = identity  # its process may be about to start
            started = self._job == identity
        if started:
            self._end_process()

    def progress(self, identity: str) -> dict[str, Any] | None:
        """How far a job is: ``stage``, ``done``, ``total``, ``share`` ``seconds_left``; None if it does not run."""
        with self._lock:
            if self._job != identity:
                return None
            found, elapsed = dict(self._progress), time.monotonic() - self._begun
        share = found.get("share", 0.0)
        sure = share > _SURE_SHARE and elapsed > _SURE_SECONDS
        left = round(elapsed * (1.0 - share) / share) if sure else None
        return {"stage": "starting", "done": 0, "total": 0, "share": 0.0, **found, "seconds_left": left}

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                job = self._queue.take()
                if job is not None:
                    self._told(job["id"])
                    self._do(job)
                    self._told(job["id"])
                    continue
            except Exception:  # the next look may succeed
                _log.exception("jobs could not be looked through")
                self._stop.wait(_END_SECONDS)
            self._wake.wait(_LOOK_SECONDS)
            self._wake.clear()

    def _do(self, job: Row) -> None:
        folder = self._folder(job)
        _log.info("job begun", extra={"job": job["id"], "kind": job["kind"], "starts": job["starts"]})
        try:
            error = None if (folder / RESULT).is_file() else self._work(job, folder)
            cancelled = self._unwanted == job["id"]
            if self._stop.is_set() and not cancelled and error is not None:
                return  # it goes on at the next start
            if cancelled:
                self._over(job, folder, "cancelled", None)
            elif error is not None:
                self._over(job, folder, "failed", error)
            else:
                self._done(job, json.loads((folder / RESULT).read_text(encoding="utf-8")))
                _log.info("job done", extra={"job": job["id"], "kind": job["kind"]})
        except Problem as problem:
            self._over(job, folder, "failed", problem.detail)
        except OSError as error:
            reason = error.strerror or error
            self._over(job, folder, "failed", f"Its files cannot be written ({reason}); free space on the disk.")
        except Exception:
            _log.exception("job failed", extra={"job": job["id"]})
            self._over(job, folder, "failed", "It failed; see the service's log.")

    def _over(self, job: Row, folder: Path, state: str, error: str | None) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._queue.end(job["id"], state, error=error)
        _log.info(f"job {state}", extra={"job": job["id"], "kind": job["kind"], "reason": error})

    def _work(self, job: Row, folder: Path) -> str | None:
        """Run a job's process to its end; returns why it failed."""
        task = {**self._task(job), "kind": job["kind"], "folder": str(folder), "cores": self._cores}
        folder.mkdir(parents=True, exist_ok=True)
        last: dict[str, Any] = {}
        with self._started(job["id"]) as process:
            said: deque[str] = deque(maxlen=_STDERR_LINES)
            listener = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
            listener.start()
            with contextlib.suppress(OSError):  # it has ended already, which its exit code tells
                if process.stdin is not None:
                    process.stdin.write(json.dumps(task) + "\n")
                    process.stdin.flush()
            for line in process.stdout or ():
                with contextlib.suppress(ValueError):
                    last = json.loads(line)
                    with self._lock:
                        self._progress = last if "share" in last else self._progress
            code = process.wait()
            listener.join(_END_SECONDS)
        if code == 0 and (folder / RESULT).is_file():
            return None
        if "error" in last:
            return str(last["error"])
        _log.error("job's process failed", extra={"job": job["id"], "code": code, "lines": [*said]})
        if code < 0:
            return "Its process was ended by the system, perhaps for want of memory: choose quick, or fewer pictures."
        return "Its process failed; see the service's log."

    @contextlib.contextmanager
    def _started(self, identity: str) -> Any:  # noqa: ANN401 - an iterator over one process
        process = subprocess.Popen(
            [sys.executable, "-m", "differnet.server.products.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
            env=os.environ | {"OMP_NUM_THREADS": str(self._cores)},
            creationflags=getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),
        )
        with self._lock:
            self._process, self._job, unwanted = process, identity, self._unwanted == identity
            self._progress, self._begun = {}, time.monotonic()
        if self._stop.is_set() or unwanted:
            self._end_process()
        try:
            yield process
        finally:
            self._end_process()
            with self._lock:
                self._process, self._job = None, None
            for stream in (process.stdin, process.stdout, process.stderr):
                with contextlib.suppress(OSError):
                    if stream is not None:
                        stream.close()

    def _end_process(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()  # at which it ends, and what it has begun, on every system
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_END_SECONDS)
