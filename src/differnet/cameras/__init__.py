"""Cameras: where frames come from. A new kind is a file with its class, and a name in the line of `CAMERAS`."""

from __future__ import annotations

from differnet.cameras.camera import Camera, Frame
from differnet.cameras.genicam import GenicamCamera
from differnet.cameras.opencv import OpenCvCamera
from differnet.errors import SettingsError
from differnet.registry import Registry

__all__ = ["CAMERAS", "Camera", "Frame", "GenicamCamera", "OpenCvCamera", "make_camera"]

CAMERAS: Registry[type[Camera]] = Registry("camera", GenicamCamera, OpenCvCamera)
"""Kinds of cameras by name."""


def make_camera(source: str) -> Camera:
    """Make the camera for a source; it is not opened yet.

    Args:
        source: ``0`` (the index of a USB camera), ``rtsp://...``, a video file, ``genicam:SERIAL?cti=FILE``, or what
            else is registered in `CAMERAS`.

    Raises:
        SettingsError: If no camera takes such a source, or something of it is wrong.
        MissingExtraError: If a package that this takes is not installed.
    """
    for kind in CAMERAS.values():
        if kind.takes(source):
            return kind(source)
    told = source if "://" not in source else f"{source.partition('://')[0]}://"  # the rest may be secret
    raise SettingsError(
        f"{told}: is no camera; give the index of a USB camera such as 0, an address such as rtsp://camera/stream, a "
        "video file, or genicam:SERIAL."
    )
