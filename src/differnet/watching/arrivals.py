"""Which files of a folder are new, and complete."""

from __future__ import annotations

import math
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from differnet.images.collect import is_hidden
from differnet.watching.photograph import Stamp, is_image_name

__all__ = ["Arrivals"]


@dataclass(frozen=True)
class _Waiting:
    stamp: Stamp
    since: float


class Arrivals:
    """Keeps the files that were noticed until they are complete: until their stamp has not changed for a while.

    Args:
        folder: The folder, searched through with everything below it. Links to folders are not followed.
        settle: Seconds for which a file must not change.
        is_done: Tells whether a file with this stamp was inspected already.
        gone: Called with a file that was noticed and went away before it was taken.
        clock: Seconds, from any beginning; must not go back.
    """

    def __init__(
        self,
        folder: Path,
        settle: float,
        is_done: Callable[[str, Stamp], bool],
        gone: Callable[[str], None] = lambda relative: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._settle = settle
        self._is_done = is_done
        self._gone = gone
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def note(self, relative: str, *, complete: bool = False) -> None:
        """Look at a file that may be new or changed.

        Args:
            relative: Its path below the folder, with ``/``.
            complete: It need not be waited for, since it was renamed into place.
        """
        if not is_image_name(relative):
            return
        try:
            status = (self._folder / relative).stat()
        except OSError:
            if self._waiting.pop(relative, None) is not None:
                self._gone(relative)
            return
        if stat.S_ISREG(status.st_mode):
            self._consider(relative, Stamp.of(status), complete)

    def scan(self, below: str = "") -> set[str]:
        """Look at all files of the folder.

        Args:
            below: Only at those of this folder in it, with all below that.

        Returns:
            Paths of the images below the watched folder.

        Raises:
            OSError: If the watched folder itself cannot be read.
        """
        found: set[str] = set()
        folders = [] if any(map(is_hidden, below.split("/"))) else [below]
        while folders:
            inside = folders.pop()
            try:
                entries = list(os.scandir(self._folder / inside))
            except OSError:
                if not inside:
                    raise
                continue  # it has gone, or is not ours to read
            for entry in entries:
                relative = f"{inside}/{entry.name}" if inside else entry.name
                if is_hidden(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(relative)
                elif is_image_name(relative) and entry.is_file():
                    found.add(relative)
                    self.note(relative)
        return found

    def take(self, most: int) -> list[tuple[str, Stamp]]:
        """Take out files that are complete, the oldest first.

        Args:
            most: No more than so many.
        """
        now = self._clock()
        for relative, waiting in list(self._waiting.items()):
            if now - waiting.since >= self._settle and waiting.since > -math.inf:
                self.note(relative)  # it may have changed without our being told
        ready = [
            (waiting.stamp.mtime_ns, relative, waiting.stamp)
            for relative, waiting in self._waiting.items()
            if now - waiting.since >= self._settle
        ]
        chosen = sorted(ready, key=lambda item: item[:2])[:most]
        for _, relative, _ in chosen:
            del self._waiting[relative]
        return [(relative, stamp) for _, relative, stamp in chosen]

    def due_in(self) -> float:
        """Seconds until the next file may be complete; infinite if none waits."""
        first = min((waiting.since for waiting in self._waiting.values()), default=math.inf)
        return max(0.0, first + self._settle - self._clock())

    def names(self) -> list[str]:
        """The files that wait."""
        return sorted(self._waiting)

    def _consider(self, relative: str, stamp: Stamp, complete: bool) -> None:
        if self._is_done(relative, stamp):
            self._waiting.pop(relative, None)
            return
        before = self._waiting.get(relative)
        if complete:
            self._waiting[relative] = _Waiting(stamp, -math.inf)
        elif before is None or before.stamp != stamp:
            self._waiting[relative] = _Waiting(stamp, self._clock())
