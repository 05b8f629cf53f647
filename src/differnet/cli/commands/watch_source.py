"""What ``differnet watch`` watches: a folder, or a camera with a trigger."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import typer

from differnet.cli.console import say, warn
from differnet.errors import DatasetError

if TYPE_CHECKING:
    from differnet.watching import CameraWatch, CurrentModel, FolderWatch, Journal, Recorder

__all__ = ["CameraSource", "FolderSource", "chosen_source", "with_password"]


@dataclass(frozen=True)
class FolderSource:
    """A folder.

    Attributes:
        folder: See `FolderWatch`, as for the others.
        settle: See there.
        poll: See there.
    """

    folder: Path
    settle: float
    poll: float | None

    def __str__(self) -> str:
        return str(self.folder)

    def watch(self, model: CurrentModel, journal: Journal, recorder: Recorder) -> FolderWatch:
        """What watches it."""
        from differnet.watching import FolderWatch  # noqa: PLC0415

        return FolderWatch(
            self.folder, model, journal, recorder, settle=self.settle, poll=self.poll, say=say, warn=warn
        )


class CameraSource:
    """A camera and a trigger, checked before a model is loaded.

    Args:
        camera: Its source.
        every: Seconds between two frames.
        trigger: Who asks for frames.
        keep: Where frames are kept that are not accepted.

    Attributes:
        folder: None; frames are in none.

    Raises:
        SettingsError: If there is no such camera or trigger.
        MissingExtraError: If a package that it takes is not installed.
    """

    folder = None

    def __init__(self, camera: str, every: float | None, trigger: str | None, keep: Path | None) -> None:
        from differnet.cameras import make_camera  # noqa: PLC0415
        from differnet.watching import make_trigger  # noqa: PLC0415

        self._camera = make_camera(with_password(camera))
        self._trigger = make_trigger(every, trigger, os.environ.get("DIFFERNET_MQTT_PASSWORD"), warn)
        self._keep = keep

    def __str__(self) -> str:
        return self._camera.label

    def watch(self, model: CurrentModel, journal: Journal, recorder: Recorder) -> CameraWatch:
        """What watches it."""
        from differnet.watching import CameraWatch  # noqa: PLC0415

        return CameraWatch(self._camera, self._trigger, model, journal, recorder, keep=self._keep, say=say, warn=warn)


def chosen_source(
    folder: FolderSource | None, camera: str | None, every: float | None, trigger: str | None, keep: Path | None
) -> FolderSource | CameraSource:
    """Take the one of both that was given.

    Raises:
        BadParameter: If it is not one, or has options of the other.
        DatasetError: If the folder is not there.
        DifferNetError: As of `CameraSource`.
    """
    if (folder is None) == (camera is None):
        raise typer.BadParameter("say what to watch: a FOLDER, or --camera SOURCE.")
    if every is not None and trigger:
        raise typer.BadParameter("--every and --trigger are two ways to choose frames; give one.")
    if camera is not None:
        return CameraSource(camera, every, trigger, keep)
    if every is not None or trigger or keep:
        raise typer.BadParameter("--every, --trigger and --keep are for frames; give them with --camera.")
    if folder is None or not folder.folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; check the path.")
    return folder


def with_password(source: str) -> str:
    """Put the password of the environment into an address that names a user without one."""
    password = os.environ.get("DIFFERNET_CAMERA_PASSWORD", "")
    scheme, separator, rest = source.partition("://")
    user, at, host = rest.partition("@")
    if not separator or not at or not password or any(each in user for each in ":/?"):
        return source
    return f"{scheme}://{user}:{quote(password, safe='')}@{host}"
