"""Watching a camera: frames are inspected once, in order; what inspection has no time for is dropped, and counted."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from differnet.cameras import Camera, Frame
from differnet.errors import CameraError, DifferNetError, OutputError
from differnet.files import WHERE_TO_WRITE, replacing
from differnet.images.failure import Failure
from differnet.inspection.verdict import Verdict
from differnet.watching.journal import Journal
from differnet.watching.photograph import Photograph, Stamp
from differnet.watching.recorder import Recorder
from differnet.watching.triggers import Trigger
from differnet.watching.watcher import Model

__all__ = ["CameraWatch"]

_MOST_WAITING = 8
"""Frames between camera and inspection; some hundred MB at most."""

_LONGEST_PAUSE = 5.0
"""Seconds between two looks for a camera that has gone away."""

_TOLD_AGAIN = 60.0
"""Seconds between two words on frames that were dropped."""


@dataclass(frozen=True)
class _Taken:
    """A frame that is to be inspected, and what rows call it."""

    name: str
    frame: Frame
    stamp: Stamp


class CameraWatch:
    """Inspects the frames of a camera that a trigger asks for.

    One thread does nothing but read the camera, so that a frame is fresh when it is asked for; the caller's inspects.
    Of a camera, frames that find no room in between are dropped; a recording waits, and is gone on with where an
    earlier process ended.

    Args:
        camera: Not opened yet.
        trigger: Says which frames.
        model: What inspects.
        journal: What was inspected before.
        recorder: Takes the verdicts.
        keep: Folder for the frames that are not accepted, as PNG; None keeps none.
        say: Hears of what goes on.
        warn: Hears of what goes wrong.

    Attributes:
        inspected: Number of frames with a verdict.
        failed: Number of frames without.
        dropped: Number of frames that were asked for and not inspected, for want of time.
        left: Nothing; as of `FolderWatch`.
    """

    def __init__(
        self,
        camera: Camera,
        trigger: Trigger,
        model: Model,
        journal: Journal,
        recorder: Recorder,
        *,
        keep: Path | None = None,
        say: Callable[[str], None] = lambda message: None,
        warn: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.inspected = 0
        self.failed = 0
        self.dropped = 0
        self.left: list[str] = []
        self._camera = camera
        self._trigger = trigger
        self._model = model
        self._journal = journal
        self._recorder = recorder
        self._keep = keep
        self._say = say
        self._warn = warn
        self._told: set[str] = set()
        self._told_at = -_TOLD_AGAIN
        self._waiting: queue.Queue[_Taken | DifferNetError | None] = queue.Queue(_MOST_WAITING)
        self._stopping = threading.Event()
        self._told_to_stop = False
        self._fault: DifferNetError | None = None
        self._only_one = False

    def stop(self) -> None:
        """Finish the frames in hand, no more; may be called by a signal handler or another thread."""
        self._told_to_stop = True
        self._stopping.set()

    def abort(self, error: DifferNetError) -> None:
        """Make `run` raise an error that another thread met."""
        self._fault = error
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._told_to_stop

    def once(self) -> None:
        """Inspect one frame of a camera, or all of a recording. Raises what `run` does."""
        self._only_one = self._camera.recording is None
        self.run()

    def run(self) -> None:
        """Inspect frames until `stop` is called, or the recording ends.

        Raises:
            CameraError: If the camera is not there at the start; later it is looked for again and again.
            SettingsError: If the camera has not what was set.
            OutputError: If a verdict or a frame cannot be written.
        """
        self._camera.open()
        recording = self._camera.recording
        self._stamp = Stamp(0, 0, 0, 0) if recording is None else Stamp.of(recording.stat())
        reading = threading.Thread(target=self._read_all, name="differnet-camera", daemon=True)
        try:
            with self._trigger:
                reading.start()
                self._inspect_all()
        finally:
            self._stopping.set()
            if reading.ident is not None:
                reading.join()
            self._camera.close()
        if self._fault is not None:
            raise self._fault

    def _inspect_all(self) -> None:
        ended = False
        while not ended:
            try:
                items = [self._waiting.get(timeout=0.2)]
            except queue.Empty:
                if self._stopping.is_set():
                    return
                self._model.refresh()
                continue
            while not self._waiting.empty():
                items.append(self._waiting.get_nowait())
            for item in items:
                if isinstance(item, DifferNetError):
                    raise item
            ended = None in items
            self._model.refresh()
            self._inspect([item for item in items if isinstance(item, _Taken)])

    def _inspect(self, batch: Sequence[_Taken]) -> None:
        model_id = self._model.model_id
        # All of a batch are there: an image that has yet to come would hold up the verdicts on those before it.
        for taken, result in zip(batch, self._model.inspect([each.frame.pixels for each in batch]), strict=True):
            pixels = taken.frame.pixels
            photograph = Photograph(taken.name, taken.stamp, hashlib.sha256(pixels.tobytes()).hexdigest(), b"")
            refused = isinstance(result, Failure) or result.decision in ("review", "reject")
            if self._keep is not None and refused:
                self._save(self._keep, taken)
            error = self._recorder.record(photograph, result, model_id)
            if error:
                self.failed += 1
                self._warn(error)
                continue
            self.inspected += 1
            unlike = result.unlike if isinstance(result, Verdict) else None
            if unlike is not None and unlike not in self._told:
                self._told.add(unlike)
                self._warn(f"{taken.name}: unlike the training images: {unlike}.")

    def _save(self, folder: Path, taken: _Taken) -> None:
        import cv2  # noqa: PLC0415

        pixels = taken.frame.pixels
        file = folder / f"{taken.name.rpartition('#')[2]}.png"
        _, encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(file) as part:
                part.write_bytes(encoded.tobytes())
        except OSError as error:
            raise OutputError(f"{file}: cannot be written ({error.strerror}); {WHERE_TO_WRITE}") from None

    def _read_all(self) -> None:
        """What the camera's thread does."""
        pause, away = 0.0, False
        while not self._stopping.wait(pause):
            try:
                if away:
                    self._camera.open()
                frame = self._camera.read()
            except CameraError as error:
                self._camera.close()
                if not away:
                    self._warn(f"{error} It is looked for again and again.")
                away, pause = True, min(_LONGEST_PAUSE, max(0.2, 2.0 * pause))
                continue
            except DifferNetError as error:
                self._put(error)
                return
            if away:  # one that opens and gives nothing is not back
                self._say(f"{self._camera.label}: is back.")
                away, pause = False, 0.0
            if frame is None:
                if self._camera.recording is None:
                    continue
                self._put(None)
                return
            if self._trigger.wants(frame):
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        taken = self._named(frame)
        if self._camera.recording is not None:
            before = self._journal.latest(taken.name)
            if before is None or before.stamp != taken.stamp:
                self._put(taken)
            return
        try:
            self._waiting.put_nowait(taken)
        except queue.Full:
            self.dropped += 1
            if time.monotonic() - self._told_at >= _TOLD_AGAIN:
                self._told_at = time.monotonic()
                self._warn(
                    f"{self._camera.label}: frames come faster than they are inspected; {self.dropped} dropped so far. "
                    "Give --every SECONDS or --trigger to choose them."
                )
            return
        if self._only_one:
            self._put(None)
            self._stopping.set()

    def _put(self, item: _Taken | DifferNetError | None) -> None:
        """Wait for room, unless told to stop."""
        while not self._stopping.is_set():
            try:
                self._waiting.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def _named(self, frame: Frame) -> _Taken:
        if frame.number is not None:
            return _Taken(f"{self._camera.label}#{frame.number:06}", frame, self._stamp)
        now = time.time_ns()
        when = datetime.fromtimestamp(now / 1e9, timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
        return _Taken(f"{self._camera.label}#{when}", frame, Stamp(frame.pixels.nbytes, now, now, 0))
