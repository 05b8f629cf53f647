"""Industrial cameras by GenICam: through a vendor's producer (a CTI file) and harvesters."""

from __future__ import annotations

import os
import re
import time
from typing import Any

import numpy as np

from differnet.cameras.camera import Camera, Frame, split_options
from differnet.errors import CameraError, MissingExtraError, SettingsError
from differnet.installing import install_extra

__all__ = ["GenicamCamera"]

_SCHEME = "genicam:"
_PATH = "GENICAM_GENTL64_PATH"
_TIMEOUT = 1.0
"""Seconds for which a frame is waited for at a time; a camera that waits for a trigger may give none."""

_GREY = re.compile(r"Mono(8|10|12|14|16)")
_COLOUR = re.compile(r"(RGB|BGR|RGBa|BGRa)8")
_BAYER = re.compile(r"Bayer(RG|GR|GB|BG)8")


class GenicamCamera(Camera):
    """A GigE Vision, USB3 Vision or CoaXPress camera.

    Args:
        source: ``genicam:SERIAL?cti=/opt/vendor/producer.cti&ExposureTime=5000``: the serial number, or nothing for the
            only camera; the producer's file, or nothing for those of the environment variable that vendors set,
            ``GENICAM_GENTL64_PATH``; and features of the camera by name.

    Raises:
        SettingsError: If there is no producer.
        MissingExtraError: If harvesters is not installed.
    """

    name = "genicam"

    def __init__(self, source: str) -> None:
        try:
            import harvesters.core  # noqa: F401, PLC0415
        except ImportError:
            raise MissingExtraError(f"GenICam needs harvesters. Run: {install_extra('genicam')}") from None
        what, options = split_options(source)
        self._serial = what[len(_SCHEME) :]
        self.label = f"{_SCHEME}{self._serial}" if self._serial else "genicam"
        self._features = {name: value for name, value in options.items() if name != "cti"}
        self._producers = [options["cti"]] if "cti" in options else _installed()
        missing = [file for file in self._producers if not os.path.isfile(file)]  # noqa: PTH113 - as named
        if missing or not self._producers:
            told = f"{missing[0]}: no such file" if missing else f"no producer is named, and {_PATH} holds none"
            raise SettingsError(f"{self.label}: {told}; give the vendor's file with ?cti=FILE.cti.")
        self._harvester: Any = None
        self._acquirer: Any = None

    @classmethod
    def takes(cls, source: str) -> bool:
        """Whether it begins with ``genicam:``."""
        return source.startswith(_SCHEME)

    def open(self) -> None:
        """Begin."""
        from harvesters.core import Harvester  # noqa: PLC0415

        self.close()
        self._harvester = Harvester()
        try:
            for file in self._producers:
                self._harvester.add_file(file)
            self._harvester.update()
            self._acquirer = self._harvester.create(self._chosen())
            self._set_features()
            self._acquirer.start()
        except (CameraError, SettingsError):
            self.close()
            raise
        except Exception as error:  # of a vendor's library, in its own classes
            self.close()
            raise CameraError(f"{self.label}: cannot be opened ({_words(error)}); is it in use?") from None

    def read(self) -> Frame | None:
        """Give the next frame."""
        from genicam.gentl import TimeoutException  # noqa: PLC0415

        if self._acquirer is None:
            raise CameraError(f"{self.label}: is not open; open it first.")
        try:
            with self._acquirer.fetch(timeout=_TIMEOUT) as buffer:
                parts = buffer.payload.components
                if not parts:
                    return None
                return Frame(self._pixels(parts[0]), time.monotonic())
        except TimeoutException:
            if not self._is_there():
                raise CameraError(f"{self.label}: has gone away; look at its cable and its supply.") from None
            return None
        except (CameraError, SettingsError):
            raise
        except Exception as error:
            raise CameraError(f"{self.label}: gives no more frames ({_words(error)}).") from None

    def close(self) -> None:
        """End."""
        acquirer, self._acquirer = self._acquirer, None
        harvester, self._harvester = self._harvester, None
        for end in (
            getattr(acquirer, "stop", None),
            getattr(acquirer, "destroy", None),
            getattr(harvester, "reset", None),
        ):
            try:
                if end is not None:
                    end()
            except Exception:  # noqa: S110 - a camera that has gone away cannot be ended in order
                pass

    def _chosen(self) -> int:
        serials = [str(each.serial_number) for each in self._harvester.device_info_list]
        if not serials:
            raise CameraError(f"{self.label}: the producer finds no camera; check cable, supply and network.")
        if not self._serial and len(serials) == 1:
            return 0
        if self._serial not in serials:
            there = ", ".join(serials)
            raise CameraError(
                f"{self.label}: is not there; there are {there}. Write for example {_SCHEME}{serials[0]}."
            )
        return serials.index(self._serial)

    def _set_features(self) -> None:
        nodes = self._acquirer.remote_device.node_map
        for name, value in self._features.items():
            node = getattr(nodes, name, None)
            if node is None:
                raise SettingsError(f"{self.label}: has no feature {name}; look it up in the camera's manual.")
            try:
                node.from_string(value)
            except Exception as error:
                raise SettingsError(f"{self.label}: does not take {name}={value} ({_words(error)}).") from None

    def _is_there(self) -> bool:
        try:
            self._harvester.update()
            serials = [str(each.serial_number) for each in self._harvester.device_info_list]
        except Exception:
            return False
        return self._serial in serials if self._serial else bool(serials)

    def _pixels(self, part: Any) -> Any:  # noqa: ANN401 - an array; of the library
        import cv2  # noqa: PLC0415

        form, shape = str(part.data_format), (int(part.height), int(part.width))
        flat = np.array(part.data)  # the buffer is the producer's, and used again
        if _GREY.fullmatch(form):
            return flat.reshape(shape)
        if _COLOUR.fullmatch(form):
            pixels = flat.reshape(*shape, -1)[:, :, :3]
            return np.ascontiguousarray(pixels[:, :, ::-1] if form.startswith("BGR") else pixels)
        bayer = _BAYER.fullmatch(form)
        if bayer:
            # OpenCV names a pattern by its second row and column.
            names = {"RG": "BG", "GR": "GB", "GB": "GR", "BG": "RG"}
            return cv2.cvtColor(flat.reshape(shape), getattr(cv2, f"COLOR_Bayer{names[bayer[1]]}2RGB"))
        raise SettingsError(
            f"{self.label}: gives {form}, which is not read; choose Mono8, Mono10 to Mono16, RGB8 or BayerRG8, for "
            f"example {_SCHEME}{self._serial}?PixelFormat=Mono8."
        )


def _installed() -> list[str]:
    folders = [folder for folder in os.environ.get(_PATH, "").split(os.pathsep) if folder]
    found = []
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                found += sorted(entry.path for entry in entries if entry.name.endswith(".cti"))
        except OSError:
            continue
    return found


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
