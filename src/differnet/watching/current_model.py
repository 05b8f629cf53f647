"""The model that a folder is watched with, loaded anew when its file changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from differnet.errors import DifferNetError
from differnet.inspection.verdict import Verdict
from differnet.watching.photograph import Stamp

if TYPE_CHECKING:
    from differnet.detector import DifferNet
    from differnet.images.failure import Failure
    from differnet.watching.watcher import Content

__all__ = ["CurrentModel"]


class CurrentModel:
    """Keeps the last model that could be loaded.

    Args:
        path: The model file.
        device: See `differnet.DifferNet`.
        weights: See `differnet.DifferNet`.
        all_views: Score by all views, see `DifferNet.inspect_stream`.
        settle: Seconds for which a changed file must not change any more before it is loaded.
        say: Hears of a model that was loaded anew.
        warn: Hears of one that cannot be.

    Raises:
        DifferNetError: If there is no model to begin with.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: str = "auto",
        weights: str | None = None,
        all_views: bool = False,
        settle: float = 0.5,
        say: Callable[[str], None] = lambda message: None,
        warn: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._path = path
        self._device = device
        self._weights = weights
        self._all_views = all_views
        self._settle = settle
        self._say = say
        self._warn = warn
        self._stamp = self._look()
        self._seen, self._since = self._stamp, 0.0
        self._model = self._load()

    @property
    def model_id(self) -> str:
        """Of the model in use."""
        manifest = self._model.manifest
        return manifest.model_id if manifest is not None else ""

    def refresh(self) -> None:
        """Load the file anew if it has changed; if that fails the old model stays, which is told once."""
        now, seen = time.monotonic(), self._look()
        if seen != self._seen:
            self._seen, self._since = seen, now
        if seen == self._stamp or now - self._since < self._settle:
            return
        self._stamp = seen
        try:
            self._model = self._load()
        except DifferNetError as error:
            self._warn(f"{error} The model loaded before ({self.model_id}) stays in use.")
        else:
            self._say(f"{self._path}: changed; now model {self.model_id}.")

    def inspect(self, contents: Iterable[Content]) -> Iterator[Verdict | Failure]:
        """Give the verdicts on the contents of files or on frames, see `DifferNet.inspect_stream`."""
        return self._model.inspect_stream(contents, all_views=self._all_views)

    @property
    def drift(self) -> str:
        """What the images inspected by the model in use have unlike those of training; empty if nothing."""
        return self._model.drift.sentence

    def _look(self) -> Stamp | None:
        try:
            return Stamp.of(self._path.stat())
        except OSError:
            return None

    def _load(self) -> DifferNet:
        from differnet.detector import DifferNet  # noqa: PLC0415 - torch takes seconds

        model = DifferNet.load(self._path, device=self._device, weights=self._weights)
        _ = model.extraction  # weights that are missing are told now, not with the first image
        return model
