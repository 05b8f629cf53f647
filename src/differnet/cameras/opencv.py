"""What OpenCV opens: USB cameras, streams over the network, video files."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from differnet.cameras.camera import Camera, Frame, split_options
from differnet.errors import CameraError, SettingsError

if TYPE_CHECKING:
    import cv2

__all__ = ["OpenCvCamera"]

_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtp", "udp", "tcp")
_DEVICE = re.compile(r"\d{1,3}|/dev/video\d+")
_TIMEOUT = 5000
"""Milliseconds without a frame after which a stream counts as gone."""

_NAMES = {"width": "frame_width", "height": "frame_height"}
_NEARLY = 0.01
# What a recording says of its length is often computed from its duration.
_NEARLY_ALL = 0.95

_log = logging.getLogger(__name__)


class OpenCvCamera(Camera):
    """A USB camera, a stream, or a recording.

    Args:
        source: ``0``; ``0?width=1920&height=1080``, with properties of OpenCV (``CAP_PROP_...``) by name;
            ``/dev/video2``; ``rtsp://user:password@camera/stream``; ``parts.avi``.

    Raises:
        SettingsError: If there is no such property.
    """

    name = "opencv"

    def __init__(self, source: str) -> None:
        scheme = _scheme(source)
        self._options: dict[str, float] = {}
        self._where: str | int = source
        if scheme:
            parts = urlsplit(source)
            host = parts.hostname or ""
            self.label = f"{scheme}://{host}{'' if parts.port is None else f':{parts.port}'}{parts.path}"
        elif Path(source).is_file():
            self.label = source
            self.recording = Path(source)
        else:
            what, options = split_options(source)
            self._where = int(what) if what.isdigit() else what
            self.label = f"camera {what}" if what.isdigit() else what
            self._options = {name: _number(name, value) for name, value in options.items()}
        self._capture: cv2.VideoCapture | None = None
        self._read = 0

    @classmethod
    def takes(cls, source: str) -> bool:
        """Whether it is an index, a device, an address or a file."""
        return bool(_scheme(source) or _DEVICE.fullmatch(source.partition("?")[0]) or Path(source).is_file())

    def open(self) -> None:
        """Begin."""
        import cv2  # noqa: PLC0415 - a quarter of a second

        self.close()
        capture = self._connected()
        sound = capture.isOpened()
        if sound and self.recording is not None:
            # FFmpeg takes a file by its name: whether it is a video the first frame tells.
            sound = capture.grab()
            capture.release()
            capture = self._connected()
        if not sound:
            capture.release()
            what = (
                "is not there, in use, or asks for a password"
                if self.recording is None
                else "is no video that can be read"
            )
            raise CameraError(f"{self.label}: {what}; check it, and what it is called.")
        for name, value in self._options.items():
            code = getattr(cv2, _constant(name), None)
            if code is None:
                capture.release()
                raise SettingsError(f"{self.label}: OpenCV has no property {_constant(name)}; look up its name.")
            if not capture.set(code, value) or abs(capture.get(code) - value) > _NEARLY * max(1.0, abs(value)):
                got = capture.get(code)
                capture.release()
                raise SettingsError(f"{self.label}: does not take {name}={value:g}, it has {got:g}; choose another.")
        self._capture, self._read = capture, 0

    def read(self) -> Frame | None:
        """Give the next frame."""
        import cv2  # noqa: PLC0415

        capture = self._capture
        if capture is None:
            raise CameraError(f"{self.label}: is not open; open it first.")
        there, found = capture.read()
        if not there:
            if self.recording is None:
                if self._read == 0:
                    raise CameraError(f"{self.label}: gives no frames; look at its cable, its supply and its format.")
                raise CameraError(f"{self.label}: gives no more frames; look at its cable and its supply.")
            said = capture.get(cv2.CAP_PROP_FRAME_COUNT)
            if self._read < _NEARLY_ALL * said:
                _log.warning("%s: ended after %d of %d frames; it may be damaged.", self.label, self._read, said)
            return None
        self._read += 1
        pixels: Any = cv2.cvtColor(found, cv2.COLOR_BGR2RGB) if found.ndim == 3 else found
        if self.recording is None:
            return Frame(pixels, time.monotonic())
        rate = capture.get(cv2.CAP_PROP_FPS)
        return Frame(pixels, (self._read - 1) / rate if rate > 0 else float(self._read - 1), self._read)

    def _connected(self) -> cv2.VideoCapture:
        import cv2  # noqa: PLC0415

        if isinstance(self._where, str) and not _DEVICE.fullmatch(self._where):
            timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT]
            return cv2.VideoCapture(self._where, cv2.CAP_FFMPEG, timeouts)
        return cv2.VideoCapture(self._where)

    def close(self) -> None:
        """End."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()


def _scheme(source: str) -> str:
    scheme, separator, _ = source.partition("://")
    return scheme.lower() if separator and scheme.lower() in _SCHEMES else ""


def _constant(name: str) -> str:
    return f"CAP_PROP_{_NAMES.get(name.lower(), name).upper()}"


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise SettingsError(f"{name}={value}: is no number; properties of a camera are numbers.") from None
