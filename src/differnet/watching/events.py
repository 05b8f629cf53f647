"""The system's events about the files of a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from differnet.errors import MissingExtraError
from differnet.installing import install_extra

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver

__all__ = ["FolderEvents"]


class FolderEvents:
    """Tells of files as they come, by inotify, FSEvents or ReadDirectoryChangesW, in threads of its own.

    Args:
        folder: The folder, watched with all below it.
        changed: Called with the path of a file below the folder, with ``/``, and whether it was renamed into place.
        folder_changed: Called with the path of a folder below it that is new, ``.`` for the folder itself.

    Raises:
        MissingExtraError: If the package watchdog is not installed.
        OSError: If the system gives no events, as when there are too many watches.
    """

    def __init__(
        self, folder: Path, changed: Callable[[str, bool], None], folder_changed: Callable[[str], None]
    ) -> None:
        try:
            from watchdog import events  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError(f"Events of files need watchdog. Run: {install_extra('watch')}") from None
        self._folder = folder.resolve()  # of a link inotify tells nothing
        self._changed = changed
        self._folder_changed = folder_changed
        kinds: list[type[FileSystemEvent]] = [
            events.FileCreatedEvent,
            events.FileModifiedEvent,
            events.FileClosedEvent,
            events.FileMovedEvent,
            events.DirCreatedEvent,
            events.DirMovedEvent,
        ]
        heard = self._heard

        class Handler(events.FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                heard(event)

        self._observer = _observer()
        try:
            self._observer.schedule(Handler(), str(self._folder), recursive=True, event_filter=kinds)
            self._observer.start()
        except BaseException:
            self.close()
            raise

    @property
    def is_alive(self) -> bool:
        """Whether events still come; not once the folder was deleted, even if there is one of its name again."""
        return any(emitter.is_alive() for emitter in self._observer.emitters)

    def close(self) -> None:
        """Stop telling."""
        self._observer.stop()
        if self._observer.is_alive():
            self._observer.join()

    def _heard(self, event: FileSystemEvent) -> None:
        renamed = event.event_type == "moved"
        path = os.fsdecode(event.dest_path if renamed else event.src_path)
        if not path:  # renamed to somewhere else
            return
        try:
            relative = Path(path).relative_to(self._folder)
        except ValueError:
            return
        if event.is_directory:
            self._folder_changed(relative.as_posix())
        else:
            self._changed(relative.as_posix(), renamed)


def _observer() -> BaseObserver:
    if sys.platform == "linux":
        from watchdog.observers.inotify import InotifyObserver  # noqa: PLC0415

        # Full events: a file renamed from outside the folder is told as renamed, not as created.
        return InotifyObserver(generate_full_events=True)
    from watchdog.observers import Observer  # noqa: PLC0415

    return Observer()
