"""Watching a folder: what is new and complete is inspected, in turn, until told to stop."""

from __future__ import annotations

import math
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from differnet.errors import DatasetError, DifferNetError
from differnet.images.failure import Failure
from differnet.watching.arrivals import Arrivals
from differnet.watching.events import FolderEvents
from differnet.watching.journal import Journal
from differnet.watching.photograph import Photograph, Stamp, read_photograph
from differnet.watching.recorder import Recorder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from differnet.inspection.verdict import Verdict

__all__ = ["Content", "FolderWatch", "Model"]

Content: TypeAlias = "bytes | NDArray[np.uint8] | NDArray[np.uint16]"
"""The content of a file, or the pixels of a frame."""

_MOST_AT_ONCE = 32
"""After so many images of a backlog, what has happened meanwhile is looked at."""

_MODEL_CHECK = 1.0
"""Seconds between two looks at the model file while nothing comes."""

_RESCAN = 30.0
"""Seconds between two looks at the whole folder, for events that the system lost."""

_SCAN_SHARE = 0.05
"""No more than this share of the time is spent on looking at the whole folder."""

_PATIENCE = 60.0
"""Seconds without a file becoming complete after which `FolderWatch.once` leaves those that are still written."""


class Model(Protocol):
    """What inspects; see `CurrentModel`."""

    @property
    def model_id(self) -> str:
        """Of the model in use."""
        ...

    def refresh(self) -> None:
        """Called between images."""
        ...

    def inspect(self, contents: Iterable[Content]) -> Iterator[Verdict | Failure]:
        """Give the verdicts on the contents of files, or on frames."""
        ...


@dataclass(frozen=True)
class _Hint:
    """A file or folder that may be new."""

    relative: str
    renamed: bool = False
    is_folder: bool = False


