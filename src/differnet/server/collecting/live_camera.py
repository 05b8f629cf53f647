"""A camera that is open while somebody wants its frames."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator

from differnet.cameras import Camera, Frame, make_camera
from differnet.errors import CameraError, DifferNetError
from differnet.server.problems import Problem

__all__ = ["LiveCamera"]

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 10.0
_AGAIN_SECONDS = 2.0
_END_SECONDS = 10.0
# A recording without a rate of its own.
_LEAST_PAUSE = 0.02
# Frames that are being inspected at once; each may have as many bytes as its pixels.
_MOST_TURNS = 4


class LiveCamera:
    """Reads a camera in a thread of its own, so that a frame is fresh when it is asked for.

    It is opened when somebody asks, and closed when nobody has for ten seconds. A recording is played as fast as it was
    taken, and begins anew at its end.

    Args:
        name: By which clients know it.
        source: See `make_camera`.
    """

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self._source = source
        self._change = threading.Condition()
        self._frame: Frame | None = None
        self._count = 0
        self._trouble: str | None = None
        self._wanted_until = -float("inf")
        self._running: threading.Thread | None = None
        self._stopped = False
        self._turns = threading.BoundedSemaphore(_MOST_TURNS)
        self._making = threading.Lock()
        self._made: dict[str, bytes] = {}
        self._made_of: weakref.ref[Frame] | None = None

    def latest(self, seconds: float) -> Frame:
        """The last frame; the first is waited for.

        Args:
            seconds: To wait at most.

        Raises:
            Problem: 503 if there is none.
        """
        return self._after(1, seconds)

    def next(self, seconds: float, *, idle: float = 0.0) -> Frame:
        """The first frame that comes from now on.

        Args:
            seconds: To wait at most.
            idle: For which the camera stays open beyond the usual.

        Raises:
            Problem: 503 if there is none.
        """
        with self._change:
            running = self._running is not None
            count = self._count
        return self._after(count + 1 if running else 1, seconds, idle)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """A place among the few whose frames are being inspected, for the time of the block.

        Raises:
            Problem: 503 if there is none.
        """
        if not self._turns.acquire(blocking=False):
            raise Problem(
                503,
                f"Several pictures of the camera '{self.name}' are being inspected already; try again.",
                retry_after=1,
            )
        try:
            yield
        finally:
            self._turns.release()

    def made(self, kind: str, frame: Frame, make: Callable[[Frame], bytes]) -> bytes:
        """What is made of a frame, made once however many ask for it."""
        with self._making:
            if self._made_of is None or self._made_of() is not frame:
                self._made, self._made_of = {}, weakref.ref(frame)
            if kind not in self._made:
                self._made[kind] = make(frame)
            return self._made[kind]

    def stop(self) -> None:
        """Close it for good."""
        with self._change:
            self._stopped = True
            running = self._running
            self._change.notify_all()
        if running is not None:
            running.join(_END_SECONDS)

    def trouble(self, error: Exception, camera: Camera) -> str:
        """What is wrong with the camera, by the name that clients know."""
        return f"The camera '{self.name}' gives no picture: {str(error).removeprefix(f'{camera.label}: ')}"

    def camera(self) -> Camera:
        """The camera, for somebody's own use; not opened."""
        return make_camera(self._source)

    def _after(self, count: int, seconds: float, idle: float = 0.0) -> Frame:
        until = time.monotonic() + seconds
        with self._change:
            self._wanted_until = max(self._wanted_until, until + idle + _IDLE_SECONDS)
            if self._running is None and not self._stopped:
                self._frame, self._count, self._trouble = None, 0, None
                self._running = threading.Thread(target=self._read, name="camera", daemon=True)
                self._running.start()
            while self._frame is None or self._count < count:
                left = until - time.monotonic()
                if left <= 0 or self._stopped or self._trouble is not None:
                    raise self._refusal()
                self._change.wait(left)
            return self._frame

    def _refusal(self) -> Problem:
        if self._trouble is not None:
            return Problem(503, self._trouble, retry_after=1)
        return Problem(503, f"The camera '{self.name}' gives no picture yet; try again.", retry_after=1)

    def _read(self) -> None:
        while self._is_wanted():
            camera = self.camera()
            try:
                with contextlib.closing(camera):
                    camera.open()
                    self._play(camera)
            except DifferNetError as error:
                self._tell(camera, error)
            except Exception as error:  # of a driver
                _log.exception("camera failed", extra={"camera": self.name})
                self._tell(camera, CameraError(f"{camera.label}: {type(error).__name__}; see the service's log."))

    def _play(self, camera: Camera) -> None:
        begun = time.monotonic()
        while self._is_wanted():
            frame = camera.read()
            if frame is None:
                if camera.recording is not None:
                    return
                continue
            with self._change:
                self._frame, self._count, self._trouble = frame, self._count + 1, None
                self._change.notify_all()
                if camera.recording is not None and not self._stopped:
                    self._change.wait_for(
                        lambda: self._stopped, max(_LEAST_PAUSE, begun + frame.seconds - time.monotonic())
                    )

    def _is_wanted(self) -> bool:
        with self._change:
            if not self._stopped and time.monotonic() < self._wanted_until:
                return True
            self._running, self._frame = None, None
            return False

    def _tell(self, camera: Camera, error: Exception) -> None:
        with self._change:
            self._frame, self._trouble = None, self.trouble(error, camera)
            self._change.notify_all()
            self._change.wait_for(lambda: self._stopped, _AGAIN_SECONDS)
            self._trouble = None if not self._stopped else self._trouble
