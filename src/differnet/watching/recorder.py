"""From a verdict to the journal, and from there to the outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from differnet.images.failure import Failure
from differnet.inspection.verdict import Verdict
from differnet.sinks.lines import as_json
from differnet.sinks.rows import row_of
from differnet.watching.journal import Journal
from differnet.watching.outputs import OutputFile
from differnet.watching.photograph import Photograph

__all__ = ["Recorder"]

_UNNAMED = "the image: "


class Recorder:
    """Writes down what came of a photograph: in the journal first, then in the outputs.

    Args:
        folder: The watched folder; rows have its path before that of the file.
        journal: The journal.
        outputs: Where rows go.
        queued: Called when a row was queued for delivery; None if rows are not delivered.
    """

    def __init__(
        self, folder: Path, journal: Journal, outputs: Sequence[OutputFile], queued: Callable[[], None] | None = None
    ) -> None:
        self._folder = folder
        self._journal = journal
        self._outputs = outputs
        self._queued = queued

    def record(self, photograph: Photograph, result: Verdict | Failure, model_id: str) -> str:
        """Write down the verdict on a photograph, or why there is none.

        Args:
            photograph: The file.
            result: What the model says of its content.
            model_id: Of the model that was asked.

        Returns:
            The error, empty if there is a verdict.

        Raises:
            OutputError: If it cannot be written.
        """
        path = str(self._folder / photograph.relative)
        about: dict[str, Any] = {"path": path}
        if isinstance(result, Failure):
            # The model was given bytes, which have no name.
            failure = Failure(path, result.reason.removeprefix(_UNNAMED))
            about |= {"model_id": model_id, "error": str(failure)}
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        row = row_of(result, **about, inspected_at=now)
        lines = {output.number: output.line(row) for output in self._outputs}
        body = None if self._queued is None else as_json(row)
        self._journal.record(photograph, photograph.key(model_id), now, lines, body)
        for output in self._outputs:
            output.append(lines[output.number])
        if self._queued is not None:
            self._queued()
        return row["error"] or ""