class FolderWatch:
    """Inspects the images of a folder, each exactly once as far as the journal goes.

    Args:
        folder: The folder, with everything below it.
        model: What inspects.
        journal: What was inspected before.
        recorder: Takes the verdicts.
        settle: Seconds for which a file must not change before it is taken; a file renamed into place is taken at once.
        poll: Seconds between two looks at the folder, instead of the system's events; None for events.
        say: Hears of what goes on.
        warn: Hears of what goes wrong.

    Attributes:
        inspected: Number of images with a verdict.
        failed: Number of images without.
        left: Images that `once` left since they were still being written.
    """

    def __init__(
        self,
        folder: Path,
        model: Model,
        journal: Journal,
        recorder: Recorder,
        *,
        settle: float = 0.5,
        poll: float | None = None,
        say: Callable[[str], None] = lambda message: None,
        warn: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.inspected = 0
        self.failed = 0
        self._told: set[str] = set()
        self.left: list[str] = []
        self._folder = folder
        self._model = model
        self._journal = journal
        self._recorder = recorder
        self._poll = poll
        self._say = say
        self._warn = warn
        self._arrivals = Arrivals(folder, settle, self._is_done, self._gone)
        self._known: dict[str, Stamp] = {}
        self._inbox: queue.SimpleQueue[_Hint | DifferNetError | None] = queue.SimpleQueue()
        self._stopping = False
        self._events: FolderEvents | None = None
        self._identity: tuple[int, int] | None = None
        self._next_scan = -math.inf

    def stop(self) -> None:
        """Finish the images in hand, no more; may be called by a signal handler or another thread."""
        self._stopping = True
        self._inbox.put(None)

    def abort(self, error: DifferNetError) -> None:
        """Make `run` raise an error that another thread met."""
        self._inbox.put(error)

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    def once(self) -> None:
        """Inspect what is there now.

        Raises:
            DatasetError: If the folder cannot be read.
            OutputError: If a verdict cannot be written.
        """
        try:
            self._arrivals.scan()
        except OSError as error:
            raise _unreadable(self._folder, error) from None
        last = time.monotonic()
        while len(self._arrivals) and not self._stopping:
            self._model.refresh()
            batch = self._arrivals.take(_MOST_AT_ONCE)
            if batch:
                self._inspect(batch)
                last = time.monotonic()
            elif time.monotonic() - last > _PATIENCE:
                self.left = self._arrivals.names()
                return
            else:
                self._listen(min(self._arrivals.due_in(), 1.0))

    def run(self) -> None:
        """Inspect what is there and what comes, until `stop` is called.

        Raises:
            DatasetError: If the folder cannot be read at the start; later it may be away for a while.
            OutputError: If a verdict cannot be written.
        """
        if not self._folder.is_dir():
            raise DatasetError(f"{self._folder}: no such folder; check the path.")
        try:
            while not self._stopping:
                if time.monotonic() >= self._next_scan:
                    self._look_around()
                self._model.refresh()
                batch = self._arrivals.take(_MOST_AT_ONCE)
                if batch:
                    self._inspect(batch)
                now = time.monotonic()
                self._listen(0.0 if batch else min(self._next_scan - now, self._arrivals.due_in(), _MODEL_CHECK))
        finally:
            if self._events is not None:
                self._events.close()

    def _look_around(self) -> None:
        """Look at the whole folder."""
        started = time.monotonic()
        try:
            status = self._folder.stat()
            gone = self._events is not None and not self._events.is_alive
            if gone or self._identity != (status.st_dev, status.st_ino):
                # At the start, or a folder that was made or mounted anew, of which the old events tell nothing.
                self._subscribe()
                self._identity = (status.st_dev, status.st_ino)
            found = self._arrivals.scan()
        except OSError as error:
            if self._identity != (0, 0):
                self._warn(f"{_unreadable(self._folder, error)} It is looked for again and again.")
            self._identity = (0, 0)
            found = set()
        # Files that are gone need not be kept in memory; the journal has them.
        self._known = {relative: stamp for relative, stamp in self._known.items() if relative in found}
        now = time.monotonic()
        usual = _RESCAN if self._poll is None else self._poll
        if self._identity == (0, 0):
            usual = min(usual, _MODEL_CHECK)
        self._next_scan = now + max(usual, (now - started) / _SCAN_SHARE)

    def _subscribe(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None
        if self._poll is not None:
            return
        try:
            self._events = FolderEvents(
                self._folder,
                lambda relative, renamed: self._inbox.put(_Hint(relative, renamed)),
                lambda relative: self._inbox.put(_Hint(relative, is_folder=True)),
            )
        except (DifferNetError, OSError) as error:
            self._poll = 1.0
            self._warn(f"{self._folder}: the system tells no events ({error}); it is looked through every second.")

    def _listen(self, seconds: float) -> None:
        """Take note of what has happened, waiting for it at most so long."""
        wait = seconds > 0
        while True:
            try:
                item = self._inbox.get(timeout=seconds) if wait else self._inbox.get_nowait()
            except queue.Empty:
                return
            wait = False
            if isinstance(item, DifferNetError):
                raise item
            if item is None:
                continue
            if item.is_folder:
                self._arrivals.scan(item.relative)
            else:
                self._arrivals.note(item.relative, complete=item.renamed)

    def _gone(self, relative: str) -> None:
        self._say(f"{self._folder / relative}: went away before it could be inspected.")

    def _is_done(self, relative: str, stamp: Stamp) -> bool:
        known = self._known.get(relative)
        if known is None:
            recorded = self._journal.latest(relative)
            if recorded is None:
                return False
            known = self._known[relative] = recorded.stamp
        return known == stamp

    def _inspect(self, batch: Sequence[tuple[str, Stamp]]) -> None:
        model_id = self._model.model_id
        waiting: deque[Photograph] = deque()

        def contents() -> Iterator[bytes]:
            for photograph in self._new_ones(batch, model_id):
                waiting.append(photograph)
                yield photograph.content

        for result in self._model.inspect(contents()):
            self._record(waiting.popleft(), result, model_id)

    def _new_ones(self, batch: Sequence[tuple[str, Stamp]], model_id: str) -> Iterator[Photograph]:
        """Read files, and leave out those that were inspected before; ends early when told to stop."""
        for relative, stamp in batch:
            if self._stopping:
                return
            photograph = read_photograph(self._folder, relative, stamp)
            if photograph is None:
                if (self._folder / relative).exists():
                    self._arrivals.note(relative)
                else:
                    self._gone(relative)
                continue
            before = self._journal.latest(relative)
            if before is not None and before.sha256 == photograph.sha256:
                # Touched, or copied over by itself.
                self._journal.restamp(relative, stamp)
                self._known[relative] = stamp
            elif photograph.problem:
                self._record(photograph, Failure(relative, photograph.problem), model_id)
            else:
                yield photograph

    def _record(self, photograph: Photograph, result: Verdict | Failure, model_id: str) -> None:
        error = self._recorder.record(photograph, result, model_id)
        self._known[photograph.relative] = photograph.stamp
        if error:
            self.failed += 1
            self._warn(error)
            return
        self.inspected += 1
        unlike = None if isinstance(result, Failure) else result.unlike
        if unlike is not None and unlike not in self._told:
            # Said once: of a camera that was changed every photograph would say it.
            self._told.add(unlike)
            self._warn(f"{photograph.relative}: unlike the training images: {unlike}.")


def _unreadable(folder: Path, error: OSError) -> DatasetError:
    return DatasetError(f"{folder}: cannot be read ({error.strerror}); check the path.")
